/**
 * One field of all the structures in an array.
 * @module
 */
import { IndexError, ValueError } from '../errors.js'
import type { TypeInfo } from './data.js'
import { fieldOf } from './fields.js'
import { wholeNumber } from './indexing.js'
import type { AnyArray, Storage } from './kinds.js'
import type { Memory } from './memory.js'

/**
 * One field of all the structures in an array, without a copy: element `i` is `view[first + i * step]`,
 * which is how a hot loop reads it.
 */
export class Column<V> {
  /** How many elements there are. */
  readonly length: number
  /** The memory, as a typed array of the field's type. */
  readonly view: V extends bigint ? BigInt64Array | BigUint64Array : Float64Array | Int32Array
  /** Where in `view` the first element is. */
  readonly first: number
  /** How far apart two elements are in `view`. */
  readonly step: number
  readonly #storage: Storage

  /** @internal */
  constructor(view: AnyArray, first: number, step: number, length: number, storage: Storage) {
    this.view = view as this['view']
    this.first = first
    this.step = step
    this.length = length
    this.#storage = storage
  }

  /** @internal */
  static of<V>(
    element: TypeInfo,
    name: string,
    memory: Memory,
    offset: number,
    length: number,
  ): Column<V> {
    const { info, at, bits } = fieldOf(element.type, name)
    const { storage, swapped } = info
    const start = offset + at
    if (
      storage === null ||
      swapped ||
      bits !== null ||
      start % storage.size !== 0 ||
      element.size % storage.size !== 0
    ) {
      throw new ValueError(`${element.type.name}.${name} is no column of numbers in memory`)
    }
    const view = storage.view(memory)
    return new Column(view, start / storage.size, element.size / storage.size, length, storage)
  }

  #position(index: number): number {
    const whole = wholeNumber(index, 'an index')
    const from = whole < 0 ? whole + this.length : whole
    if (from < 0 || from >= this.length) throw new IndexError('invalid index')
    return this.first + from * this.step
  }

  /**
   * An element.
   *
   * @throws IndexError when there is none.
   */
  get(index: number): V {
    return this.#storage.from(this.view[this.#position(index)]!) as V
  }

  /**
   * Sets an element.
   *
   * @throws IndexError when there is none; TypeError for a value of a wrong type.
   */
  set(index: number, value: V): void {
    this.view[this.#position(index)] = this.#storage.to(value) as never
  }

  /** The elements, one after the other. */
  *[Symbol.iterator](): IterableIterator<V> {
    for (let i = 0; i < this.length; i++) yield this.get(i)
  }

  /** A copy of the elements. */
  toArray(): V[] {
    return [...this]
  }
}
