/**
 * A pool of threads. Mirrors `multiprocessing.pool.ThreadPool`.
 * @module
 */
import { DummyProcess } from './dummy-process.js'
import { Pool, type PoolOptions } from './pool.js'

/** What a pool of threads has no use for. */
const REFUSED = ['context', 'maxtasksperchild', 'maxMemoryPerChild'] as const

/** How a {@link ThreadPool} is made. */
export type ThreadPoolOptions = Omit<PoolOptions, (typeof REFUSED)[number]>

/**
 * A {@link Pool} whose workers are threads of this process: see `node-multiprocessing/dummy`. What goes to
 * them travels as it does to processes.
 *
 * Mirrors `multiprocessing.pool.ThreadPool`.
 */
export class ThreadPool extends Pool {
  /**
   * @param options - The number of threads, or options.
   * @throws As {@link Pool}; TypeError for options that a pool of threads does not have; Error in a process
   * that was made by a fork.
   */
  constructor(options: number | null | ThreadPoolOptions = {}) {
    const given = typeof options === 'object' && options !== null ? options : { processes: options }
    for (const name of REFUSED) {
      if (Object.hasOwn(given, name)) throw new TypeError(`a ThreadPool has no ${name}`)
    }
    super({ ...given, context: threads })
  }
}

const threads = { Process: DummyProcess }
