/**
 * Arrays of numbers: numpy's, which are typed arrays with a shape, and those of Python's `array`.
 * @module
 */
import { endianness } from 'node:os'
import { ValueError } from '../errors.js'
import type { TypedArray } from '../typed-array.js'
import { show } from '../waiting.js'
import { hidden } from './values.js'

export type { TypedArray } from '../typed-array.js'

/** A typed array that is a numpy array: its items in memory's order, and what they mean. */
export type NdArray<T extends TypedArray = TypedArray> = T & {
  /** How many items there are in each dimension. */
  readonly shape: readonly number[]
  /**
   * numpy's name of the type, such as `<f8`. `|b1` are booleans in a Uint8Array, `<f2` the bits of half
   * floats in a Uint16Array, `<c8` and `<c16` pairs of real and imaginary parts.
   */
  readonly dtype: string
  /** `C`: the last index is the one that varies fastest; `F`: the first. */
  readonly order: 'C' | 'F'
}

/** What a typed array is in Python. */
export interface NdArrayOptions {
  /** How many items there are in each dimension; one dimension of all if not given. */
  shape?: readonly number[]
  /** numpy's name of the type, as of {@link NdArray}; as the array says if not given. */
  dtype?: string
  /** Which index varies fastest: the last (`C`, if not given) or the first (`F`). */
  order?: 'C' | 'F'
}

type ArrayClass = new (buffer: ArrayBufferLike, offset: number, length: number) => TypedArray

interface Kind {
  readonly type: ArrayClass
  /** How many elements of the typed array an item has. */
  readonly width: number
}

const LITTLE = endianness() === 'LE'

const kinds = new Map<string, Kind>([
  ['b1', { type: Uint8Array, width: 1 }],
  ['i1', { type: Int8Array, width: 1 }],
  ['u1', { type: Uint8Array, width: 1 }],
  ['i2', { type: Int16Array, width: 1 }],
  ['u2', { type: Uint16Array, width: 1 }],
  ['i4', { type: Int32Array, width: 1 }],
  ['u4', { type: Uint32Array, width: 1 }],
  ['i8', { type: BigInt64Array, width: 1 }],
  ['u8', { type: BigUint64Array, width: 1 }],
  ['f2', { type: Uint16Array, width: 1 }],
  ['f4', { type: Float32Array, width: 1 }],
  ['f8', { type: Float64Array, width: 1 }],
  ['c8', { type: Float32Array, width: 2 }],
  ['c16', { type: Float64Array, width: 2 }],
])

const sizeOf = (kind: Kind): number =>
  (kind.type as unknown as { BYTES_PER_ELEMENT: number }).BYTES_PER_ELEMENT

/** A numpy `dtype`. */
export class Dtype {
  /** The kind and the bytes of an item, such as `f8`. */
  readonly name: string
  /** `<`, `>`, or `|` where the order of bytes does not matter. */
  readonly byteOrder: string

  constructor(name: string, byteOrder: string) {
    this.name = name
    this.byteOrder = byteOrder
  }

  /** Such as `<f8`. */
  toString(): string {
    return this.byteOrder + this.name
  }
}

/** Whether items of a type fit a typed array. */
export const isKnown = (name: string): boolean => kinds.has(name)

const isSwapped = ({ byteOrder }: Dtype): boolean =>
  byteOrder === (LITTLE ? '>' : '<') || (byteOrder === '=' && !LITTLE)

/** How this machine writes a type. */
const nativeName = (name: string): string =>
  `${/^.1$/.test(name) ? '|' : LITTLE ? '<' : '>'}${name}`

/** Bytes as typed array, copied unless they have memory of their own. */
const viewOf = ({ type, width }: Kind, bytes: Uint8Array, swapped: boolean): TypedArray => {
  const size = sizeOf({ type, width })
  if (bytes.length % (size * width) !== 0) throw new ValueError('the bytes are no whole items')
  const own = bytes.byteLength === bytes.buffer.byteLength && bytes.byteOffset === 0
  const buffer = own ? bytes.buffer : new Uint8Array(bytes).buffer
  if (swapped && size > 1) {
    const all = new Uint8Array(buffer)
    for (let at = 0; at < all.length; at += size) all.subarray(at, at + size).reverse()
  }
  return new type(buffer, 0, bytes.length / size)
}

