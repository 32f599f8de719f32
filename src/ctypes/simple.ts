/**
 * Objects that are one value: what the fundamental types have in common.
 * @module
 */
import { inspect } from 'node:util'
import { ATOMIC, type AtomicOperations, atomicOperations, notAtomic } from './atomics.js'
import { CData, type DataType, DESCRIBE, type Description } from './data.js'
import { type Kind, storages } from './kinds.js'
import { propertyOf } from './properties.js'

/** What a fundamental class says of itself. */
export interface Fundamental {
  readonly kind: Kind
  readonly size: number
  readonly alignment: number
  readonly maximumBits: number | null
  readonly swapped: boolean
}

const fundamentals = new WeakMap<DataType, Fundamental>()

/** The class of a fundamental type; it may be that of another byte order. */
export const isFundamental = (type: DataType): boolean => fundamentals.has(type)

/** Says what a class is. */
export const declareFundamental = (type: DataType, fundamental: Fundamental): void => {
  fundamentals.set(type, fundamental)
  const { kind, swapped } = fundamental
  Object.defineProperties(type.prototype, {
    value: { ...propertyOf(storages[kind], 0, swapped, true), configurable: true },
    // Made when they are used: every process that loads this would pay for them.
    [ATOMIC]: {
      get() {
        const value = swapped ? notAtomic : atomicOperations(storages[kind])
        Object.defineProperty(type.prototype, ATOMIC, { value })
        return value
      },
      configurable: true,
    },
  })
}

const fundamentalOf = (type: DataType): Fundamental => {
  let at: DataType | null = type
  while (typeof at === 'function') {
    const found = fundamentals.get(at)
    if (found !== undefined) return found
    at = Object.getPrototypeOf(at)
  }
  throw new TypeError(`${type.name} is an abstract class`)
}

const describe = (type: DataType): Description => {
  const { kind, size, alignment, maximumBits, swapped } = fundamentalOf(type)
  const storage = storages[kind]
  return {
    size,
    alignment,
    storage,
    swapped,
    maximumBits,
    assign: (target, value) => {
      const simple = target as SimpleData<unknown>
      simple.value = value instanceof type ? (value as SimpleData<unknown>).value : value
    },
    unaligned: () => ({
      value: { ...propertyOf(storage, 0, swapped, false), configurable: true },
      [ATOMIC]: { value: notAtomic },
    }),
    // A class of the program's own is not read as its value.
    ...(isFundamental(type)
      ? { property: (at, isAligned) => propertyOf(storage, at, swapped, isAligned) }
      : {}),
  }
}

/**
 * An object that is one value of a fundamental type.
 *
 * Mirrors ctypes' `_SimpleCData`.
 */
export abstract class SimpleData<V, Given = V, View = unknown> extends CData {
  /** @internal */
  declare readonly [ATOMIC]: AtomicOperations

  /** Tells the types of values apart. */
  declare protected readonly valueType: V

  /** Tells what arrays of it are in memory. */
  declare protected readonly viewType: View

  /**
   * @param value - Zero when there is none.
   * @throws TypeError for a value of a wrong type.
   */
  constructor(value?: Given) {
    super()
    if (value !== undefined) this.value = value
  }

  /**
   * The value, as it is in memory. Reading and writing are one access each where the object is aligned; to
   * wait for what another process writes, read with `load()`.
   *
   * @throws TypeError when it is set to a value of a wrong type.
   */
  get value(): V {
    throw new TypeError(`${this.constructor.name} is an abstract class`)
  }

  set value(_value: Given) {
    throw new TypeError(`${this.constructor.name} is an abstract class`)
  }

  /** @internal */
  static readonly [DESCRIBE] = describe

  /** As the reference shows it: `c_int(5)`. */
  override toString(): string {
    return this[inspect.custom]()
  }

  /** @internal */
  [inspect.custom](): string {
    const { value } = this
    const shown = Buffer.isBuffer(value) ? `b${inspect(value.toString('latin1'))}` : inspect(value)
    return `${this.constructor.name}(${shown})`
  }
}

/**
 * A value with atomic operations. None takes a lock: each is one step for all processes and threads. They
 * throw a TypeError where the memory is not aligned or has another byte order than this machine's.
 */
export abstract class AtomicData<V, Given = V, View = unknown> extends SimpleData<V, Given, View> {
  /** Reads the value; a loop that does so sees what another process writes. */
  load(): V {
    return this[ATOMIC].load(this)
  }

  /** Writes a value. */
  store(value: Given): void {
    this[ATOMIC].store(this, value)
  }

  /** Writes a value, and returns what was there. */
  exchange(value: Given): V {
    return this[ATOMIC].exchange(this, value)
  }

  /**
   * Writes `replacement` if `expected` is there, and returns what was there. Floats are compared by their
   * bits: NaN is the same as NaN, and 0 is not -0.
   */
  compareExchange(expected: Given, replacement: Given): V {
    return this[ATOMIC].compareExchange(this, expected, replacement)
  }
}

/** A number: what can be added to atomically. */
export abstract class NumberData<V, Given = V, View = unknown> extends AtomicData<V, Given, View> {
  /** Adds, and returns what was there before. Integers lose what does not fit. */
  add(value: Given): V {
    return this[ATOMIC].add(this, value)
  }

  /** Subtracts, and returns what was there before. */
  sub(value: Given): V {
    return this[ATOMIC].sub(this, value)
  }
}

/** An integer. */
export abstract class IntegerData<V, View = unknown> extends NumberData<V, number | bigint, View> {
  /** Clears the bits that `value` does not have, and returns what was there before. */
  and(value: number | bigint): V {
    return this[ATOMIC].and(this, value)
  }

  /** Sets the bits that `value` has, and returns what was there before. */
  or(value: number | bigint): V {
    return this[ATOMIC].or(this, value)
  }

  /** Turns over the bits that `value` has, and returns what was there before. */
  xor(value: number | bigint): V {
    return this[ATOMIC].xor(this, value)
  }
}
