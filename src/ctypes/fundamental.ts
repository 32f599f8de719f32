/**
 * The fundamental types of C.
 * @module
 */
import { native } from '../native.js'
import type { DataType } from './data.js'
import type { Kind } from './kinds.js'
import {
  AtomicData,
  declareFundamental,
  type Fundamental,
  IntegerData,
  NumberData,
  SimpleData,
} from './simple.js'

/** `_Bool`: true or false; whatever is assigned counts as one of the two. */
export class c_bool extends AtomicData<boolean, unknown, Uint8Array> {}

/** `char`: one byte, as a Buffer; it may be given as bytes, as text of one byte, or as its number. */
export class c_char extends SimpleData<Buffer, Uint8Array | string | number, Uint8Array> {}

/** `wchar_t`: one character. */
export class c_wchar extends SimpleData<string, string, Uint16Array | Uint32Array> {}

/** `signed char`: an integer of 8 bits. */
export class c_byte extends IntegerData<number, Int8Array> {}

/** `unsigned char`: an integer of 8 bits, not negative. */
export class c_ubyte extends IntegerData<number, Uint8Array> {}

/** `short`: an integer of 16 bits. */
export class c_short extends IntegerData<number, Int16Array> {}

/** `unsigned short`: an integer of 16 bits, not negative. */
export class c_ushort extends IntegerData<number, Uint16Array> {}

/** `int`: an integer of 32 bits. */
export class c_int extends IntegerData<number, Int32Array> {}

/** `unsigned int`: an integer of 32 bits, not negative. */
export class c_uint extends IntegerData<number, Uint32Array> {}

/** `long`: an integer of 64 bits, a bigint; where C's has 32 bits, as on Windows, a number. */
export class c_long extends IntegerData<bigint, BigInt64Array> {}

/** `unsigned long`: as `c_long`, not negative. */
export class c_ulong extends IntegerData<bigint, BigUint64Array> {}

/** `long long`: an integer of 64 bits, a bigint. */
export class c_longlong extends IntegerData<bigint, BigInt64Array> {}

/** `unsigned long long`: an integer of 64 bits, a bigint that is not negative. */
export class c_ulonglong extends IntegerData<bigint, BigUint64Array> {}

/** `float`: a number of 32 bits. */
export class c_float extends NumberData<number, number | bigint, Float32Array> {}

/** `double`: a number of 64 bits. */
export class c_double extends NumberData<number, number | bigint, Float64Array> {}

const classes: Record<string, DataType> = {
  c_bool,
  c_char,
  c_wchar,
  c_byte,
  c_ubyte,
  c_short,
  c_ushort,
  c_int,
  c_uint,
  c_long,
  c_ulong,
  c_longlong,
  c_ulonglong,
  c_float,
  c_double,
}

type Known = ReturnType<typeof native.fundamentalTypes>[number]

const kindOf = ({ class: meaning, size }: Known): Kind => {
  if (meaning === 'boolean') return 'bool'
  if (meaning === 'character') return 'char'
  if (meaning === 'wide character') return `wchar${8 * size}` as Kind
  return `${meaning === 'float' ? 'f' : meaning === 'signed' ? 'i' : 'u'}${8 * size}` as Kind
}

const known = new Map<string, Known>()
const byTypecode: Record<string, DataType> = Object.create(null)

for (const type of native.fundamentalTypes()) {
  known.set(type.name, type)
  const class_ = classes[type.name]
  if (class_ === undefined) continue
  if (type.typecode !== null) byTypecode[type.typecode] = class_
  const { size, alignment, maximumBits } = type
  declareFundamental(class_, { kind: kindOf(type), size, alignment, maximumBits, swapped: false })
}

const isLong = known.get('c_size_t')!.size === known.get('c_long')!.size

/** `int8_t` */
export const c_int8: typeof c_byte = c_byte
/** `int8_t` */
export type c_int8 = c_byte
/** `uint8_t` */
export const c_uint8: typeof c_ubyte = c_ubyte
/** `uint8_t` */
export type c_uint8 = c_ubyte
/** `int16_t` */
export const c_int16: typeof c_short = c_short
/** `int16_t` */
export type c_int16 = c_short
/** `uint16_t` */
export const c_uint16: typeof c_ushort = c_ushort
/** `uint16_t` */
export type c_uint16 = c_ushort
/** `int32_t` */
export const c_int32: typeof c_int = c_int
/** `int32_t` */
export type c_int32 = c_int
/** `uint32_t` */
export const c_uint32: typeof c_uint = c_uint
/** `uint32_t` */
export type c_uint32 = c_uint
/** `int64_t` */
export const c_int64: typeof c_longlong = c_longlong
/** `int64_t` */
export type c_int64 = c_longlong
/** `uint64_t` */
export const c_uint64: typeof c_ulonglong = c_ulonglong
/** `uint64_t` */
export type c_uint64 = c_ulonglong
/** `size_t` */
export const c_size_t: typeof c_ulong = isLong ? c_ulong : c_ulonglong
/** `size_t` */
export type c_size_t = c_ulong
/** `ssize_t` */
export const c_ssize_t: typeof c_long = isLong ? c_long : c_longlong
/** `ssize_t` */
export type c_ssize_t = c_long

/** The types that letters stand for. */
export interface TypecodeTypes {
  c: typeof c_char
  u: typeof c_wchar
  b: typeof c_byte
  B: typeof c_ubyte
  h: typeof c_short
  H: typeof c_ushort
  i: typeof c_int
  I: typeof c_uint
  l: typeof c_long
  L: typeof c_ulong
  q: typeof c_longlong
  Q: typeof c_ulonglong
  f: typeof c_float
  d: typeof c_double
}

/** The objects of the types that letters stand for. */
export type TypecodeObjects = { [C in Typecode]: TypecodeTypes[C]['prototype'] }

/** A letter that stands for a type, as in Python's `array` module. */
export type Typecode = keyof TypecodeTypes

/**
 * From each letter to its type.
 *
 * Mirrors `multiprocessing.sharedctypes.typecode_to_type`.
 */
export const typecodeToType: Readonly<TypecodeTypes> = byTypecode as unknown as TypecodeTypes

/** The name of a fundamental class, by which the other side finds it. */
export const fundamentalNamed = (name: string): DataType | undefined =>
  Object.hasOwn(classes, name) ? classes[name] : undefined

/** Classes with the other byte order, by those with this machine's. */
const swappedTypes = new Map<DataType, DataType>()

/**
 * The type with the other byte order than this machine's; null for wide characters, which have none.
 */
export const swappedFundamental = (type: DataType): DataType | null => {
  const fundamental = known.get(type.name)
  if (fundamental === undefined || fundamental.class === 'wide character') return null
  if (fundamental.size === 1) return type
  const made = swappedTypes.get(type)
  if (made !== undefined) return made
  const swapped = class extends (type as new () => SimpleData<unknown>) {} as DataType
  Object.defineProperty(swapped, 'name', { value: type.name })
  const { size, alignment, maximumBits } = fundamental
  const how: Fundamental = {
    kind: kindOf(fundamental),
    size,
    alignment,
    maximumBits,
    swapped: true,
  }
  declareFundamental(swapped, how)
  swappedTypes.set(type, swapped)
  return swapped
}

/** The type that a swapped one is made of; any other is its own. */
export const unswapped = (type: DataType): DataType => {
  for (const [native_, swapped] of swappedTypes) if (swapped === type) return native_
  return type
}
