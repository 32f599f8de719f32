/**
 * The start method *forkserver*: a node that is loaded once, and forked for each process. Mirrors
 * `multiprocessing.forkserver`.
 * @module
 */
import { fileURLToPath, pathToFileURL } from 'node:url'
import { debuglog } from 'node:util'
import { Child } from './children.js'
import { changedEnvironment, environmentIsServed } from './environment.js'
import { OSError } from './errors.js'
import { Finalize } from './finalize.js'
import type { ForkServerSettings } from './forkserver-main.js'
import { native } from './native.js'
import { checked, END, errorOf, REFUSED } from './native-status.js'
import type { ObjectMessage } from './objects.js'
import {
  getPreload,
  getPreparationData,
  partsOfObject,
  setPreload,
  withEncodedData,
  withMemoryFiles,
} from './preparation.js'
import type { Process } from './process.js'
import { stateOf } from './process-state.js'
import { trackerDescriptors } from './resource-tracker.js'
import { execute, getCommandLine, inheritedOptions, spawn, startingDirectory } from './spawn.js'
import { READABLE, Watcher } from './watcher.js'

const log = debuglog('multiprocessing')

/** Whether this program has what no fork survives; its processes are spawned then. */
let refused = false

/** Starts a process object by having the fork server fork, or by spawning where it cannot. */
export const forkserver = (process_: Process, startMethod: string | null): Child =>
  (refused ? undefined : fork(process_, startMethod)) ?? spawn(process_, startMethod)

/** How often a server that is gone is started again for one process. */
const ATTEMPTS = 3

const fork = (process_: Process, startMethod: string | null): Child | undefined =>
  withEncodedData(process_, (data) => forkFor(process_, startMethod, data))

const forkFor = (
  process_: Process,
  startMethod: string | null,
  { parts, descriptors: sent }: ObjectMessage,
): Child | undefined => {
  const { daemon } = stateOf(process_)
  const told = getPreparationData(process_, startMethod, '')
  const lifeline = checked(native.lifeline(), 'socketpair')
  if (ensureRunning() === undefined) return undefined
  const preparation = partsOfObject({ ...told, environment: changedEnvironment() })
  return withMemoryFiles([preparation, parts], (files) => {
    let exitcode: number | null = null
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const server = ensureRunning()
      if (server === undefined) return undefined
      const [pid, pidfd, channel] = native.startForked(server, [...files, lifeline, ...sent])
      if (pid! > 0) return new Child(pid!, pidfd!, !daemon, channel!)
      if (pid === REFUSED) return refuse('its loader hooks run on a thread of their own')
      if (pid !== END) throw errorOf(pid!, 'fork')
      exitcode = native.forgetForkServer(server) ?? exitcode
    }
    throw new OSError(
      `the fork server ended ${ATTEMPTS} times before it could start a process (exit code ${exitcode ?? 'unknown'})`,
    )
  })
}

const refuse = (why: string): undefined => {
  log('processes are spawned, not forked: %s', why)
  refused = true
  native.stopForkServer(GRACE)
  return undefined
}

/**
 * Starts the fork server, if there is none that this process knows of; it is ready when it has answered.
 * Returns its number; nothing where there cannot be one.
 */
export const ensureRunning = (): number | undefined => {
  const known = native.forkServer()
  if (known !== null) return known
  const options = inheritedOptions(process.execArgv).filter((option) => !DEBUGGER.test(option))
  if ([...options, process.env.NODE_OPTIONS ?? ''].some((option) => LOADER.test(option))) {
    return refuse('--loader runs loader hooks on a thread of their own')
  }
  return launch(options)
}

const DEBUGGER = /^--inspect/
const LOADER = /(?:^|\s)--(?:experimental-)?loader\b/

/**
 * Without threads of its own, V8 survives a fork. One thread remains that it tells of work to share: of
 * several, some may be waking up when the fork is made, and the C library then waits for them in the copy,
 * for ever. V8 is not to tidy up in each child what the server left behind.
 */
