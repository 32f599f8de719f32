/**
 * A pool of worker processes. Mirrors `multiprocessing.pool`.
 * @module
 */
import { inspect } from 'node:util'
import { registerReducer } from './codec/index.js'
import type { BaseContext } from './context.js'
import { NotImplementedError, RemoteTraceback, ValueError, WorkerDiedError } from './errors.js'
import { PoolWorker } from './pool-worker.js'
import type { Answer, TaskKind } from './pool-worker-main.js'
import { cpuCount, Process } from './process.js'
import { show, type WaitOptions, waitOptions } from './waiting.js'

export { poolWorkerMain } from './pool-worker-main.js'

/** How a {@link Pool} is made. */
export interface PoolOptions {
  /** How many workers; as many as the machine has processors if not given. */
  processes?: number | null
  /** Called in each worker before its first task: any function that can travel. */
  initializer?: ((...args: any[]) => unknown) | null
  /** The initializer's arguments, sent to each worker as it starts. */
  initargs?: Iterable<unknown>
  /** Whose start method the workers are started by; the program's if not given. */
  context?: BaseContext
}

/** A function's arguments: all of them, or all but the last, which may come as `kwargs`. */
export type Arguments<A extends unknown[]> =
  | Readonly<A>
  | (A extends [...infer Most, unknown?] ? Readonly<Most> : never)

/** The same, or anything that can be iterated for them. */
export type ArgumentList<A extends unknown[]> = Arguments<A> | Iterable<A[number]>

type State = 'RUN' | 'CLOSE' | 'TERMINATE'

/** A call of map, starmap or apply, in pieces. */
interface Job {
  readonly fn: unknown
  readonly kind: TaskKind
  readonly results: unknown[]
  left: number
  failed: boolean
  settle(results: unknown[]): void
  fail(error: unknown): void
}

/** A piece of a job: so many items, sent to one worker in one message. */
export interface Chunk {
  readonly job: Job
  readonly start: number
  readonly items: unknown[]
}

/** How many chunks a worker has at a time, so that it need not wait for the next. */
const AHEAD = 2

/**
 * Worker processes to which calls of a function are given. The function, its arguments and its results
 * travel: exports by reference, other functions by value with what they capture. It may return a Promise.
 *
 * Workers are daemons: they end with the process that made the pool. A worker that dies fails the calls
 * it had with WorkerDiedError, and another one takes its place.
 *
 * Mirrors `multiprocessing.pool.Pool`.
 */
export class Pool {
  readonly #workers: PoolWorker[] = []
  readonly #queue: Chunk[] = []
  readonly #options: Required<Omit<PoolOptions, 'context'>> & { context: BaseContext | undefined }
  #state: State = 'RUN'
  /** Workers that died one after the other without ever having answered. */
  #stillborn = 0
  /** Why the pool can do nothing any more. */
  #broken: WorkerDiedError | undefined

  /**
   * @param options - The number of workers, or options.
   * @throws ValueError for fewer than one worker; TypeError for an initializer that is no function;
   * PicklingError when the initializer or its arguments cannot travel.
   */
  constructor(options: number | null | PoolOptions = {}) {
    const given = typeof options === 'object' && options !== null ? options : { processes: options }
    const processes = given.processes ?? cpuCount()
    if (!Number.isInteger(processes)) {
      throw new TypeError(`the number of processes must be a whole number, not ${show(processes)}`)
    }
    if (processes < 1) throw new ValueError('Number of processes must be at least 1')
    const { initializer = null, initargs = [], context } = given
    if (initializer !== null && typeof initializer !== 'function') {
      throw new TypeError(`initializer must be a function, not ${show(initializer)}`)
    }
    this.#options = { processes, initializer, initargs: [...initargs], context }
    for (let i = 0; i < processes; i++) this.#workers.push(this.#hire())
  }

