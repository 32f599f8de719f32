/**
 * Contexts: everything of the package, bound to a way of starting processes. Mirrors
 * `multiprocessing.context`.
 * @module
 */

import { canFork } from './can-fork.js'
import type { Child } from './children.js'
import { Pipe } from './connection.js'
import * as errors from './errors.js'
import { RuntimeError, ValueError } from './errors.js'
import { fork, HOW_TO_FORK } from './fork.js'
import { forkserver, setForkserverPreload } from './forkserver.js'
import { getLogger, logToStderr } from './logger.js'
import { Manager, ManagerSync } from './manager.js'
import { Pool, type PoolOptions } from './pool.js'
import { addPackageClass } from './preparation.js'
import { activeChildren, cpuCount, currentProcess, Process, parentProcess } from './process.js'
import { JoinableQueue, Queue, SimpleQueue } from './queues.js'
import { RawArray, RawValue, SharedArray, Value } from './sharedctypes.js'
import { setExecutable, spawn } from './spawn.js'
import { setDefaultStart, startMethod } from './start.js'
import {
  Barrier,
  BoundedSemaphore,
  Condition,
  Event,
  Lock,
  RLock,
  Semaphore,
} from './synchronize.js'
import { show } from './waiting.js'

/**
 * How processes can be started: as copies of a node that was loaded before (*forkserver*, the default on
 * Linux), as copies of the program (*fork*; Linux, with `node --single-threaded --v8-pool-size=1`), or as
 * a fresh node (*spawn*, the default elsewhere).
 */
export type StartMethod = 'forkserver' | 'fork' | 'spawn'

const starters: Record<StartMethod, (process: Process, fixed: string | null) => Child> = {
  forkserver,
  fork,
  spawn,
}

/** The platform's methods, the default first. */
const methods: readonly StartMethod[] =
  process.platform === 'linux'
    ? ['forkserver', ...(canFork() ? (['fork'] as const) : []), 'spawn']
    : ['spawn']

/** The method of a name, or what is wrong with it. */
const methodNamed = (name: unknown): StartMethod => {
  if (methods.includes(name as StartMethod)) return name as StartMethod
  if (name === 'fork' && process.platform === 'linux') {
    throw new ValueError(`fork start method not available: ${HOW_TO_FORK}`)
  }
  if (Object.hasOwn(starters, String(name))) {
    throw new ValueError(`${name} start method not available on ${process.platform}`)
  }
  throw new ValueError(`cannot find context for ${show(name)}`)
}

let actual: StartMethod | null = null

/**
 * What all contexts have: the package's names, bound to a start method.
 *
 * Mirrors `multiprocessing.context.BaseContext`.
 */
export abstract class BaseContext {
  readonly ProcessError: typeof errors.ProcessError = errors.ProcessError
  readonly BufferTooShort: typeof errors.BufferTooShort = errors.BufferTooShort
  readonly TimeoutError: typeof errors.TimeoutError = errors.TimeoutError
  readonly AuthenticationError: typeof errors.AuthenticationError = errors.AuthenticationError
  /** As the package's function of this name. */
  readonly currentProcess: typeof currentProcess = currentProcess
  /** As the package's function of this name. */
  readonly parentProcess: typeof parentProcess = parentProcess
  /** As the package's function of this name. */
  readonly activeChildren: typeof activeChildren = activeChildren
  /** As the package's function of this name. */
  readonly cpuCount: typeof cpuCount = cpuCount
  /** As the package's function of this name. */
  readonly getLogger: typeof getLogger = getLogger
  /** As the package's function of this name. */
  readonly logToStderr: typeof logToStderr = logToStderr
  /** As the package's function of this name. */
  readonly Pipe: typeof Pipe = Pipe
  /** As the package's class of this name, and so are the following: they belong to no start method. */
  readonly Lock: typeof Lock = Lock
  readonly RLock: typeof RLock = RLock
  readonly Semaphore: typeof Semaphore = Semaphore
  readonly BoundedSemaphore: typeof BoundedSemaphore = BoundedSemaphore
  readonly Condition: typeof Condition = Condition
  readonly Event: typeof Event = Event
  readonly Barrier: typeof Barrier = Barrier
  /** As the package's function of this name, and so are the following: they belong to no start method. */
  readonly Value: typeof Value = Value
  readonly Array: typeof SharedArray = SharedArray
  readonly RawValue: typeof RawValue = RawValue
  readonly RawArray: typeof RawArray = RawArray
  readonly Queue: typeof Queue = Queue
  readonly JoinableQueue: typeof JoinableQueue = JoinableQueue
  readonly SimpleQueue: typeof SimpleQueue = SimpleQueue
  /** As the package's function of this name. */
  readonly setExecutable: typeof setExecutable = setExecutable
  /** As the package's function of this name. */
  readonly freezeSupport: typeof freezeSupport = freezeSupport
  /** As the package's function of this name. */
  readonly setForkserverPreload: typeof setForkserverPreload = setForkserverPreload
  /** As the package's function of this name; the server is started by this context's method. */
  readonly Manager: typeof Manager
  /** The same, blocking. */
  readonly ManagerSync: typeof ManagerSync
  /** The Process class of this context. */
  abstract readonly Process: typeof Process
  /** The Pool class of this context: its workers are started by this context's method. */
  readonly Pool: new (
    options?: number | PoolOptions,
  ) => Pool

