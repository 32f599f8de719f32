/**
 * Which class of proxies each of the package's own types has.
 * @module
 */
import { DictProxy } from './dict-proxy.js'
import { IteratorProxy } from './iterator-proxy.js'
import { ListProxy } from './list-proxy.js'
import { AcquirerProxy, BarrierProxy, ConditionProxy, EventProxy } from './lock-proxies.js'
import { AsyncResultProxy, PoolProxy } from './pool-proxy.js'
import { type ProxyType, provideTypes } from './proxy.js'
import { QueueProxy } from './queue-proxy.js'
import { SetProxy } from './set-proxy.js'
import { ArrayProxy, NamespaceProxy, ValueProxy } from './value-proxies.js'

/** By the types of {@link SyncManager}. */
export const defaultTypes: Readonly<Record<string, ProxyType>> = {
  Queue: QueueProxy,
  JoinableQueue: QueueProxy,
  Event: EventProxy,
  Lock: AcquirerProxy,
  RLock: AcquirerProxy,
  Semaphore: AcquirerProxy,
  BoundedSemaphore: AcquirerProxy,
  Condition: ConditionProxy,
  Barrier: BarrierProxy,
  Pool: PoolProxy,
  list: ListProxy,
  dict: DictProxy,
  set: SetProxy,
  Value: ValueProxy,
  Array: ArrayProxy,
  Namespace: NamespaceProxy,
  Iterator: IteratorProxy,
  AsyncResult: AsyncResultProxy,
}

provideTypes(
  {
    QueueProxy,
    EventProxy,
    AcquirerProxy,
    ConditionProxy,
    BarrierProxy,
    PoolProxy,
    ListProxy,
    DictProxy,
    SetProxy,
    ValueProxy,
    ArrayProxy,
    NamespaceProxy,
    IteratorProxy,
    AsyncResultProxy,
  },
  (typeid) => (Object.hasOwn(defaultTypes, typeid) ? defaultTypes[typeid] : undefined),
)
