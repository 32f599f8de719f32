/**
 * A pool of worker processes. Mirrors `multiprocessing.pool`.
 * @module
 */
import { inspect } from 'node:util'
import { AsyncResult, type Callbacks, MapResult, runAside } from './async-result.js'
import { registerReducer } from './codec/index.js'
import { NotImplementedError, TimeoutError, ValueError } from './errors.js'
import { isBlock } from './heap.js'
import { PoolCore } from './pool-core.js'
import { IMapIterator, IMapSyncIterator, IMapUnorderedIterator, ImapJob } from './pool-iterators.js'
import { ApplyJob, type Job, MapJob, type Sink } from './pool-jobs.js'
import {
  type CallOptions,
  callArguments,
  checkCall,
  checkedBuffersize,
  checkedChunksize,
  checkedOptions,
  checkedSize,
  type ImapOptions,
  isAsync,
  isTyped,
  type MapOptions,
  mapOptions,
  type PoolOptions,
  type PoolSettings,
} from './pool-options.js'
import { progressBar } from './pool-progress.js'
import { type PoolStatistics, Statistics } from './pool-statistics.js'
import { SPREAD } from './pool-wire.js'
import { Process } from './process.js'
import type { TypedArray } from './typed-array.js'
import {
  checkedWait,
  clock,
  ENDLESS,
  endEarly,
  milliseconds,
  show,
  type WaitOptions,
  waitOptions,
} from './waiting.js'

export { AsyncResult, type Callbacks, MapResult } from './async-result.js'
export {
  type LostTask,
  MaybeEncodingError,
  RemoteTraceback,
  WorkerDiedError,
} from './errors.js'
export {
  IMapIterator,
  IMapSyncIterator,
  IMapUnorderedIterator,
} from './pool-iterators.js'
export type { CallOptions, ImapOptions, MapOptions, PoolOptions } from './pool-options.js'
export type { PoolStatistics, WorkerStatistics } from './pool-statistics.js'
export { type WorkerHandle, workerHandle } from './pool-worker.js'
export type { TypedArray } from './typed-array.js'

/** A function's arguments: all of them, or all but the last, which may come as `kwargs`. */
export type Arguments<A extends unknown[]> =
  | Readonly<A>
  | (A extends [...infer Most, unknown?] ? Readonly<Most> : never)

/** The same, or anything that can be iterated for them. */
export type ArgumentList<A extends unknown[]> = Arguments<A> | Iterable<A[number]>

/** Options of the forms that return an {@link AsyncResult}. */
export type AsyncCallOptions<R> = CallOptions & Callbacks<R>
/** The same for many items. */
export type AsyncMapOptions<R> = MapOptions & Callbacks<R[]>

type Input<T> = Iterable<T> | AsyncIterable<T>

/** Pools that nobody has any more. */
const forgotten = new FinalizationRegistry((core: PoolCore) => {
  if (core.state !== 'RUN') return
  process.emitWarning('unclosed running multiprocessing pool', 'ResourceWarning')
  core.terminate()
})

/**
 * Worker processes to which calls of a function are given. The function, its arguments and its results
 * travel: exports by reference, other functions by value with what they capture. It may return a Promise.
 *
 * Workers are daemons: they end with the process that made the pool. A call whose worker dies fails with
 * WorkerDiedError, unless it has `retries`, and another worker takes the place.
 *
 * Every call takes a `timeout` and a `signal`: it fails with TimeoutError, or the signal's reason, and
 * workers that are at it are ended and replaced.
 *
 * Mirrors `multiprocessing.pool.Pool`.
 */
export class Pool {
  readonly #core: PoolCore
  readonly #settings: PoolSettings
  readonly #statistics: Statistics

