/**
 * Results one by one, while the rest is still being worked at. Mirrors `multiprocessing.pool.IMapIterator`.
 * @module
 */
import { TimeoutError, ValueError } from './errors.js'
import type { PoolCore } from './pool-core.js'
import { type Chunk, Job } from './pool-jobs.js'
import { MANY, PARTIAL } from './pool-wire.js'
import {
  checkedWait,
  clock,
  endEarly,
  milliseconds,
  type TimeoutOptions,
  type WaitOptions,
  waitOptions,
} from './waiting.js'

/** What there is to take: a result, what a call failed with, or the end; nothing when that is not known. */
type Step = { readonly value: unknown } | { readonly error: unknown } | typeof END | undefined

const END = Symbol('end')

interface Failure {
  readonly error: unknown
}

/** Results of a chunk, and what ended it. */
interface Batch {
  readonly size: number
  readonly values: readonly unknown[]
  readonly failure: Failure | undefined
  taken: number
}

/** How such a call is made. */
export interface ImapSettings {
  readonly chunksize: number
  /** How many items may have been taken whose results have not. */
  readonly buffersize: number
  readonly ordered: boolean
  readonly retries: number
}

/** A call for each item of an input that is taken bit by bit, and results that are taken likewise. */
export class ImapJob extends Job {
  readonly #settings: ImapSettings
  readonly #input: Iterator<unknown> | undefined
  readonly #asyncInput: AsyncIterator<unknown> | undefined
  readonly #more: () => void
  /** How many items were taken from the input, how many are answered, and how many results were taken. */
  #in = 0
  #answered = 0
  #out = 0
  /** Items of an asynchronous input that have come, and whether more are awaited. */
  #come: unknown[] = []
  #isPulling = false
  #end: { readonly failure: Failure | undefined } | undefined
  /** Results that can be taken, and those whose turn has not come, by the number of their first item. */
  #ready: Batch[] = []
  readonly #early = new Map<number, Batch>()
  #next = 0
  #aborted: Failure | undefined
  /** Called when there may be something to take. */
  onStep: () => void = () => {}

  /** @throws PicklingError; what the input throws that cannot be iterated. */
  constructor(
    fn: object,
    input: Iterable<unknown> | AsyncIterable<unknown>,
    settings: ImapSettings,
    more: () => void,
  ) {
    super(fn, settings.retries)
    this.#settings = settings
    this.#more = more
    if (Symbol.asyncIterator in input) this.#asyncInput = input[Symbol.asyncIterator]()
    else this.#input = input[Symbol.iterator]()
  }

  /** Whether its input cannot be had without the event loop. */
  get isAsync(): boolean {
    return this.#asyncInput !== undefined
  }

  next(): Chunk | undefined {
    if (this.isExhausted || this.isOver) return undefined
    const room = this.#settings.buffersize - (this.#in - this.#out)
    const size = Math.min(this.#settings.chunksize, room)
    if (size < 1) return undefined
    const items = this.#input === undefined ? this.#takeCome(size) : this.#take(this.#input, size)
    if (items.length === 0) return undefined
    const start = this.#in
    this.#in += items.length
    return items.length === 1
      ? this.chunk(start, 1, PARTIAL, items[0])
      : this.chunk(start, items.length, PARTIAL | MANY, items)
  }

  #take(input: Iterator<unknown>, size: number): unknown[] {
    const items: unknown[] = []
    try {
      while (items.length < size) {
        const { value, done } = input.next()
        if (done) {
          this.#endInput(undefined)
          break
        }
        items.push(value)
      }
    } catch (error) {
      this.#endInput({ error })
    }
    return items
  }

  #takeCome(size: number): unknown[] {
    if (this.#isPulling) return []
    if (this.#come.length > 0 || this.#end !== undefined) {
      const items = this.#come.splice(0, size)
      this.isExhausted = this.#end !== undefined && this.#come.length === 0
      return items
    }
    void this.#pull(this.#asyncInput!, size)
    return []
  }

  async #pull(input: AsyncIterator<unknown>, size: number): Promise<void> {
    this.#isPulling = true
    try {
      while (this.#come.length < size && !this.isOver) {
        const { value, done } = await input.next()
        if (done) {
          this.#endInput(undefined)
          break
        }
        this.#come.push(value)
      }
    } catch (error) {
      this.#endInput({ error })
    }
    this.#isPulling = false
    if (this.#end !== undefined) this.isExhausted = this.#come.length === 0
    this.#more()
  }

  #endInput(failure: Failure | undefined): void {
    this.#end = { failure }
    this.isExhausted = true
    this.onStep()
  }

  done({ start, size, flags }: Chunk, value: unknown): void {
    this.#put(start, size, flags & MANY ? (value as unknown[]) : [value], undefined)
  }

  failed({ start, size }: Chunk, error: unknown, values: unknown[] = []): void {
    this.#put(start, size, values, { error })
  }

  #put(start: number, size: number, values: unknown[], failure: Failure | undefined): void {
    if (this.isOver) return
    this.#answered += size
    const batch = { size, values, failure, taken: 0 }
    if (this.#settings.ordered) {
      this.#early.set(start, batch)
      this.#advance()
    } else {
      this.#ready.push(batch)
    }
    this.onDone?.(size)
    this.onStep()
  }

  #advance(): void {
    for (;;) {
      const batch = this.#early.get(this.#next)
      if (batch === undefined) return
      this.#early.delete(this.#next)
      this.#next += batch.size
      this.#ready.push(batch)
    }
  }

  abort(error: unknown): void {
    if (this.isOver) return
    this.#leave()
    this.#aborted = { error }
    this.onStep()
  }

  /** Nobody wants more. */
  stop(): void {
    if (this.isOver) return
    this.#leave()
    this.#ready = []
    if (this.#end === undefined) void (this.#input ?? this.#asyncInput)?.return?.()
  }

  #leave(): void {
    this.isOver = true
    this.isExhausted = true
    this.#early.clear()
  }

  /** What is next. */
  step(): Step {
    for (;;) {
      const batch = this.#ready[0]
      if (batch === undefined) break
      if (batch.taken < batch.values.length) {
        this.#out++
        const value = batch.values[batch.taken++]
        if (batch.taken === batch.size) this.#ready.shift()
        return { value }
      }
      this.#ready.shift()
      this.#out += batch.size - batch.taken
      if (batch.failure !== undefined) return batch.failure
    }
    const failure = this.#aborted
    this.#aborted = undefined
    if (failure !== undefined) return failure
    if (this.isOver) return END
    if (this.#end === undefined || this.#come.length > 0 || this.#answered < this.#in)
      return undefined
    const { failure: last } = this.#end
    this.#end = { failure: undefined }
    return last ?? END
  }
}