  constructor() {
    const context = this
    this.Manager = (options = {}) => Manager({ context, ...options })
    this.ManagerSync = (options = {}) => ManagerSync({ context, ...options })
    this.Pool = class extends Pool {
      constructor(options: number | PoolOptions = {}) {
        super({ ...(typeof options === 'number' ? { processes: options } : options), context })
      }
    }
    Object.defineProperty(this.Pool, 'name', { value: 'Pool' })
  }

  /**
   * Another context, as {@link getContext}; without a method, this one.
   *
   * @throws ValueError for a method that this program does not have.
   */
  getContext(method?: string | null): BaseContext {
    return method === undefined || method === null ? this : getContext(method)
  }

  /**
   * The name of the method by which this context starts processes. That of the package's own context is
   * the program's, as {@link getStartMethod}; only there do the options matter.
   */
  abstract getStartMethod(options?: { allowNone?: boolean }): StartMethod | null

  /**
   * Chooses the program's method, in the package's own context; see {@link setStartMethod}.
   *
   * @throws ValueError in a context of one method, which cannot be changed.
   */
  setStartMethod(_method: string | null, _options?: { force?: boolean }): void {
    throw new ValueError('cannot set start method of concrete context')
  }
}

/**
 * A process that is always spawned, whatever the program's default is: a fresh node that imports what its
 * function needs. `start()` blocks until that node is executed; loading goes on after that.
 */
export class SpawnProcess<Args extends unknown[] = any[]> extends Process<Args> {
  /** @internal */
  static readonly [startMethod] = (process: Process): Child => starters.spawn(process, actual)
}

/** The context of the method *spawn*; see {@link SpawnProcess}. */
export class SpawnContext extends BaseContext {
  readonly Process: typeof SpawnProcess = SpawnProcess

  getStartMethod(): StartMethod {
    return 'spawn'
  }
}

/**
 * A process that the fork server forks, whatever the program's default is. The child has nothing of this
 * process's memory but what it is sent, and the modules that the server has imported; V8 has no threads in
 * it, and `worker_threads` are refused.
 *
 * `start()` blocks until the child exists. The first one of a program starts the server, and waits until it
 * has imported what it preloads. Where the program has loader hooks on a thread of their own, the process
 * is spawned instead. A server that is gone is started again; one that ends three times before it could
 * make this process is an OSError. Children live on when the server is killed, and end with their own exit
 * codes; one that is then killed itself has 255.
 */
export class ForkServerProcess<Args extends unknown[] = any[]> extends Process<Args> {
  /** @internal */
  static readonly [startMethod] = (process: Process): Child => starters.forkserver(process, actual)
}

/** The context of the method *forkserver*; see {@link ForkServerProcess}. */
export class ForkServerContext extends BaseContext {
  readonly Process: typeof ForkServerProcess = ForkServerProcess

  getStartMethod(): StartMethod {
    return 'forkserver'
  }
}

/**
 * A process that is a copy of this one, whatever the program's default is. Nothing has to travel: target
 * and arguments are there, with all that this process has in memory, and all its descriptors. What this
 * process has under way is not for the copy: neither the code that called `start()`, nor timers, servers
 * and children.
 *
 * `start()` blocks until the copy has been made; first, for a second at most, until the program's other
 * threads rest, and it is an OSError (`EAGAIN`) when they do not. In a worker thread it is a RuntimeError.
 */