  /**
   * @param options - The number of workers, or options.
   * @throws ValueError for fewer than one worker, and a `maxtasksperchild` that is no positive whole number;
   * TypeError for an initializer that is no function; PicklingError when the initializer or its arguments
   * cannot travel; and as `Process.start`.
   */
  constructor(options: number | null | PoolOptions = {}) {
    const settings = checkedOptions(options)
    const { processes, type = Process, ...rest } = settings
    this.#settings = settings
    this.#statistics = new Statistics()
    this.#core = new PoolCore(this, processes, { type, ...rest }, this.#statistics)
    forgotten.register(this, this.#core, this)
  }

  /**
   * Calls a function once, in a worker.
   *
   * @param fn - Any function that can travel.
   * @param args - Its arguments.
   * @param kwargs - When it has any, one last argument.
   * @returns What it returns.
   * @throws What it throws, with the worker's stack as `cause`; ValueError "Pool not running";
   * PicklingError when function or arguments cannot travel; WorkerDiedError; TimeoutError.
   */
  apply<A extends unknown[], R>(
    fn: (...args: A) => R | Promise<R>,
    args?: Arguments<NoInfer<A>>,
    kwargs?: object,
    options: CallOptions = {},
  ): Promise<R> {
    return new Promise((resolve, reject) => {
      this.#apply(fn, args, kwargs, options, { resolve: resolve as Sink['resolve'], reject })
    })
  }

  /** The same, blocking. */
  applySync<A extends unknown[], R>(
    fn: (...args: A) => R | Promise<R>,
    args?: Arguments<NoInfer<A>>,
    kwargs?: object,
    options: CallOptions = {},
  ): R {
    return this.#await<R>(options, (sink) => this.#apply(fn, args, kwargs, untimed(options), sink))
  }

  /**
   * The same as {@link Pool.apply}, with a result that can be asked for later.
   *
   * @param options - Callbacks among them. One that throws does not harm the pool: the error is uncaught.
   * @throws ValueError "Pool not running"; TypeError for wrong arguments. All else is the result's.
   *
   * Mirrors `Pool.apply_async`.
   */
  applyAsync<A extends unknown[], R>(
    fn: (...args: A) => R | Promise<R>,
    args?: Arguments<NoInfer<A>>,
    kwargs?: object,
    options: AsyncCallOptions<R> = {},
  ): AsyncResult<R> {
    this.#core.checkRunning()
    return new AsyncResult<R>(this.#core, options, (sink) =>
      this.#apply(fn, args, kwargs, options, sink),
    )
  }

  /**
   * Calls a function with each item, in the workers.
   *
   * @param fn - Any function that can travel.
   * @param iterable - The items; all are taken before the first is sent. Typed arrays are cut, not copied
   * item by item, and those in shared memory travel without being copied.
   * @param options - How many items go in one task, or options; by default so many that each worker gets
   * four tasks, but 16,384 at most.
   * @returns The results, in the order of the items; with `into`, that array.
   * @throws The error of the first item, among those that failed, when all have been tried; otherwise as
   * {@link Pool.apply}; ValueError for a chunksize below 1.
   */
  async map<T, R>(
    fn: (item: T) => R | Promise<R>,
    iterable: Input<T>,
    options?: number | null | MapOptions,
  ): Promise<R[]> {
    const wanted = mapOptions(options)
    this.#core.checkRunning()
    const items = isAsync(iterable) ? await listed(iterable) : itemsOf(iterable)
    return await new Promise<R[]>((resolve, reject) => {
      this.#map(fn, 0, items, wanted, { resolve: resolve as Sink['resolve'], reject })
    })
  }

  /** The same, blocking; the items cannot be asynchronous. */
  mapSync<T, R>(
    fn: (item: T) => R | Promise<R>,
    iterable: Iterable<T>,
    options?: number | null | MapOptions,
  ): R[] {
    const wanted = mapOptions(options)
    this.#core.checkRunning()
    const items = itemsOf(iterable)
    return this.#await<R[]>(wanted, (sink) => this.#map(fn, 0, items, untimed(wanted), sink))
  }

  /** As {@link Pool.map}, with a result that can be asked for later. Mirrors `Pool.map_async`. */
  mapAsync<T, R>(
    fn: (item: T) => R | Promise<R>,
    iterable: Input<T>,
    options?: number | null | AsyncMapOptions<R>,
  ): MapResult<R> {
    return this.#mapAsync<R>(fn, 0, iterable, itemsOf, mapOptions(options))
  }

  /** As {@link Pool.map}, each item being the list of the call's arguments. */
  async starmap<A extends unknown[], R>(
    fn: (...args: A) => R | Promise<R>,
    iterable: Input<ArgumentList<NoInfer<A>>>,
    options?: number | null | MapOptions,
  ): Promise<R[]> {
    const wanted = mapOptions(options)
    this.#core.checkRunning()
    const items = listsOf(isAsync(iterable) ? await listed(iterable) : iterable)
    return await new Promise<R[]>((resolve, reject) => {
      this.#map(fn, SPREAD, items, wanted, { resolve: resolve as Sink['resolve'], reject })
    })
  }

  /** The same, blocking. */
  starmapSync<A extends unknown[], R>(
    fn: (...args: A) => R | Promise<R>,
    iterable: Iterable<ArgumentList<NoInfer<A>>>,
    options?: number | null | MapOptions,
  ): R[] {
    const wanted = mapOptions(options)
    this.#core.checkRunning()
    const items = listsOf(iterable)
    return this.#await<R[]>(wanted, (sink) => this.#map(fn, SPREAD, items, untimed(wanted), sink))
  }

  /** As {@link Pool.starmap}, with a result that can be asked for later. Mirrors `Pool.starmap_async`. */
  starmapAsync<A extends unknown[], R>(
    fn: (...args: A) => R | Promise<R>,
    iterable: Input<ArgumentList<NoInfer<A>>>,
    options?: number | null | AsyncMapOptions<R>,
  ): MapResult<R> {
    return this.#mapAsync<R>(fn, SPREAD, iterable as Input<unknown>, listsOf, mapOptions(options))
  }

  /**
   * Calls a function with each item, and gives the results one by one, in the order of the items. Items are
   * taken from the input as there is something to do for the workers; with a `buffersize` no more than that
   * many ahead of the results that were taken.
   *
   * @param options - How many items go in one task, 1 by default, or options.
   * @throws ValueError for a chunksize below 1, and "Pool not running"; PicklingError for a function that
   * cannot travel; TypeError for wrong arguments. All else is thrown by the iterator.
   *
   * Mirrors `Pool.imap`.
   */
  imap<T, R>(
    fn: (item: T) => R | Promise<R>,
    iterable: Input<T>,
    options?: number | null | ImapOptions,
  ): IMapIterator<R> {
    const job = this.#imap(fn, iterable, mapOptions(options), true)
    return this.#begin(job, new IMapIterator<R>(this.#core, job), mapOptions(options))
  }

  /** The same, with results as they come. Mirrors `Pool.imap_unordered`. */
  imapUnordered<T, R>(
    fn: (item: T) => R | Promise<R>,
    iterable: Input<T>,
    options?: number | null | ImapOptions,
  ): IMapUnorderedIterator<R> {
    const job = this.#imap(fn, iterable, mapOptions(options), false)
    return this.#begin(job, new IMapUnorderedIterator<R>(this.#core, job), mapOptions(options))
  }

  /** As {@link Pool.imap}, blocking: a plain iterator. */
  imapSync<T, R>(
    fn: (item: T) => R | Promise<R>,
    iterable: Iterable<T>,
    options?: number | null | ImapOptions,
  ): IMapSyncIterator<R> {
    const job = this.#imap(fn, iterable, mapOptions(options), true)
    return this.#begin(job, new IMapSyncIterator<R>(this.#core, job), mapOptions(options))
  }

  /** As {@link Pool.imapUnordered}, blocking: a plain iterator. */
  imapUnorderedSync<T, R>(
    fn: (item: T) => R | Promise<R>,
    iterable: Iterable<T>,
    options?: number | null | ImapOptions,
  ): IMapSyncIterator<R> {
    const job = this.#imap(fn, iterable, mapOptions(options), false)
    return this.#begin(job, new IMapSyncIterator<R>(this.#core, job), mapOptions(options))
  }

  /**
   * Changes how many workers there are. New ones are started at once; those that are too many leave when
   * they have done what they are at.
   *
   * @throws ValueError for fewer than one, and "Pool not running"; as `Process.start`.
   */
  resize(processes: number): void {
    this.#core.checkRunning()
    this.#core.resize(checkedSize(processes))
  }

  /** What the pool has done, and is doing. */
  stats(): PoolStatistics {
    return this.#statistics.of(this.#core)
  }

  /** Takes no more calls; the workers end when those that were taken are done. */
  close(): void {
    forgotten.unregister(this)
    this.#core.close()
  }

  /** Ends the workers at once. Calls that are not done fail with ValueError "Pool was terminated". */
  terminate(): void {
    forgotten.unregister(this)
    this.#core.terminate()
  }

  /**
   * Waits until the workers have ended, or for so long.
   *
   * @throws ValueError "Pool is still running" unless closed or terminated before; the signal's reason.
   */
  async join(options: WaitOptions = {}): Promise<void> {
    this.#checkEnding()
    const { signal } = options
    await this.#core.join({ signal }, clock(checkedWait(waitOptions(options))))
  }

  /** The same, blocking. Calls in the Promise form are brought to their end first. */
  joinSync(): void {
    this.#checkEnding()
    this.#core.joinSync()
  }

  /**
   * Terminates, as leaving Python's `with` does. `using` asks for it at once, as entering does.
   *
   * @throws ValueError "Pool not running" when it is asked for.
   */
  get [Symbol.dispose](): () => void {
    this.#core.checkRunning()
    return () => this.terminate()
  }

  /** The same, and waits for the workers' end. */
  get [Symbol.asyncDispose](): () => Promise<void> {
    this.#core.checkRunning()
    return () => {
      this.terminate()
      return this.join()
    }
  }

  /** As the reference prints it: `<multiprocessing.pool.Pool state=RUN pool_size=4>`. */
  toString(): string {
    const { state, workers } = this.#core
    return `<multiprocessing.pool.${this.constructor.name} state=${state} pool_size=${workers.length}>`
  }

  /** How it looks in the console. */
  [inspect.custom](): string {
    return this.toString()
  }

  /** The workers that there are: their process objects, which are the pool's to end. */
  get workers(): readonly Process[] {
    return this.#core.workers.map((worker) => worker.process)
  }

  #checkEnding(): void {
    if (this.#core.state === 'RUN') throw new ValueError('Pool is still running')
  }

  #apply(
    fn: unknown,
    args: Iterable<unknown> | undefined,
    kwargs: object | undefined,
    options: CallOptions,
    sink: Sink,
  ): Job {
    const retries = checkCall(fn, options, this.#settings.retries)
    const list = callArguments(args, kwargs)
    this.#core.checkRunning()
    return this.#submit(new ApplyJob(fn as object, list, retries, sink), options)
  }

  #map(
    fn: unknown,
    flags: number,
    items: readonly unknown[] | TypedArray,
    options: MapOptions,
    sink: Sink,
  ): Job | undefined {
    const retries = checkCall(fn, options, this.#settings.retries)
    this.#core.checkRunning()
    const each = Math.ceil(items.length / (this.#core.wanted * 4))
    const fallback = Math.max(1, isTyped(items) ? each : Math.min(each, LARGEST_CHUNK))
    const size = checkedChunksize(options.chunksize, fallback)
    const into = checkedInto(options.into, items.length)
    const job = new MapJob(fn as object, items, flags, size, retries, into, sink)
    if (items.length === 0) {
      sink.resolve(into ?? [])
      return undefined
    }
    followProgress(job, options, items.length)
    return this.#submit(job, options)
  }

  #mapAsync<R>(
    fn: unknown,
    flags: number,
    iterable: Input<unknown>,
    list: (items: Iterable<any>) => readonly unknown[] | TypedArray,
    options: AsyncMapOptions<R>,
  ): MapResult<R> {
    this.#core.checkRunning()
    checkCall(fn, options, 0)
    if (options.chunksize !== undefined) checkedChunksize(options.chunksize, 1)
    return new MapResult<R>(this.#core, options as Callbacks<R[]>, (sink) => {
      const begin = (items: Iterable<unknown>): void => {
        this.#map(fn, flags, list(items), options, sink)
      }
      if (!isAsync(iterable)) begin(iterable)
      else listed(iterable).then(begin).catch(sink.reject)
    })
  }

  #imap<T>(fn: unknown, iterable: Input<T>, options: ImapOptions, ordered: boolean): ImapJob {
    const retries = checkCall(fn, options, this.#settings.retries)
    this.#core.checkRunning()
    const chunksize = checkedChunksize(options.chunksize, 1)
    const buffersize = checkedBuffersize(options.buffersize)
    if (!isAsync(iterable) && !isIterable(iterable)) {
      throw new TypeError(`an iterable is wanted, not ${show(iterable)}`)
    }
    const settings = { chunksize, buffersize, ordered, retries }
    return new ImapJob(fn as object, iterable, settings, () => this.#core.more())
  }

  #begin<I>(job: ImapJob, iterator: I, options: ImapOptions): I {
    followProgress(job, options, undefined)
    this.#submit(job, options)
    return iterator
  }

  #submit<J extends Job>(job: J, options: WaitOptions): J {
    const { timeout, signal } = options
    if (signal !== undefined || (timeout !== undefined && timeout !== null)) {
      this.#core.makeCancellable(job)
      const stop = endEarly(
        { timeout, signal },
        (reason) => this.#core.cancel(job, reason),
        () => new TimeoutError(),
      )
      const before = job.onEnd
      job.onEnd = () => {
        stop()
        before?.()
      }
    }
    this.#core.submit(job)
    return job
  }

