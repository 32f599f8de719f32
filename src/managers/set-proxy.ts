/**
 * Proxies for sets.
 * @module
 */
import type { Both, Spellings } from './calls.js'
import type { IteratorProxy } from './iterator-proxy.js'
import { BaseProxy, SPELLINGS } from './proxy.js'
import { exposed } from './types.js'

/** What is taken for a set. */
export type SetSource<T> = Iterable<T> | SetProxy<T>

/** What can be done with a set, as {@link SetProxy} has it: each in a Promise and a Sync form. */
export interface SetCalls<T> {
  /** Puts in a value. */
  add(value: T): void
  /** Takes out a value, if it is there. */
  discard(value: T): void
  /** The same; as JavaScript calls it. */
  delete(value: T): void
  /** Takes out a value. @throws KeyError when it is not there. */
  remove(value: T): void
  /** Takes out some value, and returns it. @throws KeyError when there is none. */
  pop(): T
  /** Takes out everything. */
  clear(): void
  /** Whether a value is in it. */
  has(value: T): boolean
  /** The same; as Python calls it. */
  contains(value: T): boolean
  /** How many values there are. */
  size(): number
  /** The same; as Python calls it. */
  len(): number
  /** A copy of all of it. */
  copy(): Set<T>
  /** A plain set of what is in any of them. */
  union(...others: SetSource<T>[]): Set<T>
  /** A plain set of what is in all of them. */
  intersection(...others: SetSource<T>[]): Set<T>
  /** A plain set of what is in none of the others. */
  difference(...others: SetSource<T>[]): Set<T>
  /** A plain set of what is in one of the two. */
  symmetricDifference(other: SetSource<T>): Set<T>
  /** Puts in what is in the others. */
  update(...others: SetSource<T>[]): void
  /** Keeps what is in all of the others. */
  intersectionUpdate(...others: SetSource<T>[]): void
  /** Takes out what is in the others. */
  differenceUpdate(...others: SetSource<T>[]): void
  /** Keeps what is in one of the two. */
  symmetricDifferenceUpdate(other: SetSource<T>): void
  /** Whether nothing is in both. */
  isdisjoint(other: SetSource<T>): boolean
  /** Whether the other has all of it. */
  issubset(other: SetSource<T>): boolean
  /** Whether it has all of the other. */
  issuperset(other: SetSource<T>): boolean
  /** The same as these, under JavaScript's names. */
  isDisjointFrom(other: SetSource<T>): boolean
  isSubsetOf(other: SetSource<T>): boolean
  isSupersetOf(other: SetSource<T>): boolean
  /** Python's `|`, `&`, `-` and `^`, and the same with the other on the left. */
  or(other: SetSource<T>): Set<T>
  ror(other: SetSource<T>): Set<T>
  and(other: SetSource<T>): Set<T>
  rand(other: SetSource<T>): Set<T>
  sub(other: SetSource<T>): Set<T>
  rsub(other: SetSource<T>): Set<T>
  xor(other: SetSource<T>): Set<T>
  rxor(other: SetSource<T>): Set<T>
  /** Python's `<=`, `<`, `>=` and `>`. */
  le(other: SetSource<T>): boolean
  lt(other: SetSource<T>): boolean
  ge(other: SetSource<T>): boolean
  gt(other: SetSource<T>): boolean
  /** An iterator over the values that lives in the server. */
  iter(): IteratorProxy<T>
}

const spellings: Spellings = {
  add: 'add',
  discard: 'discard',
  delete: 'discard',
  remove: 'remove',
  pop: 'pop',
  clear: 'clear',
  has: '__contains__',
  contains: '__contains__',
  size: '__len__',
  len: '__len__',
  copy: 'copy',
  union: 'union',
  intersection: 'intersection',
  difference: 'difference',
  symmetricDifference: 'symmetric_difference',
  update: 'update',
  intersectionUpdate: 'intersection_update',
  differenceUpdate: 'difference_update',
  symmetricDifferenceUpdate: 'symmetric_difference_update',
  isdisjoint: 'isdisjoint',
  issubset: 'issubset',
  issuperset: 'issuperset',
  isDisjointFrom: 'isdisjoint',
  isSubsetOf: 'issubset',
  isSupersetOf: 'issuperset',
  or: '__or__',
  ror: '__ror__',
  and: '__and__',
  rand: '__rand__',
  sub: '__sub__',
  rsub: '__rsub__',
  xor: '__xor__',
  rxor: '__rxor__',
  le: '__le__',
  lt: '__lt__',
  ge: '__ge__',
  gt: '__gt__',
  iter: '__iter__',
}

export interface SetProxy<T = any> extends Both<SetCalls<T>> {}

/**
 * A set in a manager's server. Values that are objects, such as arrays, are the same when they are equal.
 *
 * Mirrors `managers.SetProxy`.
 */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: the methods are defined from the table.
export class SetProxy<T = any> extends BaseProxy {
  static override readonly _exposed_: readonly string[] = exposed.set
  static override readonly _methodToTypeid_: Readonly<Record<string, string>> = {
    __iter__: 'Iterator',
  }
  /** @internal */
  static readonly [SPELLINGS] = spellings

  /** Python's `|=`, `&=`, `-=` and `^=`: the set changes, and the proxy is returned. */
  async ior(other: SetSource<T>): Promise<this> {
    return await this.#inPlace('__ior__', other)
  }

  /** The same, blocking. */
  iorSync(other: SetSource<T>): this {
    return this.#inPlaceSync('__ior__', other)
  }

  async iand(other: SetSource<T>): Promise<this> {
    return await this.#inPlace('__iand__', other)
  }

  iandSync(other: SetSource<T>): this {
    return this.#inPlaceSync('__iand__', other)
  }

  async isub(other: SetSource<T>): Promise<this> {
    return await this.#inPlace('__isub__', other)
  }

  isubSync(other: SetSource<T>): this {
    return this.#inPlaceSync('__isub__', other)
  }

  async ixor(other: SetSource<T>): Promise<this> {
    return await this.#inPlace('__ixor__', other)
  }

  ixorSync(other: SetSource<T>): this {
    return this.#inPlaceSync('__ixor__', other)
  }

  /** Its values one by one. Blocks for each. @throws RuntimeError when their number changes meanwhile. */
  *[Symbol.iterator](): Generator<T> {
    const iterator = this.iterSync() as IteratorProxy<T>
    try {
      yield* iterator
    } finally {
      iterator[Symbol.dispose]()
    }
  }

  /** The same, for `for await`. */
  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    const iterator = (await this.iter()) as IteratorProxy<T>
    try {
      yield* iterator
    } finally {
      iterator[Symbol.dispose]()
    }
  }

  async #inPlace(method: string, other: SetSource<T>): Promise<this> {
    await this._callmethod(method, [other])
    return this
  }

  #inPlaceSync(method: string, other: SetSource<T>): this {
    this._callmethodSync(method, [other])
    return this
  }
}