const tagged = <T extends TypedArray>(
  values: T,
  shape: readonly number[],
  dtype: string,
  order: 'C' | 'F',
): NdArray<T> => {
  hidden(values, 'shape', Object.freeze([...shape]))
  hidden(values, 'dtype', dtype)
  hidden(values, 'order', order)
  return values as NdArray<T>
}

const itemsIn = (shape: readonly number[]): number =>
  shape.reduce((product, length) => product * length, 1)

const isShape = (shape: unknown): shape is readonly number[] =>
  Array.isArray(shape) && shape.every((length) => Number.isSafeInteger(length) && length >= 0)

/** A numpy array from its bytes; nothing when its items are of a type that has no typed array. */
export const ndarrayFrom = (
  bytes: Uint8Array,
  dtype: Dtype,
  shape: unknown,
  fortran: boolean,
): NdArray | undefined => {
  const kind = kinds.get(dtype.name)
  if (kind === undefined) return undefined
  if (!isShape(shape)) throw new ValueError('the shape of an array is malformed')
  if (itemsIn(shape) * kind.width * sizeOf(kind) !== bytes.length) {
    throw new ValueError('the bytes of an array do not fit its shape')
  }
  const values = viewOf(kind, bytes, isSwapped(dtype))
  return tagged(values, shape, nativeName(dtype.name), fortran ? 'F' : 'C')
}

/** A numpy scalar from its bytes; nothing as for {@link ndarrayFrom}. */
export const scalarFrom = (bytes: Uint8Array, dtype: Dtype): unknown => {
  const kind = kinds.get(dtype.name)
  if (kind === undefined || kind.width !== 1 || dtype.name === 'f2') return undefined
  if (bytes.length !== sizeOf(kind)) throw new ValueError('the bytes of a scalar are malformed')
  const [value] = viewOf(kind, bytes, isSwapped(dtype))
  return dtype.name === 'b1' ? value === 1 : value
}

/** A numpy scalar, such as `numpy.float32(1)`; only a lossless `loads` makes it. */
export class NumpyScalar {
  /** numpy's name of the type, such as `<f4`. */
  readonly dtype: string
  readonly value: number | bigint | boolean

  constructor(dtype: string, value: number | bigint | boolean) {
    this.dtype = dtype
    this.value = value
  }
}

/** The name of the dtype that a scalar has on this machine. */
export const scalarName = (dtype: Dtype): string => nativeName(dtype.name)

const typeNames = new Map<Function, string>([
  [Int8Array, 'i1'],
  [Uint8Array, 'u1'],
  [Uint8ClampedArray, 'u1'],
  [Int16Array, 'i2'],
  [Uint16Array, 'u2'],
  [Int32Array, 'i4'],
  [Uint32Array, 'u4'],
  [BigInt64Array, 'i8'],
  [BigUint64Array, 'u8'],
  [Float32Array, 'f4'],
  [Float64Array, 'f8'],
])

const dtypeOf = (values: TypedArray): string | undefined => {
  for (let at = Object.getPrototypeOf(values); at !== null; at = Object.getPrototypeOf(at)) {
    const name = typeNames.get(at.constructor)
    if (name !== undefined) return name
  }
  return undefined
}

/**
 * Makes a typed array what numpy is to see it as: it gets a `shape`, a `dtype` and an `order`.
 *
 * @param values - The items, in memory's order. It is the array itself that is returned.
 * @throws ValueError when shape or dtype do not fit it; TypeError for what is no typed array.
 */
