/**
 * What a pool tells of itself: on demand, and as it happens, through `node:diagnostics_channel`.
 * @module
 */
import type { Channel } from 'node:diagnostics_channel'
import type { PoolCore, PoolObserver } from './pool-core.js'
import type { Chunk } from './pool-jobs.js'
import type { PoolWorker } from './pool-worker.js'

/** What a worker has done. */
export interface WorkerStatistics {
  /** Its process id, or the number of its thread. */
  readonly pid: number
  /** How many tasks it has done. */
  readonly tasks: number
  /** For which part of its life it had a task. */
  readonly utilization: number
}

/** What a pool has done, and is doing. */
export interface PoolStatistics {
  /** How many tasks are done, those that failed included. One of `map` is a chunk of items. */
  readonly completed: number
  /** How many of them failed. */
  readonly failed: number
  /** How many tasks wait for a worker, as far as they have been made. */
  readonly waiting: number
  /** How many tasks workers have. */
  readonly running: number
  /** The workers that there are. */
  readonly workers: readonly WorkerStatistics[]
  /** How many workers were started, replacements included. */
  readonly started: number
  /** For which part of their lives the workers had a task. */
  readonly utilization: number
  /**
   * Within how many milliseconds a task was answered, in so many of a hundred of the last tasks: from when
   * it was sent; nothing when there were none.
   */
  readonly latency: { readonly p50: number; readonly p90: number; readonly p99: number } | undefined
}

/** Of how many of the last tasks the time is known. */
const REMEMBERED = 1024

const channels = process.getBuiltinModule('node:diagnostics_channel')
const channel = (name: string): Channel => channels.channel(`multiprocessing.pool.${name}`)
const workerStarted = channel('worker.started')
const workerEnded = channel('worker.ended')
const taskEnded = channel('task.ended')

/** Counts. */
export class Statistics implements PoolObserver {
  readonly #latencies = new Float64Array(REMEMBERED)
  #completed = 0
  #failed = 0
  #started = 0

  started(worker: PoolWorker): void {
    this.#started++
    if (workerStarted.hasSubscribers) workerStarted.publish({ pid: worker.handle.id })
  }

  ended(worker: PoolWorker): void {
    if (!workerEnded.hasSubscribers) return
    const { id, exitcode } = worker.handle
    workerEnded.publish({ pid: id, exitcode, tasks: worker.work.done })
  }

  answered(chunk: Chunk, failed: boolean): void {
    const duration = performance.now() - chunk.sent
    this.#latencies[this.#completed++ % REMEMBERED] = duration
    if (failed) this.#failed++
    if (taskEnded.hasSubscribers) {
      const { job, size } = chunk
      taskEnded.publish({ fn: job.fn, items: size, failed, duration })
    }
  }

  /** Everything that is known of a pool. */
  of(core: PoolCore): PoolStatistics {
    const now = performance.now()
    let busy = 0
    let life = 0
    const workers = core.workers.map(({ handle, since, work }) => {
      const age = Math.max(now - since, Number.MIN_VALUE)
      busy += work.busy
      life += age
      return { pid: handle.id, tasks: work.done, utilization: Math.min(1, work.busy / age) }
    })
    return {
      completed: this.#completed,
      failed: this.#failed,
      ...core.length,
      workers,
      started: this.#started,
      utilization: life === 0 ? 0 : Math.min(1, busy / life),
      latency: this.#latency(),
    }
  }

  #latency(): PoolStatistics['latency'] {
    const count = Math.min(this.#completed, REMEMBERED)
    if (count === 0) return undefined
    const sorted = this.#latencies.slice(0, count).sort()
    const at = (part: number): number => sorted[Math.min(count - 1, Math.floor(count * part))]!
    return { p50: at(0.5), p90: at(0.9), p99: at(0.99) }
  }
}
