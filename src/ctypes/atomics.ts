/**
 * Operations that are one step for everybody who sees the memory.
 * @module
 */
import { type AnyArray, type Storage, storages } from './kinds.js'
import { MEMORY, OFFSET, type Placed } from './memory.js'

/** The operations on what lies at an object's place. Those that change it return what was there. */
export interface AtomicOperations {
  load(at: Placed): any
  store(at: Placed, value: unknown): void
  exchange(at: Placed, value: unknown): any
  compareExchange(at: Placed, expected: unknown, replacement: unknown): any
  add(at: Placed, value: unknown): any
  sub(at: Placed, value: unknown): any
  and(at: Placed, value: unknown): any
  or(at: Placed, value: unknown): any
  xor(at: Placed, value: unknown): any
}

/** Where an object keeps its operations. */
export const ATOMIC: unique symbol = Symbol('atomic')

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

const integerOperations = ({ view: viewOf, size, to }: Storage): AtomicOperations => {
  const view = viewOf as (memory: Placed[typeof MEMORY]) => IntegerArray
  return {
    load: (at) => atomics.load(view(at[MEMORY]), at[OFFSET] / size),
    store: (at, value) => {
      atomics.store(view(at[MEMORY]), at[OFFSET] / size, to(value))
    },
    exchange: (at, value) => atomics.exchange(view(at[MEMORY]), at[OFFSET] / size, to(value)),
    compareExchange: (at, expected, replacement) =>
      atomics.compareExchange(view(at[MEMORY]), at[OFFSET] / size, to(expected), to(replacement)),
    add: (at, value) => atomics.add(view(at[MEMORY]), at[OFFSET] / size, to(value)),
    sub: (at, value) => atomics.sub(view(at[MEMORY]), at[OFFSET] / size, to(value)),
    and: (at, value) => atomics.and(view(at[MEMORY]), at[OFFSET] / size, to(value)),
    or: (at, value) => atomics.or(view(at[MEMORY]), at[OFFSET] / size, to(value)),
    xor: (at, value) => atomics.xor(view(at[MEMORY]), at[OFFSET] / size, to(value)),
  }
}

const refusing = (what: string) => (): never => {
  throw new TypeError(what)
}

const notOfThisType = refusing('this type has no such atomic operation')

/** A bool is a byte that reads as something else. */
const booleanOperations = (storage: Storage): AtomicOperations => {
  const { load, store, exchange, compareExchange } = integerOperations(storage)
  return {
    load: (at) => load(at) !== 0,
    store,
    exchange: (at, value) => exchange(at, value) !== 0,
    compareExchange: (at, expected, replacement) =>
      compareExchange(at, expected, replacement) !== 0,
    add: notOfThisType,
    sub: notOfThisType,
    and: notOfThisType,
    or: notOfThisType,
    xor: notOfThisType,
  }
}

/** Floats are stored by their bits; what is computed is tried until nobody came in between. */
const floatOperations = ({ size, to }: Storage): AtomicOperations => {
  const { view: viewOf } = storages[size === 4 ? 'i32' : 'i64']
  const view = viewOf as (memory: Placed[typeof MEMORY]) => IntegerArray
  const buffer = new ArrayBuffer(size)
  const float = size === 4 ? new Float32Array(buffer) : new Float64Array(buffer)
  const bits: any = size === 4 ? new Int32Array(buffer) : new BigInt64Array(buffer)
  const bitsOf = (value: unknown): number | bigint => {
    float[0] = to(value) as number
    return bits[0]
  }
  const floatOf = (stored: number | bigint): number => {
    bits[0] = stored
    return float[0]!
  }
  const addTo = (at: Placed, summand: number): number => {
    const array = view(at[MEMORY])
    const index = at[OFFSET] / size
    let was = atomics.load(array, index)
    for (;;) {
      const old = floatOf(was)
      const seen = atomics.compareExchange(array, index, was, bitsOf(old + summand))
      if (seen === was) return old
      was = seen
    }
  }
  return {
    load: (at) => floatOf(atomics.load(view(at[MEMORY]), at[OFFSET] / size)),
    store: (at, value) => {
      atomics.store(view(at[MEMORY]), at[OFFSET] / size, bitsOf(value))
    },
    exchange: (at, value) =>
      floatOf(atomics.exchange(view(at[MEMORY]), at[OFFSET] / size, bitsOf(value))),
    compareExchange: (at, expected, replacement) => {
      const was = bitsOf(expected)
      const will = bitsOf(replacement)
      return floatOf(atomics.compareExchange(view(at[MEMORY]), at[OFFSET] / size, was, will))
    },
    add: (at, value) => addTo(at, to(value) as number),
    sub: (at, value) => addTo(at, -(to(value) as number)),
    and: notOfThisType,
    or: notOfThisType,
    xor: notOfThisType,
  }
}

const none = (what: () => never): AtomicOperations => ({
  load: what,
  store: what,
  exchange: what,
  compareExchange: what,
  add: what,
  sub: what,
  and: what,
  or: what,
  xor: what,
})

/** Those of characters: none. */
const ofCharacters = none(notOfThisType)

/** Those of what is not aligned, or has another byte order than this machine's: none. */
export const notAtomic: AtomicOperations = none(
  refusing('what is not aligned, or of another byte order, has no atomic operations'),
)

/** The operations of a kind. */
export const atomicOperations = (storage: Storage): AtomicOperations => {
  if (storage.kind === 'bool') return booleanOperations(storage)
  if (storage.float) return floatOperations(storage)
  return storage.plain ? integerOperations(storage) : ofCharacters
}
