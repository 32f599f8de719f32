/**
 * A manager with the usual types, started.
 * @module
 */
import { bringReducers } from './codec/index.js'
import type { ManagerOptions } from './managers/base-manager.js'
import type { SyncManager } from './managers/sync-manager.js'
import { managers } from './on-demand.js'

// Somebody may send a proxy to a process that has not used managers yet.
bringReducers('managers', managers)

/**
 * Starts a manager with the usual types, and returns it. It ends with this process, and by `shutdown()` or
 * at the end of a block with `await using`.
 *
 * @throws What {@link BaseManager.start} throws.
 *
 * Mirrors `multiprocessing.Manager`.
 */
export const Manager = async (options?: ManagerOptions): Promise<SyncManager> => {
  const manager = new (managers().SyncManager)(options)
  await manager.start()
  return manager
}

/** The same, blocking until the server serves. */
export const ManagerSync = (options?: ManagerOptions): SyncManager => {
  const manager = new (managers().SyncManager)(options)
  manager.startSync()
  return manager
}
