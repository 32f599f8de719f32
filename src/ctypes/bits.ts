/**
 * Bit fields.
 * @module
 */
import type { Storage } from './kinds.js'
import { LITTLE_ENDIAN } from './kinds.js'
import { MEMORY, type Memory, OFFSET, u8 } from './memory.js'
import type { MemoryProperty } from './properties.js'

/** Which bits a field has. */
export interface Bits {
  /** The byte that the first one is in, from where the object begins. */
  readonly offset: number
  /** The first one in that byte, in the order of the bytes. */
  readonly first: number
  readonly width: number
  /** Whether the byte order is the other one than this machine's. */
  readonly swapped: boolean
}

/** Whether a kind of integer has a sign. */
const isSigned = ({ kind }: Storage): boolean => kind.startsWith('i')

/**
 * The property of a bit field. Only the bytes in which it has bits are touched; of those, what belongs to
 * its neighbours is read and written back, so that two processes that write neighbouring bit fields at once
 * undo one another's writes.
 */
export const bitProperty = (storage: Storage, bits: Bits): MemoryProperty => {
  const little = bits.swapped ? !LITTLE_ENDIAN : LITTLE_ENDIAN
  return bits.first + bits.width <= 32 ? narrow(storage, bits, little) : wide(storage, bits, little)
}

/** A field that lies in four bytes or fewer. */
const narrow = (storage: Storage, { offset, first, width }: Bits, little: boolean) => {
  const bytes = Math.ceil((first + width) / 8)
  const shift = little ? first : 8 * bytes - first - width
  const mask = width === 32 ? 0xffff_ffff : 2 ** width - 1
  const signed = isSigned(storage)
  const read = (memory: Memory, at: number): number => {
    const array = u8(memory)
    let all = 0
    for (let i = 0; i < bytes; i++) {
      all |= array[at + i]! << (8 * (little ? i : bytes - 1 - i))
    }
    return all
  }
  return {
    get() {
      const found = (read(this[MEMORY], this[OFFSET] + offset) >>> shift) & mask
      const value = signed ? (found << (32 - width)) >> (32 - width) : found >>> 0
      return storage.big ? BigInt(value) : storage.from(value)
    },
    set(value) {
      const memory = this[MEMORY]
      const at = this[OFFSET] + offset
      const given = storage.to(value)
      const stored = Number(storage.big ? BigInt.asIntN(32, given as bigint) : given)
      const all = (read(memory, at) & ~(mask << shift)) | ((stored & mask) << shift)
      const array = u8(memory)
      for (let i = 0; i < bytes; i++) {
        array[at + i] = all >>> (8 * (little ? i : bytes - 1 - i))
      }
    },
  } satisfies MemoryProperty & ThisType<unknown>
}

/** A field that lies in up to nine bytes. */
const wide = (storage: Storage, { offset, first, width }: Bits, little: boolean) => {
  const bytes = Math.ceil((first + width) / 8)
  const shift = BigInt(little ? first : 8 * bytes - first - width)
  const mask = (1n << BigInt(width)) - 1n
  const wrap = isSigned(storage) ? BigInt.asIntN : BigInt.asUintN
  const place = (i: number): bigint => BigInt(8 * (little ? i : bytes - 1 - i))
  const read = (memory: Memory, at: number): bigint => {
    const array = u8(memory)
    let all = 0n
    for (let i = 0; i < bytes; i++) all |= BigInt(array[at + i]!) << place(i)
    return all
  }
  return {
    get() {
      const value = wrap(width, (read(this[MEMORY], this[OFFSET] + offset) >> shift) & mask)
      return storage.big ? value : Number(value)
    },
    set(value) {
      const memory = this[MEMORY]
      const at = this[OFFSET] + offset
      const stored = BigInt(storage.to(value)) & mask
      const all = (read(memory, at) & ~(mask << shift)) | (stored << shift)
      const array = u8(memory)
      for (let i = 0; i < bytes; i++) array[at + i] = Number((all >> place(i)) & 0xffn)
    },
  } satisfies MemoryProperty & ThisType<unknown>
}
