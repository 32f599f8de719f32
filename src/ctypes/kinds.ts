/**
 * How the fundamental types are stored: each is one of a few kinds.
 * @module
 */
import * as convert from './conversions.js'
import * as memory from './memory.js'
import { data, type Memory } from './memory.js'

/** The kinds of numbers, by their bits, and what is stored as one of them but reads as something else. */
export type Kind =
  | 'i8'
  | 'u8'
  | 'i16'
  | 'u16'
  | 'i32'
  | 'u32'
  | 'i64'
  | 'u64'
  | 'f32'
  | 'f64'
  | 'bool'
  | 'char'
  | 'wchar16'
  | 'wchar32'

/** A typed array of any kind. */
export type AnyArray =
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array
  | Float32Array
  | Float64Array

/** What is stored for a value. */
export type Stored = number | bigint

type ArrayClass = new (buffer: ArrayBufferLike, byteOffset: number, length: number) => AnyArray

/** How a kind is stored. */
export interface Storage {
  readonly kind: Kind
  readonly size: number
  readonly Array: ArrayClass
  /** Whether it can be read as stored; the others have `from`. */
  readonly plain: boolean
  /** Whether it is a bigint. */
  readonly big: boolean
  readonly float: boolean
  /** What can be stored, of what is given; TypeError when there is nothing. */
  to(value: unknown): Stored
  /** What is given for what is stored. */
  from(stored: Stored): unknown
  /** All of the memory as an array of it. */
  view(memory: Memory): AnyArray
  /** Reads at any offset, in either byte order. */
  read(memory: Memory, offset: number, littleEndian: boolean): Stored
  /** The same the other way round. */
  write(memory: Memory, offset: number, littleEndian: boolean, stored: Stored): void
}

type Name =
  | 'Int8'
  | 'Uint8'
  | 'Int16'
  | 'Uint16'
  | 'Int32'
  | 'Uint32'
  | 'BigInt64'
  | 'BigUint64'
  | 'Float32'
  | 'Float64'

const same = (stored: Stored): Stored => stored

const storage = (
  kind: Kind,
  name: Name,
  Array: ArrayClass & { BYTES_PER_ELEMENT: number },
  view: (memory: Memory) => AnyArray,
  to: (value: unknown) => Stored,
  from: ((stored: any) => unknown) | null = null,
): Storage => {
  const big = name.startsWith('Big')
  const get = DataView.prototype[`get${name}`] as (offset: number, little: boolean) => Stored
  const set = DataView.prototype[`set${name}`] as (
    offset: number,
    stored: Stored,
    little: boolean,
  ) => void
  return {
    kind,
    size: Array.BYTES_PER_ELEMENT,
    Array,
    plain: from === null,
    big,
    float: name.startsWith('Float'),
    to,
    from: from ?? same,
    view,
    read: (memory, offset, littleEndian) => get.call(data(memory), offset, littleEndian),
    write: (memory, offset, littleEndian, stored) =>
      set.call(data(memory), offset, stored, littleEndian),
  }
}

const { toBigInteger, toBoolean, toCharacter, toFloat, toInteger, toWideCharacter } = convert

const all: readonly Storage[] = [
  storage('i8', 'Int8', Int8Array, memory.i8, toInteger),
  storage('u8', 'Uint8', Uint8Array, memory.u8, toInteger),
  storage('i16', 'Int16', Int16Array, memory.i16, toInteger),
  storage('u16', 'Uint16', Uint16Array, memory.u16, toInteger),
  storage('i32', 'Int32', Int32Array, memory.i32, toInteger),
  storage('u32', 'Uint32', Uint32Array, memory.u32, toInteger),
  storage('i64', 'BigInt64', BigInt64Array, memory.i64, toBigInteger),
  storage('u64', 'BigUint64', BigUint64Array, memory.u64, toBigInteger),
  storage('f32', 'Float32', Float32Array, memory.f32, toFloat),
  storage('f64', 'Float64', Float64Array, memory.f64, toFloat),
  storage('bool', 'Uint8', Uint8Array, memory.u8, toBoolean, (byte) => byte !== 0),
  storage('char', 'Uint8', Uint8Array, memory.u8, toCharacter, convert.fromCharacter),
  storage(
    'wchar16',
    'Uint16',
    Uint16Array,
    memory.u16,
    (value) => toWideCharacter(value, 2),
    convert.fromWideCharacter,
  ),
  storage(
    'wchar32',
    'Uint32',
    Uint32Array,
    memory.u32,
    (value) => toWideCharacter(value, 4),
    convert.fromWideCharacter,
  ),
]

/** How each kind is stored. */
export const storages: Readonly<Record<Kind, Storage>> = Object.fromEntries(
  all.map((one) => [one.kind, one]),
) as Record<Kind, Storage>

/** Whether the least significant byte comes first on this machine. */
export const LITTLE_ENDIAN: boolean = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1
