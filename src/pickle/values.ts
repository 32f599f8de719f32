/**
 * What Python has and JavaScript has not: the classes that stand for it.
 * @module
 */
import { inspect } from 'node:util'

/** A Python `tuple`: an array that is written as one. */
export class Tuple<T = any> extends Array<T> {
  /** What `map` and the like return is an ordinary array. */
  static override get [Symbol.species](): ArrayConstructor {
    return Array
  }
}

/** A {@link Tuple} of these items. */
export const tuple = <T extends unknown[]>(...items: T): Tuple<T[number]> & T =>
  Tuple.from(items) as Tuple<T[number]> & T

/** A Python `frozenset`: a set that is written as one. */
export class FrozenSet<T = any> extends Set<T> {}

/** A Python `bytearray`: bytes that are written as one. */
export class ByteArray extends Uint8Array {}

/** A Python `complex`. */
export class Complex {
  /** The real part. */
  readonly real: number
  /** The imaginary part. */
  readonly imag: number

  constructor(real: number, imag = 0) {
    this.real = real
    this.imag = imag
  }
}

/** A Python `decimal.Decimal`: its digits as text, for a decimal library of your choice. */
export class Decimal {
  /** As Python writes it, such as `1.10`, `1E+3` or `NaN`. */
  readonly text: string

  constructor(text: string | number | bigint) {
    this.text = String(text)
  }

  toString(): string {
    return this.text
  }

  toJSON(): string {
    return this.text
  }

  /** The nearest number. */
  valueOf(): number {
    return Number(this.text.replace(/^(-?)inf(?:inity)?$/i, '$1Infinity'))
  }
}

/** A Python `slice`. */
export class Slice {
  readonly start: any
  readonly stop: any
  readonly step: any

  constructor(start: any, stop: any, step: any = null) {
    this.start = start
    this.stop = stop
    this.step = step
  }
}

/** A Python `range`. */
export class Range {
  readonly start: number | bigint
  readonly stop: number | bigint
  readonly step: number | bigint

  constructor(start: number | bigint, stop: number | bigint, step: number | bigint = 1) {
    this.start = start
    this.stop = stop
    this.step = step
  }

  /** Its numbers; of a range that has bigints, bigints. */
  *[Symbol.iterator](): Generator<number | bigint> {
    const { start, stop, step } = this
    if (typeof start === 'number' && typeof stop === 'number' && typeof step === 'number') {
      for (let at = start; step > 0 ? at < stop : at > stop; at += step) yield at
      return
    }
    const [from, to, by] = [BigInt(start), BigInt(stop), BigInt(step)]
    for (let at = from; by > 0n ? at < to : at > to; at += by) yield at
  }
}

/** A Python `array.array`; only a lossless `loads` makes it. */
export class PythonArray {
  /** What Python calls the type of the items, such as `d`. */
  readonly typecode: string
  /** The items; those of type `u` and `w` are a string. */
  readonly values: ArrayBufferView | string

  constructor(typecode: string, values: ArrayBufferView | string) {
    this.typecode = typecode
    this.values = values
  }
}

/** A class or function of Python's, by name. It is never looked up. */
export class Global {
  /** The module, such as `collections`. */
  readonly module: string
  /** The name in it, such as `OrderedDict`; with dots for what is in classes. */
  readonly name: string

  constructor(module: string, name: string) {
    this.module = module
    this.name = name
  }

  toString(): string {
    return `${this.module}.${this.name}`
  }

  [inspect.custom](): string {
    return `<Global ${this}>`
  }
}

/** How a {@link PythonObject} is made again. */
export type Making = 'call' | 'new'

/**
 * An object of a class that is not known here, as a record: what Python would call to make it, and with
 * what. Written again, it is the same object.
 */
export class PythonObject {
  /** What is called: nearly always a {@link Global}. */
  readonly callable: any
  /** The arguments. */
  readonly args: any[]
  /** The keyword arguments: an object, or a Map; null if there are none. */
  readonly kwargs: any
  /** `call`: the callable is called; `new`: it is a class, and its `__new__` is called. */
  readonly how: Making
  /** The state that is set afterwards, as a rule its attributes; undefined when there is none. */
  state: any
  /** What is appended to it. */
  items: any[] | undefined
  /** What is set in it. */
  entries: [any, any][] | undefined

  constructor(callable: any, args: any[] = [], how: Making = 'call', kwargs: any = null) {
    this.callable = callable
    this.args = args
    this.how = how
    this.kwargs = kwargs
  }

  [inspect.custom](depth: number, options: object, show: typeof inspect): string {
    const { callable, args, kwargs, state, items, entries } = this
    const name = callable instanceof Global ? String(callable) : 'object'
    if (depth < 0) return `<PythonObject ${name}>`
    const all = { args, kwargs, state, items, entries }
    const told = Object.entries(all).filter(([, value]) => value !== undefined && value !== null)
    return `<PythonObject ${name} ${show(Object.fromEntries(told), options)}>`
  }
}

/** An exception of Python's that has no class here. Its `name` is Python's. */
export class PythonError extends Error {
  /** The class. */
  declare readonly type: Global
  /** What it was made with. */
  declare readonly args: any[]

  constructor(type: Global, args: any[], message: string) {
    super(message)
    hidden(this, 'name', type.name)
    hidden(this, 'type', type)
    hidden(this, 'args', args)
  }
}

/** Defines a property that is not enumerated. */
export const hidden = (target: object, name: string, value: unknown): void => {
  Object.defineProperty(target, name, {
    value,
    enumerable: false,
    configurable: true,
    writable: true,
  })
}

/** Sets an own property whatever its name, so that none reaches a prototype. */
export const setOwn = (target: object, name: string, value: unknown): void => {
  Object.defineProperty(target, name, {
    value,
    enumerable: true,
    configurable: true,
    writable: true,
  })
}
