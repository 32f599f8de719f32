/**
 * The start method *spawn*: a fresh node that imports what it needs. Mirrors `multiprocessing.spawn`.
 * @module
 */
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Child } from './children.js'
import { encode } from './codec/index.js'
import { ValueError } from './errors.js'
import { PARENT_DESCRIPTOR } from './identity.js'
import { native } from './native.js'
import { checked, systemError } from './native-status.js'
import { messageOf } from './objects.js'
import { Process } from './process.js'
import { authkeyOf, CHILD_FLAG, currentProcess, type State, stateOf } from './process-state.js'
import { show } from './waiting.js'

/** What a child has to know before it imports anything. */
export interface Preparation {
  readonly name: string
  readonly authkey: Uint8Array
  readonly daemon: boolean
  readonly identity: readonly number[]
  readonly parentPid: number
  readonly parentName: string
  readonly argv: readonly string[]
  /** Where to go first; null when the child starts there. */
  readonly directory: string | null
  readonly startMethod: string | null
}

/** What a child runs. */
export interface ProcessData {
  /** The class, when it is the program's own. */
  readonly type: (new () => Process) | null
  readonly target: State['target']
  readonly args: unknown[]
  readonly kwargs: object
  /** A subclass's own fields. */
  readonly fields: Record<string, unknown>
}

/**
 * The child's descriptors: what it is, what it runs, whether its parent lives, what V8 has made of this
 * package (see `spawn-main.ts`); then those it was sent.
 */
export const descriptors = {
  preparation: 3,
  data: 4,
  parent: PARENT_DESCRIPTOR,
  codeCache: 6,
  first: 7,
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
      if (OWN_OPTIONS_WITH_VALUE.test(option)) i++
    } else if (DEBUGGER.test(option)) kept.push('--inspect=0')
    else if (DEBUGGER_PORT.test(option)) i += option.includes('=') ? 0 : 1
    else kept.push(option)
  }
  return kept
}

/** The command line of a child that is sent so many descriptors. */
export const getCommandLine = (sent: number): string[] => [
  getExecutable(),
  ...inheritedOptions(process.execArgv),
  fileURLToPath(new URL('./spawn-main.cjs', import.meta.url)),
  CHILD_FLAG,
  String(sent),
]

/** The current directory; nothing when it was removed. */
const currentDirectory = (): string | null => {
  try {
    return process.cwd()
  } catch {
    return null
  }
}

const firstDirectory = currentDirectory()

/** Relative paths in node's options, of a loader perhaps, were meant from where the program began. */
const startingDirectory = (): string | undefined => {
  const now = currentDirectory()
  return firstDirectory === null || now === firstDirectory || !existsSync(firstDirectory)
    ? undefined
    : firstDirectory
}

/** What a child is told about itself. */
export const getPreparationData = (
  process_: Process,
  startMethod: string | null,
  startsIn: string | undefined,
): Preparation => {
  const state = stateOf(process_)
  const { name, daemon, identity } = state
  return {
    name,
    authkey: new Uint8Array(authkeyOf(state)),
    daemon,
    identity,
    parentPid: process.pid,
    parentName: stateOf(currentProcess()).name,
    argv: process.argv,
    directory: startsIn === undefined ? null : currentDirectory(),
    startMethod,
  }
}

const memoryFile = (parts: Uint8Array[]): number =>
  checked(native.createMemoryFile(parts), 'memfd_create')

/** Starts a process object by spawning. */
export const spawn = (process_: Process, startMethod: string | null): Child => {
  const state = stateOf(process_)
  const { target, args, kwargs } = state
  const type = isOwnClass(process_) ? (process_.constructor as ProcessData['type']) : null
  const data: ProcessData = { type, target, args, kwargs, fields: { ...process_ } }
  // The data is encoded first: it is what can fail, and then nothing is left behind.
  const { parts, descriptors: sent } = messageOf(encode(data, ''), false)
  const startsIn = startingDirectory()
  const preparation = messageOf(encode(getPreparationData(process_, startMethod, startsIn)), false)
  const lifeline = checked(native.lifeline(), 'socketpair')
  const codeCache = checked(native.codeCache(), 'memfd_create')
  const files: number[] = []
  try {
    files.push(memoryFile(preparation.parts))
    files.push(memoryFile(parts))
    const { pid, pidfd } = execute([...files, lifeline, codeCache, ...sent], state.daemon, startsIn)
    return new Child(pid, pidfd, !state.daemon)
  } finally {
    for (const fd of files) native.closeDescriptor(fd)
  }
}

/** A class of the program, not of this package. */
const isOwnClass = (process_: Process): boolean =>
  process_.constructor !== Process &&
  Object.getPrototypeOf(process_.constructor) !== null &&
  !packageClasses.has(process_.constructor)

const packageClasses = new Set<Function>([Process])

/** @internal A Process class of a context, which a child need not be told of. */
export const addPackageClass = (type: Function): void => {
  packageClasses.add(type)
}

const SIGTERM = 15

const execute = (
  inherit: number[],
  daemon: boolean,
  cwd: string | undefined,
): { pid: number; pidfd: number } => {
  const argv = getCommandLine(inherit.length - (descriptors.first - descriptors.preparation))
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
