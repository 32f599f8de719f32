/**
 * Proxies for dictionaries.
 * @module
 */
import type { Both, Spellings } from './calls.js'
import type { IteratorProxy } from './iterator-proxy.js'
import { BaseProxy, SPELLINGS } from './proxy.js'
import { exposed } from './types.js'

/** What a dictionary can be made of, or brought up to date with. */
export type DictSource<K, V> =
  | ReadonlyMap<K, V>
  | Iterable<readonly [K, V]>
  | DictProxy<K, V>
  | Readonly<Record<string, V>>

/** What can be done with a dictionary, as {@link DictProxy} has it: each in a Promise and a Sync form. */
export interface DictCalls<K, V> {
  /** The value of a key; otherwise the default, which is undefined if not given. */
  get(key: K, otherwise?: V): V | undefined
  /** The value of a key. @throws KeyError. */
  getItem(key: K): V
  /** Gives a key a value. */
  set(key: K, value: V): void
  /** Takes out a key. @throws KeyError. */
  delete(key: K): void
  /** Whether there is a key. */
  has(key: K): boolean
  /** The same; as Python calls it. */
  contains(key: K): boolean
  /** How many keys there are. */
  size(): number
  /** The same; as Python calls it. */
  len(): number
  /** A copy of the keys, in the order in which they came in. */
  keys(): K[]
  /** A copy of the values, in the order of their keys. */
  values(): V[]
  /** A copy of the pairs of keys and values, in order. */
  items(): [K, V][]
  /** The same; as JavaScript calls it. */
  entries(): [K, V][]
  /** A copy of all of it. */
  copy(): Map<K, V>
  /** Takes out everything. */
  clear(): void
  /** Takes out a key and returns its value; otherwise the default. @throws KeyError without one. */
  pop(key: K, otherwise?: V): V
  /** Takes out the pair that came in last, and returns it. @throws KeyError when there is none. */
  popitem(): [K, V]
  /** The value of a key, which it is given if it has none. */
  setdefault(key: K, value?: V): V
  /** Takes over the pairs of another one. */
  update(source: DictSource<K, V>): void
  /** A Map of such keys, all with one value; the dictionary does not change. */
  fromkeys<L = K>(keys: Iterable<L>, value?: V): Map<L, V>
  /** A copy of the keys in reverse order. */
  reversed(): K[]
  /** A plain Map of its pairs and another's, which go before, as Python's `|`. */
  or(source: DictSource<K, V>): Map<K, V>
  /** A plain Map of another's pairs and its own, which go before. */
  ror(source: DictSource<K, V>): Map<K, V>
  /** An iterator over the keys that lives in the server. */
  iter(): IteratorProxy<K>
}

const spellings: Spellings = {
  get: 'get',
  getItem: '__getitem__',
  set: '__setitem__',
  delete: '__delitem__',
  has: '__contains__',
  contains: '__contains__',
  size: '__len__',
  len: '__len__',
  keys: 'keys',
  values: 'values',
  items: 'items',
  entries: 'items',
  copy: 'copy',
  clear: 'clear',
  pop: 'pop',
  popitem: 'popitem',
  setdefault: 'setdefault',
  update: 'update',
  fromkeys: 'fromkeys',
  reversed: '__reversed__',
  or: '__or__',
  ror: '__ror__',
  iter: '__iter__',
}

export interface DictProxy<K = any, V = any> extends Both<DictCalls<K, V>> {}

/**
 * A dictionary in a manager's server: a Map, with Python's names and JavaScript's. Keys that are objects,
 * such as arrays, are the same when they are equal.
 *
 * A value that comes from it is a copy: changing that changes nothing in the server until it is set again. A
 * proxy in it stays a proxy, so lists and dictionaries may be nested.
 *
 * Mirrors `managers.DictProxy`.
 */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: the methods are defined from the table.
export class DictProxy<K = any, V = any> extends BaseProxy {
  static override readonly _exposed_: readonly string[] = exposed.dict
  static override readonly _methodToTypeid_: Readonly<Record<string, string>> = {
    __iter__: 'Iterator',
  }
  /** @internal */
  static readonly [SPELLINGS] = spellings

  /** Takes over the pairs of another one, as Python's `|=`. Returns the proxy. */
  async ior(source: DictSource<K, V>): Promise<this> {
    await this._callmethod('__ior__', [source])
    return this
  }

  /** The same, blocking. */
  iorSync(source: DictSource<K, V>): this {
    this._callmethodSync('__ior__', [source])
    return this
  }

  /**
   * Its keys one by one, as Python iterates a dictionary. Blocks for each.
   *
   * @throws RuntimeError when the number of keys changes meanwhile.
   */
  *[Symbol.iterator](): Generator<K> {
    const iterator = this.iterSync() as IteratorProxy<K>
    try {
      yield* iterator
    } finally {
      iterator[Symbol.dispose]()
    }
  }

  /** The same, for `for await`. */
  async *[Symbol.asyncIterator](): AsyncGenerator<K> {
    const iterator = (await this.iter()) as IteratorProxy<K>
    try {
      yield* iterator
    } finally {
      iterator[Symbol.dispose]()
    }
  }
}