  /**
   * Calls a function once, in a worker.
   *
   * @param fn - Any function that can travel.
   * @param args - Its arguments.
   * @param kwargs - When it has any, one last argument.
   * @returns What it returns.
   * @throws What it throws, with the worker's stack as `cause`; ValueError "Pool not running";
   * PicklingError when function or arguments cannot travel; WorkerDiedError.
   */
  async apply<A extends unknown[], R>(
    fn: (...args: A) => R | Promise<R>,
    args?: Arguments<NoInfer<A>>,
    kwargs?: object,
  ): Promise<R> {
    const [result] = await this.#start<R>(fn, 'starmap', [callArguments(args, kwargs)], 1)
    return result!
  }

  /** The same, blocking. */
  applySync<A extends unknown[], R>(
    fn: (...args: A) => R | Promise<R>,
    args?: Arguments<NoInfer<A>>,
    kwargs?: object,
  ): R {
    return this.#startSync<R>(fn, 'starmap', [callArguments(args, kwargs)], 1)[0]!
  }

  /**
   * Calls a function with each item, in the workers.
   *
   * @param fn - Any function that can travel.
   * @param iterable - The items; all are taken before the first is sent.
   * @param chunksize - How many items go in one message; by default so that each worker gets four.
   * @returns The results, in the order of the items.
   * @throws The first error that a call threw; otherwise as {@link Pool.apply}; ValueError for a
   * chunksize below 1.
   */
  async map<T, R>(
    fn: (item: T) => R | Promise<R>,
    iterable: Iterable<T> | AsyncIterable<T>,
    chunksize?: number | null,
  ): Promise<R[]> {
    this.#checkRunning()
    const items = isAsync(iterable) ? await listed(iterable) : [...iterable]
    return await this.#start<R>(fn, 'map', items, chunksize)
  }

  /** The same, blocking; the items cannot be asynchronous. */
  mapSync<T, R>(
    fn: (item: T) => R | Promise<R>,
    iterable: Iterable<T>,
    chunksize?: number | null,
  ): R[] {
    return this.#startSync<R>(fn, 'map', [...iterable], chunksize)
  }

  /** As {@link Pool.map}, each item being the list of the call's arguments. */
  async starmap<A extends unknown[], R>(
    fn: (...args: A) => R | Promise<R>,
    iterable: Iterable<ArgumentList<NoInfer<A>>> | AsyncIterable<ArgumentList<NoInfer<A>>>,
    chunksize?: number | null,
  ): Promise<R[]> {
    this.#checkRunning()
    const lists = isAsync(iterable) ? await listed(iterable) : [...iterable]
    const items = lists.map((args) => callArguments(args))
    return await this.#start<R>(fn, 'starmap', items, chunksize)
  }

  /** The same, blocking. */
  starmapSync<A extends unknown[], R>(
    fn: (...args: A) => R | Promise<R>,
    iterable: Iterable<ArgumentList<NoInfer<A>>>,
    chunksize?: number | null,
  ): R[] {
    const items = Array.from(iterable, (args) => callArguments(args))
    return this.#startSync<R>(fn, 'starmap', items, chunksize)
  }

