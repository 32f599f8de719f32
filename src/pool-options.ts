/**
 * What may be said when a pool is made, and when it is called; and what is wrong with it.
 * @module
 */
import type { BaseContext } from './context.js'
import { ValueError } from './errors.js'
import { MOST_WORKERS } from './pool-core.js'
import { cpuCount, type Process } from './process.js'
import type { TypedArray } from './typed-array.js'
import { checkedWait, show, type WaitOptions } from './waiting.js'

/** How a {@link Pool} is made. */
export interface PoolOptions {
  /** How many workers; as many as the machine has processors if not given. */
  processes?: number | null
  /** Called in each worker before its first task: any function that can travel. */
  initializer?: ((...args: any[]) => unknown) | null
  /** The initializer's arguments, sent to each worker as it starts. */
  initargs?: Iterable<unknown>
  /** After how many tasks a worker makes room for a new one. */
  maxtasksperchild?: number | null
  /** After how many bytes of memory in use a worker makes room for a new one, between two tasks. */
  maxMemoryPerChild?: number | null
  /** How many tasks a worker has under way at a time: more than one is for functions that wait. */
  concurrency?: number
  /** How often a task that its worker died with is tried again, if its call says nothing else. */
  retries?: number
  /** Whose start method the workers are started by; the program's if not given. */
  context?: Pick<BaseContext, 'Process'> | undefined
}

/** What may be said of a call. */
export interface CallOptions extends WaitOptions {
  /** How often a task is tried again that its worker died with; a task must then bear being begun twice. */
  retries?: number
}

/** What may be said of a call for many items. */
export interface MapOptions extends CallOptions {
  /** How many items go to a worker together. */
  chunksize?: number | null
  /** Called, as items are done, with how many of them are, and how many there are if that is known. */
  onProgress?: ((done: number, total: number | undefined) => unknown) | null
  /** Shows a bar on the terminal. */
  progress?: boolean
  /** Shared memory, such as {@link share} makes, that the results go to; they must be numbers then. */
  into?: TypedArray | null
}

/** What may be said of an `imap`. */
export interface ImapOptions extends Omit<MapOptions, 'into' | 'timeout'> {
  /** How many items may have been taken from the input whose results nobody has taken; without end if not given. */
  buffersize?: number | null
}

/** What a pool is made with. */
export interface PoolSettings {
  readonly processes: number
  readonly initializer: ((...args: any[]) => unknown) | null
  readonly initargs: readonly unknown[]
  readonly maxtasks: number | null
  readonly maxMemory: number | null
  readonly concurrency: number
  readonly retries: number
  readonly type: typeof Process | undefined
}

/** How many tasks a worker may have under way. */
const MOST_AT_ONCE = 1024

/** A whole number, or what is wrong with it. */
const whole = (value: unknown, what: string): number => {
  if (typeof value !== 'number' || !Number.isInteger(value)) {
    throw new TypeError(`${what} must be a whole number, not ${show(value)}`)
  }
  return value
}

const positive = (value: unknown, what: string): number | null => {
  if (value === undefined || value === null) return null
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 1) {
    throw new ValueError(`${what} must be a positive int or None, not ${show(value)}`)
  }
  return value
}

/** How many workers a pool is to have. */
export const checkedProcesses = (processes: unknown): number => {
  const count = whole(processes, 'the number of processes')
  if (count < 1) throw new ValueError('Number of processes must be at least 1')
  return count
}

/** The same when it has been made. */
export const checkedSize = (processes: unknown): number => {
  const count = checkedProcesses(processes)
  if (count > MOST_WORKERS)
    throw new ValueError(`a pool is resized to ${MOST_WORKERS} workers at most`)
  return count
}

/** How often to try again. */
export const checkedRetries = (retries: unknown): number => {
  const count = whole(retries, 'retries')
  if (count < 0) throw new ValueError(`retries must be at least 0, not ${count}`)
  return count
}

/** What a pool is to be made with. @throws ValueError, TypeError. */
export const checkedOptions = (options: number | null | PoolOptions): PoolSettings => {
  const given = typeof options === 'object' && options !== null ? options : { processes: options }
  const { initializer = null, initargs = [], concurrency = 1, retries = 0, context } = given
  const processes = checkedProcesses(given.processes ?? cpuCount())
  const maxtasks = positive(given.maxtasksperchild, 'maxtasksperchild')
  const maxMemory = positive(given.maxMemoryPerChild, 'maxMemoryPerChild')
  if (initializer !== null && typeof initializer !== 'function') {
    throw new TypeError(`initializer must be a function, not ${show(initializer)}`)
  }
  const atOnce = whole(concurrency, 'concurrency')
  if (atOnce < 1 || atOnce > MOST_AT_ONCE) {
    throw new ValueError(`concurrency must be from 1 to ${MOST_AT_ONCE}, not ${atOnce}`)
  }
  return {
    processes,
    initializer,
    initargs: [...initargs],
    maxtasks,
    maxMemory,
    concurrency: atOnce,
    retries: checkedRetries(retries),
    type: context?.Process,
  }
}

/** Options that may be a chunksize alone. */
export const mapOptions = <O extends { chunksize?: number | null }>(
  options: number | null | undefined | O,
): O => (typeof options === 'object' && options !== null ? options : ({ chunksize: options } as O))

/** How many items go together. */
export const checkedChunksize = (chunksize: unknown, fallback: number): number => {
  const size = whole(chunksize ?? fallback, 'chunksize')
  if (size < 1) throw new ValueError(`Chunksize must be 1+, not ${size}`)
  return size
}

/** How many items may be on their way. */
export const checkedBuffersize = (buffersize: unknown): number => {
  if (buffersize === undefined || buffersize === null) return Number.POSITIVE_INFINITY
  const size = whole(buffersize, 'buffersize')
  if (size < 1) throw new ValueError(`buffersize must be 1+, not ${size}`)
  return size
}

/** What a call may say of itself: looked at before anything is done. */
export const checkCall = (fn: unknown, options: CallOptions, retries: number): number => {
  if (typeof fn !== 'function') throw new TypeError(`a function is wanted, not ${show(fn)}`)
  checkedWait(options)
  return options.retries === undefined ? retries : checkedRetries(options.retries)
}

/** The arguments of a call, with `kwargs` as the last one if it has any. */
export const callArguments = (args: Iterable<unknown> = [], kwargs: object = {}): unknown[] => {
  if (typeof args !== 'object' || args === null || !(Symbol.iterator in args)) {
    throw new TypeError(`args must be an array, not ${show(args)}`)
  }
  return Object.keys(kwargs).length > 0 ? [...args, kwargs] : [...args]
}

/** Whether an input has to be waited for. */
export const isAsync = <T>(
  iterable: Iterable<T> | AsyncIterable<T>,
): iterable is AsyncIterable<T> =>
  iterable !== null && typeof iterable === 'object' && Symbol.asyncIterator in iterable

const TYPED: ReadonlySet<unknown> = new Set([
  Int8Array,
  Uint8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
])

/** Whether something is cut by what it shows, and not item by item. */
export const isTyped = (items: unknown): items is TypedArray =>
  ArrayBuffer.isView(items) && (TYPED.has(items.constructor) || Buffer.isBuffer(items))