export const ndarray = <T extends TypedArray>(
  values: T,
  { shape, dtype, order = 'C' }: NdArrayOptions = {},
): NdArray<T> => {
  const own =
    ArrayBuffer.isView(values) && !(values instanceof DataView) ? dtypeOf(values) : undefined
  if (own === undefined) throw new TypeError(`a typed array is wanted, not ${show(values)}`)
  const name = dtype === undefined ? own : dtype.replace(/^[<>=|]/, '')
  const kind = kinds.get(name)
  if (kind === undefined || sizeOf(kind) !== values.BYTES_PER_ELEMENT) {
    throw new ValueError(`a ${values.constructor.name} does not hold items of ${show(dtype)}`)
  }
  if (dtype !== undefined && /^[<>]/.test(dtype) && isSwapped(new Dtype(name, dtype[0]!))) {
    throw new ValueError(`the bytes of typed arrays are in this machine's order, not in ${dtype}'s`)
  }
  if (order !== 'C' && order !== 'F') throw new ValueError(`order is C or F, not ${show(order)}`)
  const wanted = shape ?? [values.length / kind.width]
  if (!isShape(wanted) || itemsIn(wanted) * kind.width !== values.length) {
    throw new ValueError(`${values.length} elements do not have the shape ${show(wanted)}`)
  }
  return tagged(values, wanted, nativeName(name), order)
}

/** Whether a typed array has been made a numpy array. */
export const isNdArray = (value: ArrayBufferView): value is NdArray =>
  Object.hasOwn(value, 'dtype') && Object.hasOwn(value, 'shape')

/** A typed array of items of `array.array`'s type codes, as far as there are such. */
const typecodes = new Map<string, { signed: string; sizes: readonly number[] }>([
  ['b', { signed: 'i', sizes: [1] }],
  ['B', { signed: 'u', sizes: [1] }],
  ['h', { signed: 'i', sizes: [2] }],
  ['H', { signed: 'u', sizes: [2] }],
  ['i', { signed: 'i', sizes: [2, 4] }],
  ['I', { signed: 'u', sizes: [2, 4] }],
  ['l', { signed: 'i', sizes: [4, 8] }],
  ['L', { signed: 'u', sizes: [4, 8] }],
  ['q', { signed: 'i', sizes: [8] }],
  ['Q', { signed: 'u', sizes: [8] }],
  ['f', { signed: 'f', sizes: [4] }],
  ['d', { signed: 'f', sizes: [8] }],
])

/** The machine formats of `array`, from 0 on: kind, bytes, and whether the largest byte is first. */
const formats: readonly [string, boolean][] = [
  ['u1', false],
  ['i1', false],
  ['u2', false],
  ['u2', true],
  ['i2', false],
  ['i2', true],
  ['u4', false],
  ['u4', true],
  ['i4', false],
  ['i4', true],
  ['u8', false],
  ['u8', true],
  ['i8', false],
  ['i8', true],
  ['f4', false],
  ['f4', true],
  ['f8', false],
  ['f8', true],
]

/** The items of an `array.array`, from its bytes in a machine's format; nothing for text. */
export const arrayFrom = (format: unknown, bytes: Uint8Array): TypedArray | undefined => {
  const [name, big] = formats[format as number] ?? []
  if (name === undefined) return undefined
  return viewOf(kinds.get(name)!, bytes, big === LITTLE)
}

/** The items of an `array.array` of a type, from numbers; nothing for text. */
export const arrayOf = (typecode: string, items: readonly unknown[]): TypedArray | undefined => {
  const code = typecodes.get(typecode)
  if (code === undefined) return undefined
  const size = code.sizes.at(-1)!
  const { type } = kinds.get(`${code.signed}${size}`)!
  const values = new (type as unknown as new (length: number) => TypedArray)(items.length)
  const wide = values instanceof BigInt64Array || values instanceof BigUint64Array
  for (const [index, item] of items.entries()) {
    values[index] = (wide ? BigInt(item as number) : Number(item)) as never
  }
  return values
}

/** The format of a typed array's bytes, for `array.array`. */
export const formatOf = (values: TypedArray): number => {
  const name = dtypeOf(values)
  return formats.findIndex(
    ([format, big]) => format === name && (big !== LITTLE || /1$/.test(format)),
  )
}

/** The type code that `array.array` has for a typed array. */
export const typecodeOf = (values: TypedArray): string | undefined => {
  const name = dtypeOf(values)
  for (const [typecode, { signed, sizes }] of typecodes) {
    // Of int and long it is the one that has the same size everywhere.
    if (!'lL'.includes(typecode) && name === `${signed}${sizes.at(-1)}`) return typecode
  }
  return undefined
}
