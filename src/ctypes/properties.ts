/**
 * Properties that read and write memory. There is one piece of code for each kind, rather than one for
 * all: that is what makes them as fast as a typed array.
 * @module
 */
import { toBigInteger, toFloat, toInteger } from './conversions.js'
import { type Kind, LITTLE_ENDIAN, type Storage, storages } from './kinds.js'
import {
  f32,
  f64,
  i8,
  i16,
  i32,
  i64,
  MEMORY,
  OFFSET,
  type Placed,
  u8,
  u16,
  u32,
  u64,
} from './memory.js'

/** A property of what lies somewhere. */
export interface MemoryProperty {
  get(this: Placed): unknown
  set(this: Placed, value: unknown): void
}

/** A property so many bytes from where an object begins; that is a multiple of its size. */
const aligned: Readonly<Record<Kind, (at: number) => MemoryProperty>> = {
  i8: (at) => ({
    get() {
      return i8(this[MEMORY])[this[OFFSET] + at]
    },
    set(value) {
      i8(this[MEMORY])[this[OFFSET] + at] = toInteger(value)
    },
  }),
  u8: (at) => ({
    get() {
      return u8(this[MEMORY])[this[OFFSET] + at]
    },
    set(value) {
      u8(this[MEMORY])[this[OFFSET] + at] = toInteger(value)
    },
  }),
  i16: (at) => ({
    get() {
      return i16(this[MEMORY])[(this[OFFSET] + at) / 2]
    },
    set(value) {
      i16(this[MEMORY])[(this[OFFSET] + at) / 2] = toInteger(value)
    },
  }),
  u16: (at) => ({
    get() {
      return u16(this[MEMORY])[(this[OFFSET] + at) / 2]
    },
    set(value) {
      u16(this[MEMORY])[(this[OFFSET] + at) / 2] = toInteger(value)
    },
  }),
  i32: (at) => ({
    get() {
      return i32(this[MEMORY])[(this[OFFSET] + at) / 4]
    },
    set(value) {
      i32(this[MEMORY])[(this[OFFSET] + at) / 4] = toInteger(value)
    },
  }),
  u32: (at) => ({
    get() {
      return u32(this[MEMORY])[(this[OFFSET] + at) / 4]
    },
    set(value) {
      u32(this[MEMORY])[(this[OFFSET] + at) / 4] = toInteger(value)
    },
  }),
  i64: (at) => ({
    get() {
      return i64(this[MEMORY])[(this[OFFSET] + at) / 8]
    },
    set(value) {
      i64(this[MEMORY])[(this[OFFSET] + at) / 8] = toBigInteger(value)
    },
  }),
  u64: (at) => ({
    get() {
      return u64(this[MEMORY])[(this[OFFSET] + at) / 8]
    },
    set(value) {
      u64(this[MEMORY])[(this[OFFSET] + at) / 8] = toBigInteger(value)
    },
  }),
  f32: (at) => ({
    get() {
      return f32(this[MEMORY])[(this[OFFSET] + at) / 4]
    },
    set(value) {
      f32(this[MEMORY])[(this[OFFSET] + at) / 4] = toFloat(value)
    },
  }),
  f64: (at) => ({
    get() {
      return f64(this[MEMORY])[(this[OFFSET] + at) / 8]
    },
    set(value) {
      f64(this[MEMORY])[(this[OFFSET] + at) / 8] = toFloat(value)
    },
  }),
  bool: (at) => ({
    get() {
      return u8(this[MEMORY])[this[OFFSET] + at] !== 0
    },
    set(value) {
      u8(this[MEMORY])[this[OFFSET] + at] = value ? 1 : 0
    },
  }),
  char: (at) => converting(storages.char, at),
  wchar16: (at) => converting(storages.wchar16, at),
  wchar32: (at) => converting(storages.wchar32, at),
}

const converting = ({ size, view, from, to }: Storage, at: number): MemoryProperty => ({
  get() {
    return from(view(this[MEMORY])[(this[OFFSET] + at) / size]!)
  },
  set(value) {
    view(this[MEMORY])[(this[OFFSET] + at) / size] = to(value)
  },
})

/** A property at any offset, in either byte order; others may see it half written. */
const anywhere = ({ read, write, from, to }: Storage, at: number, little: boolean) =>
  ({
    get() {
      return from(read(this[MEMORY], this[OFFSET] + at, little))
    },
    set(value) {
      write(this[MEMORY], this[OFFSET] + at, little, to(value))
    },
  }) satisfies MemoryProperty & ThisType<Placed>

/**
 * The property of a kind, so many bytes from where an object begins.
 *
 * @param swapped - Whether its bytes have the other order than this machine's.
 * @param isAligned - Whether it lies at a multiple of its size.
 */
export const propertyOf = (
  storage: Storage,
  at: number,
  swapped: boolean,
  isAligned: boolean,
): MemoryProperty =>
  isAligned && !swapped
    ? aligned[storage.kind](at)
    : anywhere(storage, at, swapped ? !LITTLE_ENDIAN : LITTLE_ENDIAN)
