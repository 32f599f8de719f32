/**
 * Proxies for queues.
 * @module
 */
import type { AcquireOptions } from '../acquiring.js'
import type { Both, Spellings } from './calls.js'
import { inSeconds } from './lock-proxies.js'
import { BaseProxy, SPELLINGS } from './proxy.js'
import { exposed } from './types.js'

/** What can be done with a queue, as {@link QueueProxy} has it: each in a Promise and a Sync form. */
export interface QueueCalls<T> {
  /**
   * Puts in an item, waiting for a place if need be.
   *
   * @param options - `timeout` in milliseconds; with `block: false` it goes in only if there is a place now.
   * @throws Full; the signal's reason, in the Promise form.
   */
  put(item: T, options?: AcquireOptions): void
  /** Puts in an item if there is a place now. @throws Full. */
  putNowait(item: T): void
  /** Takes out the first item, waiting for one if need be. @throws Empty; the signal's reason. */
  get(options?: AcquireOptions): T
  /** Takes out the first item if there is one now. @throws Empty. */
  getNowait(): T
  /** How many items there are. */
  qsize(): number
  /** Whether there are none. */
  empty(): boolean
  /** Whether there is no place. */
  full(): boolean
  /** Says that an item which was taken is done with. @throws ValueError when there were no more. */
  taskDone(): void
  /** Waits until all items that were put in are done with. */
  join(): void
  /** Nothing more goes in; with `immediate`, nothing comes out either. Who waits gets ShutDown. */
  shutdown(immediate?: boolean): void
}

const patience = (options: AcquireOptions = {}): unknown[] => {
  const { block = true, timeout } = options
  if (typeof block !== 'boolean') throw new TypeError('block must be true or false')
  if (!block) return [false]
  const seconds = inSeconds(timeout)
  return seconds === null ? [] : [true, seconds]
}

export interface QueueProxy<T = any> extends Both<QueueCalls<T>> {}

/**
 * A queue in a manager's server: `queue.Queue`, with its items in the server. What `get` waits for does
 * not keep others waiting.
 */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: the methods are defined from the table.
// biome-ignore lint/correctness/noUnusedVariables: the methods use it.
export class QueueProxy<T = any> extends BaseProxy {
  static override readonly _exposed_: readonly string[] = exposed.Queue
  /** @internal */
  static readonly [SPELLINGS]: Spellings = {
    put: { method: 'put', args: ([item, options]) => [item, ...patience(options)] },
    putNowait: 'put_nowait',
    get: { method: 'get', args: ([options]) => patience(options) },
    getNowait: 'get_nowait',
    qsize: 'qsize',
    empty: 'empty',
    full: 'full',
    taskDone: 'task_done',
    join: 'join',
    shutdown: 'shutdown',
  }
}

Object.defineProperty(QueueProxy, 'name', { value: 'AutoProxy[Queue]' })
