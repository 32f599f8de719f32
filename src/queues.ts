/**
 * Queues that processes share. Mirrors `multiprocessing.queues`.
 * @module
 */
export type { AcquireOptions, AcquireSyncOptions } from './acquiring.js'
export { Empty, Full } from './errors.js'
export { JoinableQueue } from './joinable-queue.js'
export { type GetManyOptions, type GetManySyncOptions, Queue } from './queue.js'
export { SimpleQueue } from './simple-queue.js'