/** The results of an `imap`, for both forms. */
class Results<R> {
  readonly #core: PoolCore
  readonly #job: ImapJob
  #waiting: (() => void)[] = []

  constructor(core: PoolCore, job: ImapJob) {
    this.#core = core
    this.#job = job
    job.onStep = () => {
      for (const wake of this.#waiting.splice(0)) wake()
    }
  }

  get isAsync(): boolean {
    return this.#job.isAsync
  }

  /** The next result if it is known; throws what a call failed with. */
  now(): IteratorResult<R> | undefined {
    const step = this.#job.step()
    if (step === undefined) return undefined
    this.#core.more()
    if (step === END) return { value: undefined, done: true }
    if ('error' in step) throw step.error
    return { value: step.value as R, done: false }
  }

  async later(options: WaitOptions): Promise<IteratorResult<R>> {
    const time = checkedWait(options)
    const left = clock(time)
    for (;;) {
      const now = this.now()
      if (now !== undefined) return now
      const timeout = left()
      if (timeout === 0) throw new TimeoutError()
      await this.#step({ ...options, timeout: timeout < 0 ? null : timeout })
    }
  }

  #step(options: WaitOptions): Promise<void> {
    return new Promise((resolve, reject) => {
      const wake = (): void => {
        stop()
        resolve()
      }
      const stop = endEarly(
        options,
        (reason) => {
          this.#waiting.splice(this.#waiting.indexOf(wake), 1)
          reject(reason)
        },
        () => new TimeoutError(),
      )
      this.#waiting.push(wake)
    })
  }

  sync(timeout: unknown): IteratorResult<R> {
    const left = clock(milliseconds(timeout))
    let now: IteratorResult<R> | undefined
    this.#core.serveWhile(() => {
      now = this.now()
      return now === undefined
    }, left)
    now ??= this.now()
    if (now === undefined) throw new TimeoutError()
    return now
  }

  stop(): void {
    this.#job.stop()
    this.#core.drop(this.#job)
  }
}

/**
 * Results in the order of the items, each as soon as it is there: an asynchronous iterator. What a call
 * failed with is thrown in its place; those that follow can still be had.
 *
 * Mirrors `multiprocessing.pool.IMapIterator`.
 */
export class IMapIterator<R = any> implements AsyncIterableIterator<R> {
  readonly #results: Results<R>
  /** Those who have asked and wait, one after the other. */
  #last: Promise<unknown> | undefined

  /** @internal */
  constructor(core: PoolCore, job: ImapJob) {
    this.#results = new Results(core, job)
  }

  /**
   * The next result.
   *
   * @param options - Milliseconds to wait at most, or options.
   * @throws What the call, or the input, failed with; TimeoutError, and then the same result can be asked
   * for again; the signal's reason.
   */
  async next(options: number | null | WaitOptions = {}): Promise<IteratorResult<R>> {
    const wanted = waitOptions(options)
    if (this.#last === undefined) {
      const now = this.#results.now()
      if (now !== undefined) return now
    }
    const before = this.#last
    const turn = (async () => {
      await before?.catch(() => {})
      return await this.#results.later(wanted)
    })()
    this.#last = turn
    try {
      return await turn
    } finally {
      if (this.#last === turn) this.#last = undefined
    }
  }

  /** No more results are wanted; items that nobody has begun with are not called for. */
  async return(): Promise<IteratorResult<R>> {
    this.#results.stop()
    return { value: undefined, done: true }
  }

  /** Itself. */
  [Symbol.asyncIterator](): this {
    return this
  }
}

/** The same in the order in which they come. Mirrors `multiprocessing.pool.IMapUnorderedIterator`. */
export class IMapUnorderedIterator<R = any> extends IMapIterator<R> {}

/** As {@link IMapIterator}, blocking: a plain iterator. */
export class IMapSyncIterator<R = any> implements IterableIterator<R> {
  readonly #results: Results<R>

  /** @internal */
  constructor(core: PoolCore, job: ImapJob) {
    this.#results = new Results(core, job)
    if (this.#results.isAsync) {
      this.#results.stop()
      throw new ValueError('an asynchronous input cannot be iterated by a call that blocks')
    }
  }

  /** The next result, blocking. */
  next(options: number | null | TimeoutOptions = {}): IteratorResult<R> {
    return this.#results.sync(waitOptions(options).timeout)
  }

  /** As of {@link IMapIterator}. */
  return(): IteratorResult<R> {
    this.#results.stop()
    return { value: undefined, done: true }
  }

  /** Itself. */
  [Symbol.iterator](): this {
    return this
  }
}
