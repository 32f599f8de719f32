/**
 * A pool of threads. Mirrors `multiprocessing.pool.ThreadPool`.
 * @module
 */
import type { BaseContext } from './context.js'
import { DummyProcess } from './dummy-process.js'
import { Pool, type PoolOptions } from './pool.js'

/** How a {@link ThreadPool} is made. */
export type ThreadPoolOptions = Omit<PoolOptions, 'context'>

/**
 * A {@link Pool} whose workers are threads of this process: see `node-multiprocessing/dummy`.
 *
 * Mirrors `multiprocessing.pool.ThreadPool`.
 */
export class ThreadPool extends Pool {
  /**
   * @param options - The number of threads, or options.
   * @throws As {@link Pool}.
   */
  constructor(options: number | null | ThreadPoolOptions = {}) {
    const given = typeof options === 'object' && options !== null ? options : { processes: options }
    super({ ...given, context: threads as BaseContext })
  }
}

const threads: Pick<BaseContext, 'Process'> = { Process: DummyProcess }