  /** Blocks until a call is over. */
  #await<R>(options: WaitOptions, begin: (sink: Sink) => Job | undefined): R {
    let outcome: { value: unknown } | { error: unknown } | undefined
    const left = options.timeout === undefined ? ENDLESS : clock(milliseconds(options.timeout))
    const job = begin({
      resolve(value) {
        outcome = { value }
      },
      reject(error) {
        outcome = { error }
      },
    })
    this.#core.serveWhile(() => outcome === undefined, left)
    if (outcome === undefined && job !== undefined) this.#core.cancel(job, new TimeoutError())
    const now = outcome as { value: unknown } | { error: unknown } | undefined
    if (now === undefined) throw new TimeoutError()
    if ('error' in now) throw now.error
    return now.value as R
  }
}

/**
 * So many items are enough for a task that nobody has given a size: more of them keep everybody waiting. And
 * numbers fit the short form of a task then, and arrays that V8 keeps among small objects.
 */
const LARGEST_CHUNK = 4096

/** A call that blocks looks after its time itself. */
const untimed = <O extends CallOptions>({ timeout: _, ...rest }: O): Omit<O, 'timeout'> => rest

const isIterable = (value: unknown): value is Iterable<unknown> =>
  typeof value === 'string' ||
  (typeof value === 'object' && value !== null && Symbol.iterator in value)