const SERVER = ['--single-threaded', '--v8-pool-size=1', '--no-memory-reducer']

const REQUIRE = /(?:^|\s)(?:-r|--require)\b/
const IMPORT = /(?:^|\s)--import\b/

/**
 * The option that loads the guard before what others load, if any do; the server itself loads it soon
 * enough for the rest. Node reads the working directory's package.json for either option, so a broken one
 * is not to meet one of ours where the program has none.
 */
const guardBefore = (options: readonly string[]): string[] => {
  const guard = fileURLToPath(new URL('./fork-guard.cjs', import.meta.url))
  const all = [...options, process.env.NODE_OPTIONS ?? '']
  if (all.some((option) => REQUIRE.test(option))) return ['--require', guard]
  return all.some((option) => IMPORT.test(option)) ? ['--import', pathToFileURL(guard).href] : []
}

/** After the processes have been ended, and after whatever else wants to come late. */
const LAST = -1000

/** Whether the program's end stops the server. */
let stopping = false

const launch = (options: string[]): number => {
  const settings: ForkServerSettings = {
    argv: process.argv,
    execArgv: process.execArgv,
    preload: getPreload() ?? ['__main__'],
  }
  const lifeline = checked(native.lifeline(), 'socketpair')
  const codeCache = checked(native.codeCache(), 'memfd_create')
  const [clients, control] = native.forkServerControl()
  checked(clients!, 'socketpair')
  // A thread's end is not the program's.
  if (native.isMainThread() && !stopping) {
    stopping = true
    new Finalize(null, stopServer, { exitpriority: LAST })
  }
  const argv = getCommandLine('forkserver', [...SERVER, ...guardBefore(options), ...options])
  try {
    const { pidfd } = withMemoryFiles([partsOfObject(settings)], (files) =>
      execute({
        argv,
        inherit: [...files, control!, lifeline, codeCache, ...trackerDescriptors()],
        daemon: false,
        cwd: startingDirectory(),
      }),
    )
    environmentIsServed()
    const copy = checked(native.duplicateDescriptor(pidfd), 'dup')
    const number = checked(native.useForkServer(clients!, pidfd), 'fork')
    collectAtEnd(number, copy)
    return number
  } catch (error) {
    native.closeDescriptor(clients!)
    throw error
  } finally {
    native.closeDescriptor(control!)
  }
}

/** A server that is killed is not to stay a zombie until somebody asks it again. */
const collectAtEnd = (number: number, pidfd: number): void => {
  const watcher = new Watcher(pidfd, () => {
    watcher.close()
    native.closeDescriptor(pidfd)
    native.forgetForkServer(number)
  })
  watcher.want(READABLE)
  watcher.keepAlive(false)
}

/**
 * How long the end of the program waits for the server's, in milliseconds; not at all where others use it
 * too. It ends in no time, once the system lets it.
 */
const GRACE = 5000

/** The program's processes have ended by now, so nobody else holds the other end of the control socket. */
const stopServer = (): void => {
  native.stopForkServer(GRACE)
}

/**
 * Names the modules that the fork server is to import before it forks, so that its children have them at
 * once: the main module by default. Has no effect on a server that runs already. A module that cannot be
 * imported is left out, and its error is that of the child that needs it.
 *
 * @param moduleNames - Paths, URLs or package names; `'__main__'` is the main module; null for the default.
 * @throws TypeError for anything but an array of strings.
 *
 * Mirrors `multiprocessing.set_forkserver_preload`.
 */
export const setForkserverPreload = (moduleNames: readonly string[] | null): void => {
  if (moduleNames !== null && !isStrings(moduleNames)) {
    throw new TypeError('moduleNames must be an array of strings')
  }
  setPreload(moduleNames === null ? null : [...moduleNames])
}

const isStrings = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((item) => typeof item === 'string')