export class ForkProcess<Args extends unknown[] = any[]> extends Process<Args> {
  /** @internal */
  static readonly [startMethod] = (process: Process): Child => starters.fork(process, actual)
}

/** The context of the method *fork*; see {@link ForkProcess}. */
export class ForkContext extends BaseContext {
  readonly Process: typeof ForkProcess = ForkProcess

  getStartMethod(): StartMethod {
    return 'fork'
  }
}

/** The context of whatever method the program has chosen: that of the package itself. */
export class DefaultContext extends BaseContext {
  readonly Process: typeof Process = Process

  override getContext(method?: string | null): BaseContext {
    return getContext(method)
  }

  override getStartMethod(options: { allowNone?: boolean } = {}): StartMethod | null {
    return getStartMethod(options)
  }

  override setStartMethod(method: string | null, options: { force?: boolean } = {}): void {
    setStartMethod(method, options)
  }

  /** As the package's function of this name. */
  readonly getAllStartMethods: typeof getAllStartMethods = getAllStartMethods
}

const contextTypes: Record<StartMethod, new () => BaseContext> = {
  forkserver: ForkServerContext,
  fork: ForkContext,
  spawn: SpawnContext,
}

const contexts = {} as Record<StartMethod, BaseContext>

/**
 * A context: an object with the package's names, whose processes are started by one method. Libraries
 * use one, so as to leave the program's choice alone. There is one for each method, and objects of one may
 * be used in processes of another. Asking starts nothing and does not block.
 *
 * @param method - 'forkserver', 'fork' or 'spawn'; nothing or null for the program's method, which is
 * fixed by this.
 * @throws ValueError for a method that this platform does not have, and for 'fork' in a program that was
 * not started with `node --single-threaded --v8-pool-size=1`.
 *
 * Mirrors `multiprocessing.get_context`.
 */
export const getContext = (method?: string | null): BaseContext => {
  const name = methodNamed(method ?? getStartMethod())
  contexts[name] ??= new contextTypes[name]()
  return contexts[name]
}

/**
 * Chooses the method by which the program starts processes. Once, in the main module, under the guard.
 * Children inherit the choice; processes and pools of a context are not affected. It starts nothing and
 * does not block.
 *
 * @param method - One of {@link getAllStartMethods}; null, with force, for none, so that the next use
 * fixes the default again.
 * @param options - `force` allows it again; what was started before is not affected.
 * @throws RuntimeError when it has been chosen, or used, before; ValueError for a method that this
 * platform does not have, and for 'fork' in a program that was not started with
 * `node --single-threaded --v8-pool-size=1`.
 *
 * Mirrors `multiprocessing.set_start_method`.
 */
export const setStartMethod = (
  method: string | null,
  { force = false }: { force?: boolean } = {},
): void => {
  if (actual !== null && !force) throw new RuntimeError('context has already been set')
  if (method === null && force) {
    actual = null
    return
  }
  actual = methodNamed(method)
}

/**
 * The method by which the program starts processes. Asking fixes it.
 *
 * @param options - `allowNone`: rather than fix it, answer null when it is not fixed yet.
 *
 * Mirrors `multiprocessing.get_start_method`.
 */
export function getStartMethod(options: { allowNone: true }): StartMethod | null
export function getStartMethod(options?: { allowNone?: boolean }): StartMethod
export function getStartMethod({
  allowNone = false,
}: {
  allowNone?: boolean
} = {}): StartMethod | null {
  if (actual === null && !allowNone) actual = methods[0]!
  return actual
}

/**
 * The methods that this program can use, the default first; 'fork' is among them only where the program
 * was started for it.
 *
 * Mirrors `multiprocessing.get_all_start_methods`.
 */
export const getAllStartMethods = (): StartMethod[] => [...methods]

/**
 * Does nothing: it is there for programs that come from Python, where a frozen executable needs it.
 *
 * Mirrors `multiprocessing.freeze_support`.
 */
export const freezeSupport = (): void => {}

export { setForkserverPreload } from './forkserver.js'

setDefaultStart((process) => starters[getStartMethod()](process, actual))
addPackageClass(SpawnProcess)
addPackageClass(ForkServerProcess)
addPackageClass(ForkProcess)
