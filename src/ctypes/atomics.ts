/**
 * Operations that are one step for everybody who sees the memory.
 * @module
 */
import { type CData, type TypeInfo, typeOf } from './data.js'
import { type AnyArray, type Storage, storages } from './kinds.js'
import { MEMORY, OFFSET } from './memory.js'

/** What `Atomics` works on. */
type IntegerArray = Exclude<AnyArray, Float32Array | Float64Array>

// `Atomics` has a signature for numbers and one for bigints, and arrays and values always go together here.
const atomics = Atomics as unknown as {
  load(array: IntegerArray, index: number): any
  store(array: IntegerArray, index: number, value: any): any
  exchange(array: IntegerArray, index: number, value: any): any
  compareExchange(array: IntegerArray, index: number, expected: any, replacement: any): any
  add(array: IntegerArray, index: number, value: any): any
  sub(array: IntegerArray, index: number, value: any): any
  and(array: IntegerArray, index: number, value: any): any
  or(array: IntegerArray, index: number, value: any): any
  xor(array: IntegerArray, index: number, value: any): any
}

/** One number seen as a float and as an integer with the same bits. */
class Bits {
  readonly float: Float32Array | Float64Array
  readonly integer: Int32Array | BigInt64Array

  constructor(size: number) {
    const buffer = new ArrayBuffer(size)
    this.float = size === 4 ? new Float32Array(buffer) : new Float64Array(buffer)
    this.integer = size === 4 ? new Int32Array(buffer) : new BigInt64Array(buffer)
  }

  ofFloat(value: number): number | bigint {
    this.float[0] = value
    return this.integer[0]!
  }

  toFloat(bits: number | bigint): number {
    this.integer[0] = bits as never
    return this.float[0]!
  }
}

const bitsOf = { 4: new Bits(4), 8: new Bits(8) }

/** An object as something that `Atomics` can work on. */
export class AtomicCell {
  readonly #storage: Storage
  readonly #array: IntegerArray
  readonly #index: number
  /** Floats are stored by their bits. */
  readonly #bits: Bits | null

  constructor({ storage, swapped, size }: TypeInfo, object: CData) {
    const offset = object[OFFSET]
    if (storage === null || swapped || offset % size !== 0) {
      throw new TypeError(
        `${typeOf(object).name} is not aligned, or of another byte order: it has no atomic operations`,
      )
    }
    const stored = storage.float ? storages[size === 4 ? 'i32' : 'i64'] : storage
    this.#storage = storage
    this.#array = stored.view(object[MEMORY]) as IntegerArray
    this.#index = offset / size
    this.#bits = storage.float ? bitsOf[size as 4 | 8] : null
  }

  #toStored(value: unknown): number | bigint {
    const stored = this.#storage.to(value)
    return this.#bits === null ? stored : this.#bits.ofFloat(stored as number)
  }

  #fromStored(stored: number | bigint): unknown {
    return this.#bits === null ? this.#storage.from(stored) : this.#bits.toFloat(stored)
  }

  load(): unknown {
    return this.#fromStored(atomics.load(this.#array, this.#index))
  }

  store(value: unknown): void {
    atomics.store(this.#array, this.#index, this.#toStored(value))
  }

  exchange(value: unknown): unknown {
    return this.#fromStored(atomics.exchange(this.#array, this.#index, this.#toStored(value)))
  }

  compareExchange(expected: unknown, replacement: unknown): unknown {
    const was = this.#toStored(expected)
    const will = this.#toStored(replacement)
    return this.#fromStored(atomics.compareExchange(this.#array, this.#index, was, will))
  }

  add(value: unknown): unknown {
    const number = this.#storage.to(value)
    if (this.#bits !== null) return this.#addFloat(number as number)
    return atomics.add(this.#array, this.#index, number)
  }

  sub(value: unknown): unknown {
    const number = this.#storage.to(value)
    if (this.#bits !== null) return this.#addFloat(-(number as number))
    return atomics.sub(this.#array, this.#index, number)
  }

  bitwise(operation: 'and' | 'or' | 'xor', value: unknown): unknown {
    return atomics[operation](this.#array, this.#index, this.#storage.to(value))
  }

  /** No machine adds floats in one step: it is tried until nobody came in between. */
  #addFloat(summand: number): number {
    const bits = this.#bits!
    let was = atomics.load(this.#array, this.#index)
    for (;;) {
      const float = bits.toFloat(was)
      const seen = atomics.compareExchange(
        this.#array,
        this.#index,
        was,
        bits.ofFloat(float + summand),
      )
      if (seen === was) return float
      was = seen
    }
  }
}
