/**
 * Managers: objects in a server that processes share, on this machine or over a network. Mirrors
 * `multiprocessing.managers`.
 * @module
 */
export { RemoteError } from './errors.js'
export { Manager, ManagerSync } from './manager.js'
export {
  BaseManager,
  type Creators,
  type ManagerOptions,
  type Proxied,
  type RegisterOptions,
  type Results,
  type StartOptions,
  State,
} from './managers/base-manager.js'
export type { Both } from './managers/calls.js'
export { type DictCalls, DictProxy, type DictSource } from './managers/dict-proxy.js'
export { IteratorProxy } from './managers/iterator-proxy.js'
export { type ListCalls, ListProxy } from './managers/list-proxy.js'
export {
  type AcquirerCalls,
  AcquirerProxy,
  type BarrierCalls,
  BarrierProxy,
  type ConditionCalls,
  ConditionProxy,
  type EventCalls,
  EventProxy,
} from './managers/lock-proxies.js'
export {
  type AsyncResultCalls,
  AsyncResultProxy,
  type PoolCalls,
  PoolProxy,
} from './managers/pool-proxy.js'
export { Token } from './managers/protocol.js'
export {
  AutoProxy,
  BaseProxy,
  type CallOptions,
  makeProxyType,
  type ProxyOptions,
  type ProxyType,
} from './managers/proxy.js'
export { type QueueCalls, QueueProxy } from './managers/queue-proxy.js'
export { ShutDown } from './managers/queue-referent.js'
export { allMethods, publicMethods } from './managers/registry.js'
export { Server } from './managers/server.js'
export { type SetCalls, SetProxy, type SetSource } from './managers/set-proxy.js'
export { SharedMemoryManager } from './managers/shared-memory-manager.js'
export { Slice, slice } from './managers/slice.js'
export { SyncManager } from './managers/sync-manager.js'
export type { TlsOptions } from './managers/tls.js'
export {
  type ArrayCalls,
  ArrayProxy,
  type NamespaceCalls,
  NamespaceProxy,
  type ValueCalls,
  ValueProxy,
} from './managers/value-proxies.js'
