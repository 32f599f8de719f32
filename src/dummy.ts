/**
 * The names of the package over threads instead of processes. Mirrors `multiprocessing.dummy`.
 * @module
 */
import * as self from './dummy.js'
import type { DummyProcess } from './dummy-process.js'
import type { Process } from './process.js'
import { currentThread } from './process-state.js'

export * as connection from './connection.js'
export { Pipe } from './connection.js'
export { freezeSupport } from './context.js'
export { Namespace } from './dummy-namespace.js'
export {
  activeThreads as activeChildren,
  DummyProcess,
  DummyProcess as Process,
} from './dummy-process.js'
export { JoinableQueue, Queue, SimpleQueue } from './queues.js'
export { SharedArray as Array, Value } from './sharedctypes.js'
export {
  Barrier,
  BoundedSemaphore,
  Condition,
  Event,
  Lock,
  RLock,
  Semaphore,
} from './synchronize.js'
export { ThreadPool as Pool, type ThreadPoolOptions as PoolOptions } from './thread-pool.js'

/**
 * The object of the thread this code runs in; in the main thread of a process, that of the process.
 *
 * Mirrors `multiprocessing.dummy.current_process`.
 */
export const currentProcess = (): Process | DummyProcess => currentThread()

/**
 * An array of JavaScript's. A thread that it is sent to has a copy of its own: to share one, take an
 * {@link Array} or the list of a manager.
 *
 * Mirrors `multiprocessing.dummy.list`.
 */
export const list = <T>(items: Iterable<T> = []): T[] => [...items]

/**
 * A `Map`. A thread that it is sent to has a copy of its own, as of a {@link list}.
 *
 * Mirrors `multiprocessing.dummy.dict`.
 *
 * @param entries - Pairs of keys and values, or an object with them.
 */
export const dict = <K = unknown, V = unknown>(
  entries: Iterable<readonly [K, V]> | Readonly<Record<string, V>> = [],
): Map<K, V> =>
  new Map(
    Symbol.iterator in entries
      ? (entries as Iterable<readonly [K, V]>)
      : (Object.entries(entries) as unknown as [K, V][]),
  )

/**
 * Stands for a manager: this module itself, which has the names of one.
 *
 * Mirrors `multiprocessing.dummy.Manager`.
 */
export const Manager = (): typeof self => self

/**
 * Does nothing: there is no manager that could be shut down.
 *
 * Mirrors `multiprocessing.dummy.shutdown`.
 */
export const shutdown = (): void => {}
