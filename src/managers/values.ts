/**
 * Values, arrays, namespaces and iterators in a manager's server.
 * @module
 */
import { IndexError, ValueError } from '../errors.js'
import { Float } from '../shareable-list.js'
import { showValue } from './show-value.js'
import { indicesOf, Slice } from './slice.js'

/** Something with a value. */
export class ValueReferent {
  readonly #typecode: unknown
  value: unknown

  constructor(typecode: unknown, value: unknown, _lock?: unknown) {
    this.#typecode = typecode
    this.value = value
  }

  get(): unknown {
    return this.value
  }

  set(value: unknown): void {
    this.value = value
  }

  toString(): string {
    return `Value(${showValue(this.#typecode)}, ${showValue(this.value)})`
  }
}

/** What numbers of a typecode can be. */
const integers: Record<string, readonly [number, number]> = {
  b: [-(2 ** 7), 2 ** 7 - 1],
  B: [0, 2 ** 8 - 1],
  h: [-(2 ** 15), 2 ** 15 - 1],
  H: [0, 2 ** 16 - 1],
  i: [-(2 ** 31), 2 ** 31 - 1],
  I: [0, 2 ** 32 - 1],
  l: [-(2 ** 63), 2 ** 63 - 1],
  L: [0, 2 ** 64 - 1],
  q: [-(2 ** 63), 2 ** 63 - 1],
  Q: [0, 2 ** 64 - 1],
}

const floats: Record<string, (value: number) => number> = { f: Math.fround, d: Number }

/** Numbers of one type, as many as there were in the beginning. Mirrors `array.array`. */
export class ArrayReferent {
  readonly #typecode: string
  readonly #items: unknown[]

  constructor(typecode: unknown, values: unknown, _lock?: unknown) {
    this.#typecode = String(typecode)
    const known = Object.hasOwn(integers, this.#typecode) || Object.hasOwn(floats, this.#typecode)
    if (!known && this.#typecode !== 'u' && this.#typecode !== 'w') {
      throw new ValueError('bad typecode (must be b, B, u, w, h, H, i, I, l, L, q, Q, f or d)')
    }
    if (typeof values !== 'object' && typeof values !== 'string') {
      throw new TypeError('the values of an array are something to iterate')
    }
    this.#items = Array.from(values as Iterable<unknown>, (value) => this.#checked(value))
  }

  __len__(): number {
    return this.#items.length
  }

  __getitem__(at: unknown): unknown {
    if (at instanceof Slice) return indicesOf(at, this.#items.length).map((i) => this.#items[i])
    return this.#items[this.#index(at)]
  }

  __setitem__(at: unknown, value: unknown): void {
    if (at instanceof Slice) {
      const values = Array.from(value as Iterable<unknown>, (item) => this.#checked(item))
      const indices = indicesOf(at, this.#items.length)
      if (values.length !== indices.length) {
        throw new ValueError(`${indices.length} values are wanted, not ${values.length}`)
      }
      for (const [i, index] of indices.entries()) this.#items[index] = values[i]
    } else this.#items[this.#index(at)] = this.#checked(value)
  }

  toString(): string {
    return `array('${this.#typecode}', ${showValue(this.#items)})`
  }

  #index(at: unknown): number {
    if (typeof at !== 'number' || !Number.isInteger(at)) {
      throw new TypeError(`array indices must be integers, not ${showValue(at)}`)
    }
    const index = at < 0 ? at + this.#items.length : at
    if (index < 0 || index >= this.#items.length) throw new IndexError('array index out of range')
    return index
  }

  #checked(value: unknown): unknown {
    const range = integers[this.#typecode]
    if (range !== undefined) {
      const whole = typeof value === 'bigint' || Number.isInteger(value)
      if (!whole) throw new TypeError(`a whole number is wanted, not ${showValue(value)}`)
      const [least, most] = range
      if (Number(value) < least || Number(value) > most) {
        throw new ValueError(`${showValue(value)} is out of range for '${this.#typecode}'`)
      }
      return value
    }
    const convert = floats[this.#typecode]
    if (convert !== undefined) {
      if (value instanceof Float) return value
      if (typeof value !== 'number')
        throw new TypeError(`a number is wanted, not ${showValue(value)}`)
      return convert(value)
    }
    if (typeof value !== 'string' || [...value].length !== 1) {
      throw new TypeError('a string of one character is wanted')
    }
    return value
  }
}

/** There is no such attribute. */
class AttributeError extends TypeError {
  /** A stable identifier, for programs to compare. */
  readonly code: string = 'ERR_ATTRIBUTE'
}

/** Attributes, to read and to write. */
export class NamespaceReferent {
  readonly #attributes = new Map<string, unknown>()

  constructor(attributes: unknown = {}) {
    const entries = attributes instanceof Map ? attributes : Object.entries(attributes as object)
    for (const [name, value] of entries) this.#attributes.set(String(name), value)
  }

  __getattribute__(name: unknown): unknown {
    if (!this.#attributes.has(String(name))) throw this.#missing(name)
    return this.#attributes.get(String(name))
  }

  __setattr__(name: unknown, value: unknown): void {
    this.#attributes.set(String(name), value)
  }

  __delattr__(name: unknown): void {
    if (!this.#attributes.delete(String(name))) throw this.#missing(name)
  }

  /** All of it, for a copy. */
  toJSON(): Record<string, unknown> {
    return Object.fromEntries(this.#attributes)
  }

  toString(): string {
    const shown = [...this.#attributes]
      .filter(([name]) => !name.startsWith('_'))
      .map(([name, value]) => `${name}=${showValue(value)}`)
    return `Namespace(${shown.join(', ')})`
  }

  #missing(name: unknown): AttributeError {
    return new AttributeError(`'Namespace' object has no attribute '${String(name)}'`)
  }
}

/** What an iterator has come to: there is no error for its end on the way. */
export interface Step {
  readonly done: boolean
  readonly value: unknown
}

/** Whether something can be iterated, at once or in time. */
const iteratorOf = (source: unknown): Iterator<unknown> | AsyncIterator<unknown> => {
  const object = Object(source)
  if (Symbol.asyncIterator in object)
    return (object as AsyncIterable<unknown>)[Symbol.asyncIterator]()
  if (typeof object.next === 'function') return object
  if (Symbol.iterator in object) return (object as Iterable<unknown>)[Symbol.iterator]()
  throw new TypeError(`${showValue(source)} is no iterator`)
}

/** An iterator, one step at a time. */
export class IteratorReferent {
  readonly #iterator: Iterator<unknown> | AsyncIterator<unknown>

  constructor(source: unknown) {
    this.#iterator = iteratorOf(source)
  }

  __next__(): Step | Promise<Step> {
    return steps(this.#iterator.next())
  }

  send(value: unknown): Step | Promise<Step> {
    return steps(this.#iterator.next(value as undefined))
  }

  throw(error: unknown): Step | Promise<Step> {
    if (this.#iterator.throw === undefined) throw error
    return steps(this.#iterator.throw(error))
  }

  close(): undefined | Promise<undefined> {
    const closed = this.#iterator.return?.()
    return closed instanceof Promise ? closed.then(() => undefined) : undefined
  }
}

const steps = (
  step: IteratorResult<unknown> | Promise<IteratorResult<unknown>>,
): Step | Promise<Step> => {
  if (step instanceof Promise) return step.then(steps)
  return { done: step.done === true, value: step.value }
}
