/**
 * Lists in a manager's server, with the methods and errors of Python's.
 * @module
 */
import { IndexError, ValueError } from '../errors.js'
import { behind } from './local.js'
import { equal, showValue } from './show-value.js'
import { indicesOf, Slice } from './slice.js'

/** What is iterable, as a list; a Map gives its keys, as in Python. */
export const listed = (given: unknown): unknown[] => {
  const values = behind(given)
  if (values instanceof Map) return [...values.keys()]
  if (values instanceof ListReferent) return [...values.items]
  if (typeof values === 'object' || typeof values === 'string') {
    if (values !== null && Symbol.iterator in Object(values))
      return [...(values as Iterable<unknown>)]
  }
  throw new TypeError(`${showValue(values)} is not iterable`)
}

/** A whole number. */
const whole = (value: unknown): number => {
  const number = typeof value === 'bigint' ? Number(value) : value
  if (typeof number !== 'number' || !Number.isInteger(number)) {
    throw new TypeError(`list indices must be integers or slices, not ${showValue(value)}`)
  }
  return number
}

/** A list. */
export class ListReferent {
  readonly items: unknown[]

  constructor(values: unknown = []) {
    this.items = listed(values)
  }

  /** The list that is this array. */
  static over(items: unknown[]): ListReferent {
    const list = new ListReferent()
    ;(list as { items: unknown[] }).items = items
    return list
  }

  __len__(): number {
    return this.items.length
  }

  __getitem__(at: unknown): unknown {
    if (typeof at === 'number' && at >= 0 && at < this.items.length && Number.isInteger(at)) {
      return this.items[at]
    }
    if (at instanceof Slice) return indicesOf(at, this.items.length).map((i) => this.items[i])
    return this.items[this.#index(at, 'list index out of range')]
  }

  __setitem__(at: unknown, value: unknown): void {
    if (!(at instanceof Slice)) {
      this.items[this.#index(at, 'list assignment index out of range')] = value
      return
    }
    const values = listed(value)
    const indices = indicesOf(at, this.items.length)
    if ((at.step ?? 1) === 1) {
      const [first = this.#bounded(at.start ?? 0)] = indices
      this.items.splice(first, indices.length, ...values)
      return
    }
    if (values.length !== indices.length) {
      throw new ValueError(
        `attempt to assign sequence of size ${values.length} to extended slice of size ${indices.length}`,
      )
    }
    for (const [i, index] of indices.entries()) this.items[index] = values[i]
  }

  __delitem__(at: unknown): void {
    if (!(at instanceof Slice)) {
      this.items.splice(this.#index(at, 'list assignment index out of range'), 1)
      return
    }
    const gone = new Set(indicesOf(at, this.items.length))
    this.#replace(this.items.filter((_, i) => !gone.has(i)))
  }

  __contains__(value: unknown): boolean {
    return this.items.some((item) => equal(item, value))
  }

  __add__(other: unknown): unknown[] {
    return [...this.items, ...listed(other)]
  }

  __mul__(times: unknown): unknown[] {
    const product: unknown[] = []
    for (let left = whole(times); left > 0; left--) product.push(...this.items)
    return product
  }

  __rmul__(times: unknown): unknown[] {
    return this.__mul__(times)
  }

  __iadd__(other: unknown): void {
    this.extend(other)
  }

  __imul__(times: unknown): void {
    this.#replace(this.__mul__(times))
  }

  __reversed__(): unknown[] {
    return this.items.toReversed()
  }

  __iter__(): Iterator<unknown> {
    return this.items[Symbol.iterator]()
  }

  append(value: unknown): void {
    this.items.push(value)
  }

  clear(): void {
    this.items.length = 0
  }

  copy(): unknown[] {
    return [...this.items]
  }

  count(value: unknown): number {
    return this.items.filter((item) => equal(item, value)).length
  }

  extend(values: unknown): void {
    for (const value of listed(values)) this.items.push(value)
  }

  index(value: unknown, start: unknown = 0, stop: unknown = this.items.length): number {
    const last = this.#bounded(whole(stop))
    for (let i = this.#bounded(whole(start)); i < last; i++)
      if (equal(this.items[i], value)) return i
    throw new ValueError(`${showValue(value)} is not in list`)
  }

  insert(at: unknown, value: unknown): void {
    this.items.splice(this.#bounded(whole(at)), 0, value)
  }

  pop(at: unknown = -1): unknown {
    if (this.items.length === 0) throw new IndexError('pop from empty list')
    return this.items.splice(this.#index(at, 'pop index out of range'), 1)[0]
  }

  remove(value: unknown): void {
    const index = this.items.findIndex((item) => equal(item, value))
    if (index < 0) throw new ValueError('list.remove(x): x not in list')
    this.items.splice(index, 1)
  }

  reverse(): void {
    this.items.reverse()
  }

  sort(options: unknown = {}): void {
    const { key = null, reverse = false } = (options ?? {}) as {
      key?: ((value: unknown) => unknown) | null
      reverse?: boolean
    }
    const keyed = this.items.map((item) => [key === null ? item : key(item), item] as const)
    keyed.sort(([a], [b]) => (reverse ? compare(b, a) : compare(a, b)))
    this.#replace(keyed.map(([, item]) => item))
  }

  toString(): string {
    return showValue(this.items)
  }

  #replace(items: unknown[]): void {
    this.items.length = 0
    for (const item of items) this.items.push(item)
  }

  #index(at: unknown, message: string): number {
    const index = whole(at)
    const from = index < 0 ? index + this.items.length : index
    if (from < 0 || from >= this.items.length) throw new IndexError(message)
    return from
  }

  #bounded(index: number): number {
    const { length } = this.items
    return Math.min(Math.max(index < 0 ? index + length : index, 0), length)
  }
}

/** Python's order: numbers and strings by value, lists element by element; others have none. */
const compare = (a: unknown, b: unknown): number => {
  const numeric = (value: unknown): boolean =>
    typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean'
  if ((numeric(a) && numeric(b)) || (typeof a === 'string' && typeof b === 'string')) {
    return (a as number) < (b as number) ? -1 : (a as number) > (b as number) ? 1 : 0
  }
  if (Array.isArray(a) && Array.isArray(b)) {
    for (let i = 0; i < Math.min(a.length, b.length); i++) {
      const order = compare(a[i], b[i])
      if (order !== 0) return order
    }
    return a.length - b.length
  }
  if (a instanceof Date && b instanceof Date) return a.getTime() - b.getTime()
  throw new TypeError(`${showValue(a)} and ${showValue(b)} have no order`)
}
