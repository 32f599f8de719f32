/**
 * What processes wait for one another with. Mirrors `multiprocessing.synchronize`.
 * @module
 */
export { type AcquireOptions, type AcquireSyncOptions, SEM_VALUE_MAX } from './acquiring.js'
export { Barrier, type BarrierOptions } from './barrier.js'
export { Condition } from './condition.js'
export { Event } from './event.js'
export type { Held } from './held.js'
export { Lock } from './lock.js'
export { RLock } from './recursive-lock.js'
export { BoundedSemaphore, Semaphore } from './semaphore.js'
