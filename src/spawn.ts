/**
 * The start method *spawn*: a fresh node that imports what it needs. Mirrors `multiprocessing.spawn`.
 * @module
 */
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Child } from './children.js'
import { ValueError } from './errors.js'
import { native } from './native.js'
import { checked, systemError } from './native-status.js'
import {
  currentDirectory,
  getPreparationData,
  partsOfObject,
  withEncodedData,
  withMemoryFiles,
} from './preparation.js'
import type { Process } from './process.js'
import { CHILD_FLAG, stateOf } from './process-state.js'
import { trackerDescriptors } from './resource-tracker.js'
import { show } from './waiting.js'

/**
 * The child's descriptors: what it is, what it runs, whether its parent lives, what V8 has made of this
 * package (see `spawn-main.ts`), the resource tracker's pipe and its ledger; then those it was sent.
 */
export const descriptors = {
  preparation: 3,
  data: 4,
  parent: 5,
  codeCache: 6,
  tracker: 7,
  ledger: 8,
  first: 9,
} as const

let executable: string | undefined

/**
 * Sets the path of the node that children run.
 *
 * @param path - A path, as a string, bytes, or a file URL; null for the node this process runs.
 * @throws TypeError for anything else; ValueError for a path that holds a NUL.
 *
 * Mirrors `multiprocessing.set_executable`.
 */
export const setExecutable = (path: string | Uint8Array | URL | null): void => {
  const text = path === null ? undefined : textOf(path)
  if (text?.includes('\0')) throw new ValueError(`the path ${show(text)} holds a NUL`)
  executable = text
}

const textOf = (path: unknown): string => {
  if (path instanceof URL) return fileURLToPath(path)
  if (path instanceof Uint8Array) return Buffer.from(path).toString()
  if (typeof path === 'string') return path
  throw new TypeError(`a path is wanted, not ${show(path)}`)
}

/** The path of the node that children run. */
export const getExecutable = (): string => executable ?? process.execPath

/** Options that say what this process runs, or how it is debugged; a child has its own. */
const OWN_OPTIONS =
  /^(?:-e|-p|-pe|-c|-i|-r?ep?|--eval|--print|--check|--interactive|--test|--watch|--watch-path|--watch-preserve-output|--input-type|--test-.*|--run|--build-snapshot)$/
const OWN_OPTIONS_WITH_VALUE = /^(?:-e|-p|-pe|--eval|--print|--input-type|--watch-path|--run)$/
const DEBUGGER = /^--inspect(?:-brk|-wait)?(?:=|$)/
const DEBUGGER_PORT = /^--(?:inspect|debug)-port(?:=|$)/

/** The options of node that a child starts with: this process's, but for what is its own affair. */
export const inheritedOptions = (execArgv: readonly string[]): string[] => {
  const kept: string[] = []
  for (let i = 0; i < execArgv.length; i++) {
    const option = execArgv[i]!
    const name = option.split('=', 1)[0]!
    if (OWN_OPTIONS.test(name)) {
      // After -p there need not be one.
      if (OWN_OPTIONS_WITH_VALUE.test(option) && !execArgv[i + 1]?.startsWith('-')) i++
    } else if (DEBUGGER.test(option)) kept.push('--inspect=0')
    else if (DEBUGGER_PORT.test(option)) i += option.includes('=') ? 0 : 1
    else kept.push(option)
  }
  return kept
}

/** The command line of a child: the options of node, what stands in front of them, and what it is told. */
export const getCommandLine = (told: string, options: readonly string[]): string[] => [
  getExecutable(),
  ...options,
  fileURLToPath(new URL('./spawn-main.cjs', import.meta.url)),
  CHILD_FLAG,
  told,
]

const firstDirectory = currentDirectory()

/** Relative paths in node's options, of a loader perhaps, were meant from where the program began. */
export const startingDirectory = (): string | undefined => {
  const now = currentDirectory()
  return firstDirectory === null || now === firstDirectory || !existsSync(firstDirectory)
    ? undefined
    : firstDirectory
}

/** Starts a process object by spawning. */
export const spawn = (process_: Process, startMethod: string | null): Child => {
  const { daemon } = stateOf(process_)
  return withEncodedData(process_, ({ parts, descriptors: sent }) => {
    const cwd = startingDirectory()
    const preparation = partsOfObject(getPreparationData(process_, startMethod, cwd))
    const lifeline = checked(native.lifeline(), 'socketpair')
    const codeCache = checked(native.codeCache(), 'memfd_create')
    return withMemoryFiles([preparation, parts], (files) => {
      const argv = getCommandLine(String(sent.length), inheritedOptions(process.execArgv))
      const inherit = [...files, lifeline, codeCache, ...trackerDescriptors(), ...sent]
      const { pid, pidfd } = execute({ argv, inherit, daemon, cwd })
      return new Child(pid, pidfd, !daemon)
    })
  })
}

const SIGTERM = 15

/** Makes a process; what goes wrong until it runs its program is thrown. */
export const execute = ({
  argv,
  inherit,
  daemon,
  cwd,
}: {
  argv: string[]
  inherit: number[]
  daemon: boolean
  cwd: string | undefined
}): { pid: number; pidfd: number } => {
  const env: string[] = []
  for (const [name, value] of Object.entries(process.env)) env.push(`${name}=${value}`)
  const { pid, pidfd, failure, syscall, errno } = native.spawnProcess({
    program: argv[0]!,
    argv,
    env,
    inherit,
    ...(cwd === undefined ? {} : { cwd }),
    // The kernel looks at the thread that starts a child, and a worker thread may end before its process.
    ...(daemon && native.isMainThread() ? { dieWithParent: SIGTERM } : {}),
  })
  if (failure !== undefined) throw systemError(errno ?? 0, syscall ?? 'spawn', failure)
  return { pid, pidfd }
}
