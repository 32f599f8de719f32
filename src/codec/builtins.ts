/**
 * The built-in classes that the wire format names by number. The order is part of the format: new ones
 * go at the end.
 * @module
 */

/** The built-in error classes, by their number on the wire. */
export const ERROR_CLASSES: readonly ErrorConstructor[] = [
  Error,
  EvalError,
  RangeError,
  ReferenceError,
  SyntaxError,
  TypeError,
  URIError,
  // Its signature differs; the decoder gives it the empty list it asks for.
  AggregateError as unknown as ErrorConstructor,
]

/** The number of AggregateError, the one class whose constructor wants a list first. */
export const AGGREGATE_ERROR = 7

interface ViewClass {
  readonly prototype: object
  readonly bytesPerElement: number
  /** Makes a view of `length` elements from `offset`. */
  readonly make: (buffer: ArrayBuffer, offset: number, length: number) => ArrayBufferView
}

type TypedArrayClass = {
  readonly prototype: ArrayBufferView
  readonly BYTES_PER_ELEMENT: number
  new (buffer: ArrayBuffer, offset: number, length: number): ArrayBufferView
}

const typed = (constructor: TypedArrayClass): ViewClass => ({
  prototype: constructor.prototype,
  bytesPerElement: constructor.BYTES_PER_ELEMENT,
  make: (buffer, offset, length) => new constructor(buffer, offset, length),
})

// Node 24 has it, Node 20 has not; the number stays reserved where it is missing.
const Float16 = (globalThis as { Float16Array?: TypedArrayClass }).Float16Array

/** The views, by their number on the wire; null where this Node has no such class. */
export const VIEW_CLASSES: readonly (ViewClass | null)[] = [
  {
    prototype: Buffer.prototype,
    bytesPerElement: 1,
    make: (buffer, offset, length) => Buffer.from(buffer, offset, length),
  },
  typed(Uint8Array),
  typed(Uint8ClampedArray),
  typed(Int8Array),
  typed(Uint16Array),
  typed(Int16Array),
  typed(Uint32Array),
  typed(Int32Array),
  typed(Float32Array),
  typed(Float64Array),
  typed(BigInt64Array),
  typed(BigUint64Array),
  {
    prototype: DataView.prototype,
    bytesPerElement: 1,
    make: (buffer, offset, length) => new DataView(buffer, offset, length),
  },
  Float16 === undefined ? null : typed(Float16),
]

/** The number of Buffer among the views. */
export const BUFFER_CLASS = 0

/** The number of Uint8Array among them. */
export const UINT8_CLASS = 1

/** The symbols every realm shares, by their number on the wire. */
export const WELL_KNOWN_SYMBOLS: readonly (symbol | undefined)[] = [
  Symbol.asyncIterator,
  Symbol.hasInstance,
  Symbol.isConcatSpreadable,
  Symbol.iterator,
  Symbol.match,
  Symbol.matchAll,
  Symbol.replace,
  Symbol.search,
  Symbol.species,
  Symbol.split,
  Symbol.toPrimitive,
  Symbol.toStringTag,
  Symbol.unscopables,
  (Symbol as { dispose?: symbol }).dispose,
  (Symbol as { asyncDispose?: symbol }).asyncDispose,
]
