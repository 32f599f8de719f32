/**
 * How tasks and results travel.
 *
 * A message of either kind is in one of two forms. The short one is for what is neither large nor has
 * anything beside it:
 *
 * | task | result |
 * |---|---|
 * | 0: {@link TASK} | 0: {@link RESULT} |
 * | 1: flags | 1: flags |
 * | 2: the number under which its call can be called off, two bytes | 8: the task's number, a double |
 * | 4: the function's number, four bytes | 16: the graph |
 * | 8: how many bytes the function has, four bytes | |
 * | 16: the function's graph, then that of the arguments | |
 *
 * Numbers are in the machine's byte order, which is little-endian wherever Node runs. The other form is a
 * frame like those of queues: that of a task holds a {@link LongTask}, and in that of a result the graph has
 * the same head as in the short form.
 * @module
 */
import { type Encoded, encode, HEADROOM } from './codec/index.js'

/** The first byte of either short form. */
export const TASK = 16
export const RESULT = 17

/** How many bytes stand before the graphs. */
export const HEAD = 16

/** Nothing longer travels in the short form: it must fit the scratch of whoever takes it. */
export const LONGEST_SHORT = 48 * 1024

/** How the function is called: with each item as its arguments, or as its one argument. */
export const SPREAD = 1
/** The items are an array; if not, there is one item, and it is there alone. */
export const MANY = 2
/** Of a call that fails, what had been done before is wanted, too. */
export const PARTIAL = 4
/** The call failed. */
export const FAILED = 8
/** The call was called off before it began. */
export const SKIPPED = 16
/** The function and its items are as they would be for {@link SPREAD}, but the results go elsewhere. */
export const INTO = 32

/** A task: flags, number to call it off, function's number, function, items, where results go. */
export type LongTask = [number, number, number, unknown, unknown, unknown]

/** What went wrong: what was thrown, where, and what had been done before. */
export type Failure = [unknown, string | undefined, unknown[] | undefined]

/** A function that travels again and again. */
export interface FunctionBytes {
  readonly number: number
  /** Its graph; nothing when it has to travel with each task anew, as something goes beside it. */
  readonly bytes: Uint8Array | null
}

/** Functions are not sent again and again that are longer than this. */
const LONGEST_FUNCTION = 16 * 1024

const known = new WeakMap<object, FunctionBytes>()
let numbered = 0

const isSame = (bytes: Uint8Array, other: Uint8Array | null): boolean => {
  if (bytes.length !== other?.length) return false
  for (let i = 0; i < bytes.length; i++) if (bytes[i] !== other[i]) return false
  return true
}

/**
 * A function as it is now: with the same number as long as it is what it was.
 *
 * @throws PicklingError when it cannot travel.
 */
export const functionBytes = (fn: object): FunctionBytes => {
  const encoded = encode(fn, 'func')
  const { bytes, start, end, owned, buffers, handles } = encoded
  if (owned !== null) for (const handle of owned) handle.close()
  const now = bytes.subarray(start, end)
  const before = known.get(fn)
  if (buffers !== null || handles !== null || now.length > LONGEST_FUNCTION) {
    return { number: ++numbered, bytes: null }
  }
  if (before !== undefined && isSame(now, before.bytes)) return before
  const made = { number: ++numbered, bytes: Uint8Array.prototype.slice.call(now) }
  known.set(fn, made)
  return made
}

/** Messages on their way, each with its length in front, in four bytes, at a multiple of eight. */
export class TaskBatch {
  readonly bytes: Uint8Array
  readonly #view: DataView
  /** How many bytes are used. */
  end = 0

  constructor(size: number) {
    this.bytes = new Uint8Array(size)
    this.#view = new DataView(this.bytes.buffer)
  }

  /** Adds a task in the short form; false when there is no room. */
  add(flags: number, cell: number, fn: FunctionBytes, { bytes, start, end }: Encoded): boolean {
    const source = fn.bytes!
    const length = HEAD + source.length + end - start
    let at = this.end + 4
    if (at + length > this.bytes.length) return false
    const target = this.bytes
    this.#view.setUint32(this.end, length, true)
    target[at] = TASK
    target[at + 1] = flags
    this.#view.setUint16(at + 2, cell, true)
    this.#view.setUint32(at + 4, fn.number, true)
    this.#view.setUint32(at + 8, source.length, true)
    at += HEAD
    target.set(source, at)
    at += source.length
    const short = end - start
    if (short > SHORT) target.set(bytes.subarray(start, end), at)
    else for (let i = 0; i < short; i++) target[at + i] = bytes[start + i]!
    this.end = (at + short + 7) & ~7
    return true
  }

  /** Everything that is there. */
  take(): Uint8Array {
    const all = this.bytes.subarray(0, Math.min(this.end, this.bytes.length))
    this.end = 0
    return all
  }
}

/** Copying up to so many bytes one by one is faster. */
const SHORT = 24

const numbers = new Float64Array(1)
const numberBytes = new Uint8Array(numbers.buffer)

/** Writes the head of a result in front of its graph; returns where it begins. */
export const headResult = ({ bytes, start }: Encoded, flags: number, number: number): number => {
  const at = start - HEAD
  bytes[at] = RESULT
  bytes[at + 1] = flags
  numbers[0] = number
  for (let i = 0; i < 8; i++) bytes[at + 8 + i] = numberBytes[i]!
  return at
}

/** The task's number in the head of a result. */
export const numberAt = (bytes: Uint8Array, at: number): number => {
  for (let i = 0; i < 8; i++) numberBytes[i] = bytes[at + 8 + i]!
  return numbers[0]!
}

if (HEADROOM < HEAD + 1) throw new Error('the encoder leaves too little room')