/** What can be cut in one go, as nothing in it is other than it looks. */
const isPlainArray = (value: unknown): value is unknown[] =>
  Array.isArray(value) && Object.getPrototypeOf(value) === Array.prototype

const itemsOf = (iterable: Iterable<unknown>): readonly unknown[] | TypedArray =>
  isTyped(iterable) || isPlainArray(iterable) ? iterable : [...iterable]

const listsOf = (iterable: Iterable<unknown>): unknown[][] =>
  Array.from(iterable, (args) => callArguments(args as Iterable<unknown>))

const listed = async <T>(iterable: AsyncIterable<T>): Promise<T[]> => {
  const items: T[] = []
  for await (const item of iterable) items.push(item)
  return items
}

const checkedInto = (into: unknown, length: number): TypedArray | null => {
  if (into === undefined || into === null) return null
  if (!isTyped(into)) throw new TypeError(`into must be a typed array, not ${show(into)}`)
  if (into.length < length) {
    throw new ValueError(`into has room for ${into.length} results, and there are ${length}`)
  }
  if (!isBlock(into.buffer)) {
    throw new ValueError('into must be in shared memory, such as share() makes')
  }
  return into
}

const followProgress = (job: Job, options: ImapOptions, total: number | undefined): void => {
  const { onProgress, progress } = options
  const bar = progress ? progressBar(total) : undefined
  if (!onProgress && bar === undefined) return
  let done = 0
  job.onDone = (items) => {
    done += items
    bar?.update(done)
    if (onProgress) runAside(() => onProgress(done, total))
  }
  job.onEnd = () => bar?.stop()
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
