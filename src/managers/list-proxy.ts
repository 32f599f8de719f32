/**
 * Proxies for lists.
 * @module
 */
import { IndexError } from '../errors.js'
import type { Both, Spellings } from './calls.js'
import { itemsOf } from './items.js'
import { BaseProxy, SPELLINGS } from './proxy.js'
import { slice } from './slice.js'
import { exposed } from './types.js'

/** What can be done with a list, as {@link ListProxy} has it: each in a Promise and a Sync form. */
export interface ListCalls<T> {
  /** Adds a value at the end. */
  append(value: T): void
  /** Adds values at the end; as JavaScript calls it. */
  push(...values: T[]): void
  /** Adds the values of something iterable, a list's proxy among them, at the end. */
  extend(values: Iterable<T> | ListProxy<T>): void
  /** The value at an index, which counts from the end if it is negative. @throws IndexError. */
  get(index: number): T
  /** The same; undefined where there is none. */
  at(index: number): T | undefined
  /** Replaces the value at an index. @throws IndexError. */
  set(index: number, value: T): void
  /** Takes out the value at an index. @throws IndexError. */
  delete(index: number): void
  /** A copy of a part, as Python's `list[start:stop:step]`. */
  slice(start?: number | null, stop?: number | null, step?: number | null): T[]
  /** Puts values in the place of a part. @throws ValueError when there are not as many, for steps. */
  setSlice(
    start: number | null,
    stop: number | null,
    values: Iterable<T> | ListProxy<T>,
    step?: number | null,
  ): void
  /** Takes out a part. */
  deleteSlice(start?: number | null, stop?: number | null, step?: number | null): void
  /** Puts in a value in front of an index. */
  insert(index: number, value: T): void
  /** Takes out the value at an index, the last if not given, and returns it. @throws IndexError. */
  pop(index?: number): T
  /** Takes out the first value that is equal. @throws ValueError when there is none. */
  remove(value: T): void
  /** Turns the order round. */
  reverse(): void
  /**
   * Puts it in order: numbers by value, strings by their code units, lists element by element.
   *
   * @param options - `key` gives what a value is ordered by: any function that can travel.
   * @throws TypeError for values without an order between them; nothing has changed then.
   */
  sort(options?: { key?: ((value: T) => unknown) | null; reverse?: boolean }): void
  /** The first index of an equal value, from `start` on and before `stop`. @throws ValueError. */
  index(value: T, start?: number, stop?: number): number
  /** How many values are equal. */
  count(value: T): number
  /** Takes out everything. */
  clear(): void
  /** A copy of all of it. */
  copy(): T[]
  /** A copy of all of it, in reverse order. */
  reversed(): T[]
  /** How many values there are. */
  len(): number
  /** The same; as JavaScript calls it. */
  length(): number
  /** Whether a value is equal. */
  has(value: T): boolean
  /** The same. */
  includes(value: T): boolean
  /** The same. */
  contains(value: T): boolean
  /** A plain list of its values and others, as Python's `+`. */
  add(values: Iterable<T> | ListProxy<T>): T[]
  /** A plain list of its values so many times, as Python's `*`. */
  mul(times: number): T[]
  /** The same. */
  rmul(times: number): T[]
}

const part = (given: any[]): unknown[] => [slice(given[0], given[1], given[2])]

const spellings: Spellings = {
  append: 'append',
  push: { method: 'extend', args: (values) => [values] },
  extend: 'extend',
  get: '__getitem__',
  at: {
    method: '__getitem__',
    args: ([index]) => [slice(index, index === -1 ? null : index + 1)],
    result: ([value]) => value,
  },
  set: '__setitem__',
  delete: '__delitem__',
  slice: { method: '__getitem__', args: part },
  setSlice: {
    method: '__setitem__',
    args: ([start, stop, values, step]) => [slice(start, stop, step), values],
  },
  deleteSlice: { method: '__delitem__', args: part },
  insert: 'insert',
  pop: 'pop',
  remove: 'remove',
  reverse: 'reverse',
  sort: 'sort',
  index: 'index',
  count: 'count',
  clear: 'clear',
  copy: 'copy',
  reversed: '__reversed__',
  len: '__len__',
  length: '__len__',
  has: '__contains__',
  includes: '__contains__',
  contains: '__contains__',
  add: '__add__',
  mul: '__mul__',
  rmul: '__rmul__',
}

export interface ListProxy<T = any> extends Both<ListCalls<T>> {}

/**
 * A list in a manager's server.
 *
 * A value that comes from it is a copy: changing that changes nothing in the server until it is set again. A
 * proxy in it stays a proxy, so lists and dictionaries may be nested.
 *
 * Mirrors `managers.ListProxy`.
 */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: the methods are defined from the table.
export class ListProxy<T = any> extends BaseProxy {
  static override readonly _exposed_: readonly string[] = exposed.list
  /** @internal */
  static readonly [SPELLINGS] = spellings

  /** Adds values at the end, as Python's `+=`. Returns the proxy. */
  async iadd(values: Iterable<T> | ListProxy<T>): Promise<this> {
    await this.extend(values)
    return this
  }

  /** The same, blocking. */
  iaddSync(values: Iterable<T> | ListProxy<T>): this {
    this.extendSync(values)
    return this
  }

  /** Repeats it so many times, as Python's `*=`. Returns the proxy. */
  async imul(times: number): Promise<this> {
    await this._callmethod('__imul__', [times])
    return this
  }

  /** The same, blocking. */
  imulSync(times: number): this {
    this._callmethodSync('__imul__', [times])
    return this
  }

  /** Its values one by one, each as it is when its turn comes. Blocks for each. */
  [Symbol.iterator](): Generator<T> {
    return itemsOf((index) => this.getSync(index) as T)
  }

  /** The same, for `for await`. */
  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    for (let i = 0; ; i++) {
      let value: T
      try {
        value = (await this.get(i)) as T
      } catch (error) {
        if (error instanceof IndexError) return
        throw error
      }
      yield value
    }
  }
}
