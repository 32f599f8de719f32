/**
 * Pools of processes and of threads. Mirrors `multiprocessing.pool`.
 * @module
 */
export * from './pool.js'
export { ThreadPool, type ThreadPoolOptions } from './thread-pool.js'
