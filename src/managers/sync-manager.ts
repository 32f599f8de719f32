/**
 * The manager with the usual types.
 * @module
 */

import type { PoolOptions } from '../pool.js'
import { BaseManager, registerBuiltin } from './base-manager.js'
import { defaultTypes } from './default-types.js'
import type { DictProxy, DictSource } from './dict-proxy.js'
import type { ListProxy } from './list-proxy.js'
import type { AcquirerProxy, BarrierProxy, ConditionProxy, EventProxy } from './lock-proxies.js'
import type { PoolProxy } from './pool-proxy.js'
import type { QueueProxy } from './queue-proxy.js'
import type { SetProxy, SetSource } from './set-proxy.js'
import type { ArrayProxy, NamespaceProxy, ValueProxy } from './value-proxies.js'

export interface SyncManager {
  /** A queue, for so many items at a time; for as many as there are if not given. */
  Queue<T = any>(maxsize?: number): Promise<QueueProxy<T>>
  /** The same, blocking. */
  QueueSync<T = any>(maxsize?: number): QueueProxy<T>
  /** The same: every queue of a manager knows which of its items are done with. */
  JoinableQueue<T = any>(maxsize?: number): Promise<QueueProxy<T>>
  /** The same, blocking. */
  JoinableQueueSync<T = any>(maxsize?: number): QueueProxy<T>
  /** A flag to wait for. */
  Event(): Promise<EventProxy>
  /** The same, blocking. */
  EventSync(): EventProxy
  /** A lock that anybody may release. */
  Lock(): Promise<AcquirerProxy>
  /** The same, blocking. */
  LockSync(): AcquirerProxy
  /** A lock that the thread which holds it may take again. */
  RLock(): Promise<AcquirerProxy>
  /** The same, blocking. */
  RLockSync(): AcquirerProxy
  /** A semaphore, which so many may hold at a time; one if not given. */
  Semaphore(value?: number): Promise<AcquirerProxy>
  /** The same, blocking. */
  SemaphoreSync(value?: number): AcquirerProxy
  /** The same; it cannot be released more often than it was taken. */
  BoundedSemaphore(value?: number): Promise<AcquirerProxy>
  /** The same, blocking. */
  BoundedSemaphoreSync(value?: number): AcquirerProxy
  /** A condition, over a lock of this manager; over one of its own if not given. */
  Condition(lock?: AcquirerProxy | null): Promise<ConditionProxy>
  /** The same, blocking. */
  ConditionSync(lock?: AcquirerProxy | null): ConditionProxy
  /** A barrier for so many; the action, which can travel, is run in the server; the timeout is in seconds. */
  Barrier(
    parties: number,
    action?: (() => unknown) | null,
    timeout?: number | null,
  ): Promise<BarrierProxy>
  /** The same, blocking. */
  BarrierSync(
    parties: number,
    action?: (() => unknown) | null,
    timeout?: number | null,
  ): BarrierProxy
  /** A pool, whose workers are children of the server. */
  Pool(options?: number | null | Omit<PoolOptions, 'context'>): Promise<PoolProxy>
  /** The same, blocking. */
  PoolSync(options?: number | null | Omit<PoolOptions, 'context'>): PoolProxy
  /** A list of these values. */
  list<T = any>(values?: Iterable<T> | ListProxy<T>): Promise<ListProxy<T>>
  /** The same, blocking. */
  listSync<T = any>(values?: Iterable<T> | ListProxy<T>): ListProxy<T>
  /** A dictionary of these pairs. */
  dict<K = any, V = any>(source?: DictSource<K, V>): Promise<DictProxy<K, V>>
  /** The same, blocking. */
  dictSync<K = any, V = any>(source?: DictSource<K, V>): DictProxy<K, V>
  /** A set of these values. */
  set<T = any>(values?: SetSource<T>): Promise<SetProxy<T>>
  /** The same, blocking. */
  setSync<T = any>(values?: SetSource<T>): SetProxy<T>
  /** A value; the typecode is only for show, as in the reference. */
  Value<T = any>(typecode: string, value: T): Promise<ValueProxy<T>>
  /** The same, blocking. */
  ValueSync<T = any>(typecode: string, value: T): ValueProxy<T>
  /** An array of numbers of one type, by its typecode, such as `'i'`. */
  Array<T = number>(typecode: string, values: Iterable<T>): Promise<ArrayProxy<T>>
  /** The same, blocking. */
  ArraySync<T = number>(typecode: string, values: Iterable<T>): ArrayProxy<T>
  /** A namespace with these attributes. */
  Namespace(attributes?: object): Promise<NamespaceProxy>
  /** The same, blocking. */
  NamespaceSync(attributes?: object): NamespaceProxy
}

/**
 * A manager whose server has the usual types: lists, dictionaries and sets, queues, locks and their like,
 * values, arrays and namespaces, and pools.
 *
 * Mirrors `managers.SyncManager`.
 */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: the methods are defined for the types.
export class SyncManager extends BaseManager {}

registerBuiltin(SyncManager, Object.keys(defaultTypes))
