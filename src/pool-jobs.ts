/**
 * What a pool is given to do: calls, cut into chunks that are given to workers one by one.
 * @module
 */
import { type LostTask, RemoteTraceback } from './errors.js'
import { type Failure, type FunctionBytes, functionBytes, INTO, MANY, SPREAD } from './pool-wire.js'
import type { TypedArray } from './typed-array.js'

/** Part of a call: what a worker is given as one task. */
export interface Chunk {
  readonly job: Job
  /** Which item of the call is its first, and how many there are. */
  readonly start: number
  readonly size: number
  /** How it travels: see `pool-wire.ts`. */
  readonly flags: number
  readonly items: unknown
  /** Where the results go, if not to the caller. */
  readonly into: unknown
  /** How often a worker has died with it. */
  deaths: number
  /** Its number among the tasks, once it was sent. */
  number: number
  /** When that was. */
  sent: number
  /** How many bytes it had. */
  bytes: number
}

/** What may be said of a call beside what is to be called. */
export interface JobOptions {
  readonly retries: number
  readonly onDone?: ((done: number) => void) | undefined
}

/** A call under way. */
export abstract class Job {
  readonly fn: object
  readonly retries: number
  readonly function: FunctionBytes
  /** The number under which its tasks can be called off; 0 for none. */
  cell = 0
  /** How many chunks were cut and are neither done nor lost. */
  outstanding = 0
  /** Whether its outcome is known, and chunks that are left do not matter. */
  isOver = false
  /** Whether there will be no more chunks. */
  isExhausted = false
  /** Called when nothing of it is left. */
  onEnd: (() => void) | undefined
  /** Called with how many more items are done. */
  onDone: ((items: number) => void) | undefined

  /** @throws PicklingError for a function that cannot travel. */
  constructor(fn: object, retries: number) {
    this.fn = fn
    this.retries = retries
    this.function = functionBytes(fn)
  }

  /** The next chunk, if there is one now. */
  abstract next(): Chunk | undefined
  /** A chunk is done. */
  abstract done(chunk: Chunk, value: unknown): void
  /** A chunk has failed; `values` is what had been done of it before, where that matters. */
  abstract failed(chunk: Chunk, error: unknown, values?: unknown[]): void
  /** All of it fails, now. */
  abstract abort(error: unknown): void

  /** What was lost with a worker, for the error. */
  lost({ items }: Chunk): LostTask {
    return { fn: this.fn, items }
  }

  protected chunk(
    start: number,
    size: number,
    flags: number,
    items: unknown,
    into: unknown = null,
  ): Chunk {
    this.outstanding++
    return {
      job: this,
      start,
      size,
      flags,
      items,
      into,
      deaths: 0,
      number: -1,
      sent: 0,
      bytes: 0,
    }
  }
}

/** What settles with the outcome of a call. */
export interface Sink {
  resolve(value: unknown): void
  reject(error: unknown): void
}

/** One call of a function. */
export class ApplyJob extends Job {
  readonly #sink: Sink
  #args: unknown[] | undefined

  constructor(fn: object, args: unknown[], retries: number, sink: Sink) {
    super(fn, retries)
    this.#args = args
    this.#sink = sink
  }

  next(): Chunk | undefined {
    const args = this.#args
    if (args === undefined) return undefined
    this.#args = undefined
    this.isExhausted = true
    return this.chunk(0, 1, SPREAD, args)
  }

  done(_chunk: Chunk, value: unknown): void {
    if (this.isOver) return
    this.isOver = true
    this.onDone?.(1)
    this.#sink.resolve(value)
  }

  failed(_chunk: Chunk, error: unknown): void {
    this.abort(error)
  }

  abort(error: unknown): void {
    if (this.isOver) return
    this.isOver = true
    this.isExhausted = true
    this.#sink.reject(error)
  }
}

/** A typed array's part, over the same memory. */
const part = (array: TypedArray, start: number, end: number): TypedArray =>
  array.subarray(start, end) as TypedArray

/** How many chunks of results are put together at once, at most, and how long they are at least. */
const MOST_JOINED = 8192
const LEAST_JOINED = 32