  /** Takes no more calls; the workers end when those that were taken are done. */
  close(): void {
    if (this.#state !== 'RUN') return
    this.#state = 'CLOSE'
    this.#dismiss()
  }

  /** Ends the workers at once. Calls that are not done fail with ValueError "Pool was terminated". */
  terminate(): void {
    if (this.#state === 'TERMINATE') return
    this.#state = 'TERMINATE'
    const gone = new ValueError('Pool was terminated')
    for (const { job } of this.#queue.splice(0)) failJob(job, gone)
    for (const worker of this.#workers) {
      for (const { job } of worker.terminate()) failJob(job, gone)
    }
  }

  /**
   * Waits until the workers have ended.
   *
   * @throws ValueError "Pool is still running" unless closed or terminated before.
   */
  async join(options: WaitOptions = {}): Promise<void> {
    if (this.#state === 'RUN') throw new ValueError('Pool is still running')
    await Promise.all(this.#workers.map((worker) => worker.process.join(waitOptions(options))))
  }

  /** The same, blocking. Calls in the Promise form are brought to their end first. */
  joinSync(): void {
    if (this.#state === 'RUN') throw new ValueError('Pool is still running')
    this.#serveWhile(() => this.#workers.some((worker) => worker.outstanding > 0))
    for (const worker of this.#workers) worker.process.joinSync()
  }

  /** Terminates, as leaving Python's `with` does. */
  [Symbol.dispose](): void {
    this.terminate()
  }

  /** Terminates, and waits for the workers' end. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.terminate()
    await this.join()
  }

  /** As the reference prints it. */
  toString(): string {
    return `<multiprocessing.pool.Pool state=${this.#state} pool_size=${this.#workers.length}>`
  }

  /** How it looks in the console. */
  [inspect.custom](): string {
    return this.toString()
  }

  #checkRunning(): void {
    if (this.#broken) throw this.#broken
    if (this.#state !== 'RUN') throw new ValueError('Pool not running')
  }

  #hire(): PoolWorker {
    const { initializer, initargs, context } = this.#options
    const type = context?.Process ?? Process
    return new PoolWorker(type, initializer, [...initargs], {
      answered: (worker, chunk, answer) => this.#answered(worker, chunk, answer),
      died: (worker, chunks) => this.#died(worker, chunks),
    })
  }

  async #start<R>(
    fn: unknown,
    kind: TaskKind,
    items: unknown[],
    chunksize?: number | null,
  ): Promise<R[]> {
    return await new Promise<R[]>((resolve, reject) => {
      this.#submit(fn, kind, items, chunksize, (results) => resolve(results as R[]), reject)
    })
  }

  #startSync<R>(fn: unknown, kind: TaskKind, items: unknown[], chunksize?: number | null): R[] {
    let outcome: { results: unknown[] } | { error: unknown } | undefined
    const settle = (results: unknown[]): void => {
      outcome = { results }
    }
    const fail = (error: unknown): void => {
      outcome = { error }
    }
    this.#submit(fn, kind, items, chunksize, settle, fail)
    this.#serveWhile(() => outcome === undefined)
    if (outcome === undefined || 'error' in outcome) throw outcome?.error
    return outcome.results as R[]
  }

  #submit(
    fn: unknown,
    kind: TaskKind,
    items: unknown[],
    chunksize: number | null | undefined,
    settle: (results: unknown[]) => void,
    fail: (error: unknown) => void,
  ): void {
    this.#checkRunning()
    if (typeof fn !== 'function') throw new TypeError(`a function is wanted, not ${show(fn)}`)
    const size = chunksize ?? Math.max(1, Math.ceil(items.length / (this.#workers.length * 4)))
    if (!Number.isInteger(size))
      throw new TypeError(`chunksize must be a whole number, not ${show(size)}`)
    if (size < 1) throw new ValueError(`Chunksize must be 1+, not ${size}`)
    const results = new Array(items.length)
    const job: Job = { fn, kind, results, left: 0, failed: false, settle, fail }
    for (let start = 0; start < items.length; start += size) {
      this.#queue.push({ job, start, items: items.slice(start, start + size) })
      job.left++
    }
    if (job.left === 0) settle(results)
    this.#deal()
  }

  /** Gives what is queued to whoever has least to do. */
  #deal(): void {
    for (let ahead = 0; ahead < AHEAD; ahead++) {
      for (const worker of this.#workers) {
        while (this.#queue.length > 0 && worker.alive && worker.outstanding <= ahead) {
          const chunk = this.#queue.shift()!
          if (chunk.job.failed) continue
          try {
            worker.give(chunk)
          } catch (error) {
            failJob(chunk.job, error)
          }
        }
      }
    }
    this.#dismiss()
  }

  /** After close, a worker that has nothing left to do may go. */
  #dismiss(): void {
    if (this.#state !== 'CLOSE' || this.#queue.length > 0) return
    for (const worker of this.#workers) {
      if (worker.outstanding === 0) worker.dismiss()
    }
  }

  #answered(_worker: PoolWorker, { job, start, items }: Chunk, answer: Answer): void {
    if (answer.ok) {
      const values = answer.values
      for (let i = 0; i < items.length; i++) job.results[start + i] = values[i]
      if (--job.left === 0 && !job.failed) job.settle(job.results)
    } else {
      failJob(job, withRemoteStack(answer.error, answer.stack))
    }
    this.#deal()
  }

  #died(worker: PoolWorker, chunks: Chunk[]): void {
    const { pid, exitcode } = worker.process
    const how = exitcode !== null && exitcode < 0 ? `signal ${-exitcode}` : `exit code ${exitcode}`
    if (this.#state === 'TERMINATE') return
    // Tasks are done in order, so only the first can have begun; the others are for somebody else.
    const [begun, ...waiting] = chunks
    this.#queue.unshift(...waiting)
    if (begun !== undefined) {
      failJob(
        begun.job,
        new WorkerDiedError(
          `worker ${pid} ended with ${how} while it had a task`,
          pid ?? 0,
          exitcode,
        ),
      )
    }
    this.#stillborn = worker.proven ? 0 : this.#stillborn + 1
    if (this.#stillborn > this.#workers.length) this.#break(how)
    this.#replace(worker)
    this.#deal()
  }

  /** Somebody else takes the place of a worker that died, while there is or may be something to do. */
  #replace(worker: PoolWorker): void {
    const index = this.#workers.indexOf(worker)
    const wanted = this.#state === 'RUN' || (this.#state === 'CLOSE' && this.#queue.length > 0)
    if (wanted && index >= 0) this.#workers[index] = this.#hire()
  }

  /** Workers that cannot even start, with an initializer that throws perhaps, are not hired for ever. */
  #break(how: string): void {
    const count = this.#stillborn
    const broken = new WorkerDiedError(
      `the pool is broken: ${count} workers in a row ended with ${how} before they did anything`,
      0,
      null,
    )
    this.#broken = broken
    for (const { job } of this.#queue.splice(0)) failJob(job, broken)
    this.terminate()
  }

  /** Lets the workers' answers in, blocking, without the event loop. */
  #serveWhile(needed: () => boolean): void {
    while (needed()) {
      const busy = this.#workers.filter((worker) => worker.outstanding > 0)
      if (busy.length === 0) return
      for (const worker of PoolWorker.ready(busy)) worker.serve()
    }
  }
}

/** The first error is the call's; what else happens to it does not matter any more. */
const failJob = (job: Job, error: unknown): void => {
  if (job.failed) return
  job.failed = true
  job.fail(error)
}

const callArguments = (args: Iterable<unknown> = [], kwargs: object = {}): unknown[] => {
  if (typeof args !== 'object' || args === null || !(Symbol.iterator in args)) {
    throw new TypeError(`args must be an array, not ${show(args)}`)
  }
  return Object.keys(kwargs).length > 0 ? [...args, kwargs] : [...args]
}

const isAsync = <T>(iterable: Iterable<T> | AsyncIterable<T>): iterable is AsyncIterable<T> =>
  iterable !== null && typeof iterable === 'object' && Symbol.asyncIterator in iterable

const listed = async <T>(iterable: AsyncIterable<T>): Promise<T[]> => {
  const items: T[] = []
  for await (const item of iterable) items.push(item)
  return items
}

/** Where in the worker it went wrong. */
const withRemoteStack = (error: unknown, stack: string | undefined): unknown => {
  if (error instanceof Error && stack !== undefined && error.cause === undefined) {
    Object.defineProperty(error, 'cause', {
      value: new RemoteTraceback(stack),
      configurable: true,
      writable: true,
      enumerable: false,
    })
  }
  return error
}

registerReducer(Pool, {
  name: 'pool.Pool',
  trustedOnly: true,
  reduce() {
    throw new NotImplementedError('pool objects cannot be passed between processes or pickled')
  },
  rebuild() {
    throw new NotImplementedError('pool objects cannot be passed between processes or pickled')
  },
})
