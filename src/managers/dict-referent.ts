/**
 * Dictionaries in a manager's server: Maps, with the methods and errors of Python's.
 * @module
 */
import { KeyError, RuntimeError, ValueError } from '../errors.js'
import { listed } from './list-referent.js'
import { behind } from './local.js'
import { equal, missing, showValue } from './show-value.js'

/** What `dict()` takes: a Map, a plain object, pairs, or a dictionary of this server. */
const entriesOf = (given: unknown): Iterable<readonly [unknown, unknown]> => {
  const source = behind(given)
  if (source === undefined || source === null) return []
  if (source instanceof DictReferent) return source.map
  if (source instanceof Map) return source
  if (typeof source === 'object' && Symbol.iterator in source) {
    return Array.from(source as Iterable<unknown>, (pair) => {
      const [key, value, ...more] = listed(pair)
      if (more.length > 0) throw new ValueError('a pair of a key and a value is wanted')
      return [key, value] as const
    })
  }
  if (typeof source === 'object') return Object.entries(source)
  throw new TypeError(`${showValue(source)} is no dictionary`)
}

/** A dictionary. */
export class DictReferent {
  readonly map: Map<unknown, unknown>

  constructor(source?: unknown, more?: unknown) {
    this.map = new Map(entriesOf(source))
    if (more !== undefined) this.update(more)
  }

  /** The dictionary that is this Map. */
  static over(map: Map<unknown, unknown>): DictReferent {
    const dict = new DictReferent()
    ;(dict as { map: Map<unknown, unknown> }).map = map
    return dict
  }

  get(key: unknown, otherwise?: unknown): unknown {
    const value = this.map.get(key)
    if (value !== undefined) return value
    const found = this.#find(key)
    return this.map.has(found) ? this.map.get(found) : otherwise
  }

  __getitem__(key: unknown): unknown {
    const found = this.#find(key)
    if (!this.map.has(found)) throw missing(key)
    return this.map.get(found)
  }

  __setitem__(key: unknown, value: unknown): void {
    this.map.set(this.#find(key), value)
  }

  __delitem__(key: unknown): void {
    if (!this.map.delete(this.#find(key))) throw missing(key)
  }

  __contains__(key: unknown): boolean {
    return this.map.has(this.#find(key))
  }

  __len__(): number {
    return this.map.size
  }

  *__iter__(): Generator<unknown> {
    const { size } = this.map
    for (const key of this.map.keys()) {
      if (this.map.size !== size) throw new RuntimeError('dictionary changed size during iteration')
      yield key
    }
    if (this.map.size !== size) throw new RuntimeError('dictionary changed size during iteration')
  }

  __reversed__(): unknown[] {
    return [...this.map.keys()].reverse()
  }

  __or__(other: unknown): Map<unknown, unknown> {
    return new Map([...this.map, ...entriesOf(other)])
  }

  __ror__(other: unknown): Map<unknown, unknown> {
    return new Map([...entriesOf(other), ...this.map])
  }

  __ior__(other: unknown): void {
    this.update(other)
  }

  clear(): void {
    this.map.clear()
  }

  copy(): Map<unknown, unknown> {
    return new Map(this.map)
  }

  fromkeys(keys: unknown, value: unknown = null): Map<unknown, unknown> {
    return new Map(listed(keys).map((key) => [key, value]))
  }

  items(): [unknown, unknown][] {
    return [...this.map]
  }

  keys(): unknown[] {
    return [...this.map.keys()]
  }

  values(): unknown[] {
    return [...this.map.values()]
  }

  pop(key: unknown, ...otherwise: unknown[]): unknown {
    const found = this.#find(key)
    if (!this.map.has(found)) {
      if (otherwise.length > 0) return otherwise[0]
      throw missing(key)
    }
    const value = this.map.get(found)
    this.map.delete(found)
    return value
  }

  popitem(): [unknown, unknown] {
    const last = [...this.map].at(-1)
    if (last === undefined) throw new KeyError('popitem(): dictionary is empty')
    this.map.delete(last[0])
    return last
  }

  setdefault(key: unknown, value: unknown = null): unknown {
    const found = this.#find(key)
    if (!this.map.has(found)) this.map.set(found, value)
    return this.map.get(found)
  }

  update(source?: unknown, more?: unknown): void {
    for (const [key, value] of entriesOf(source)) this.map.set(this.#find(key), value)
    if (more !== undefined) this.update(more)
  }

  toString(): string {
    return showValue(this.map)
  }

  /** The key of the Map that is equal. Objects that came from elsewhere are never the same. */
  #find(key: unknown): unknown {
    if (typeof key !== 'object' || key === null || this.map.has(key)) return key
    for (const known of this.map.keys()) {
      if (typeof known === 'object' && equal(known, key)) return known
    }
    return key
  }
}