/** A call for each item of a list, all results together. */
export class MapJob extends Job {
  readonly #sink: Sink
  /** The items; or, where chunks have several and belong to nobody else, the chunks. */
  readonly #items: readonly unknown[] | TypedArray
  readonly #chunks: readonly (readonly unknown[])[] | undefined
  readonly #count: number
  readonly #flags: number
  readonly #size: number
  readonly #into: TypedArray | null
  /** The results; or those of each chunk, to be put together. */
  readonly #results: unknown[] | TypedArray
  readonly #isJoined: boolean
  #cut = 0
  #error: { error: unknown; start: number } | undefined

  /** Items of an array are taken from it now. */
  constructor(
    fn: object,
    items: readonly unknown[] | TypedArray,
    flags: number,
    size: number,
    retries: number,
    into: TypedArray | null,
    sink: Sink,
  ) {
    super(fn, retries)
    const { length } = items
    const chunks = Math.ceil(length / size)
    const isArray = Array.isArray(items)
    const isCut = isArray && (size > 1 || into !== null)
    this.#chunks = isCut ? cut(items, size) : undefined
    this.#items = isArray && !isCut ? items.slice() : items
    this.#count = length
    this.#flags = into === null ? flags : flags | INTO
    this.#size = size
    this.#into = into
    this.#isJoined = into === null && size >= LEAST_JOINED && chunks <= MOST_JOINED
    this.#results = into ?? new Array(this.#isJoined ? chunks : length)
    this.#sink = sink
    this.isExhausted = length === 0
  }

  next(): Chunk | undefined {
    const start = this.#cut
    const count = this.#count
    if (start >= count || this.isOver) return undefined
    const end = Math.min(count, start + this.#size)
    this.#cut = end
    this.isExhausted = end === count
    const own = this.#chunks?.[start / this.#size]
    if (end - start === 1 && this.#into === null) {
      return this.chunk(start, 1, this.#flags, own === undefined ? this.#items[start] : own[0])
    }
    const some = own ?? part(this.#items as TypedArray, start, end)
    const into = this.#into === null ? null : part(this.#into, start, end)
    return this.chunk(start, end - start, this.#flags | MANY, some, into)
  }

  done({ start, size, flags }: Chunk, value: unknown): void {
    if (this.isOver) return
    const results = this.#results as unknown[]
    const isMany = (flags & MANY) !== 0
    if (this.#isJoined) results[start / this.#size] = isMany ? value : [value]
    else if (!isMany) results[start] = value
    else if (this.#into === null) {
      const values = value as unknown[]
      for (let i = 0; i < size; i++) results[start + i] = values[i]
    }
    this.onDone?.(size)
    this.#check()
  }

  failed({ start, size }: Chunk, error: unknown): void {
    if (this.isOver) return
    if (this.#error === undefined || start < this.#error.start) this.#error = { error, start }
    this.onDone?.(size)
    this.#check()
  }

  abort(error: unknown): void {
    if (this.isOver) return
    this.isOver = true
    this.isExhausted = true
    this.#sink.reject(error)
  }

  #join(): unknown[] {
    const [first = [], ...rest] = this.#results as unknown[][]
    return rest.length === 0 ? first : first.concat(...rest)
  }

  /** As in the reference, a call fails when all of it has been tried. */
  #check(): void {
    // The chunk that has just ended still counts.
    if (!this.isExhausted || this.outstanding > 1) return
    this.isOver = true
    if (this.#error === undefined) this.#sink.resolve(this.#isJoined ? this.#join() : this.#results)
    else this.#sink.reject(this.#error.error)
  }
}

/** An array's items, so many in each chunk. */
const cut = (items: readonly unknown[], size: number): unknown[][] => {
  const chunks: unknown[][] = []
  for (let at = 0; at < items.length; at += size) chunks.push(items.slice(at, at + size))
  return chunks
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

/** The error of a failure, as it is thrown here. */
export const errorOfFailure = ([error, stack]: Failure): unknown => withRemoteStack(error, stack)
