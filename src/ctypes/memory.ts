/**
 * The memory that objects lie in: a buffer, and the views of it that somebody needed.
 * @module
 */

/** Where an object's memory is kept in it. Names would be in the way of the names of fields. */
export const MEMORY: unique symbol = Symbol('memory')

/** Where in that memory the object begins, in bytes. */
export const OFFSET: unique symbol = Symbol('offset')

/** Whatever lies somewhere. */
export interface Placed {
  [MEMORY]: Memory
  [OFFSET]: number
}

/** A buffer and its views. They are made when they are needed: most objects need one. */
export class Memory {
  readonly buffer: ArrayBufferLike
  i8: Int8Array | null = null
  u8: Uint8Array | null = null
  i16: Int16Array | null = null
  u16: Uint16Array | null = null
  i32: Int32Array | null = null
  u32: Uint32Array | null = null
  i64: BigInt64Array | null = null
  u64: BigUint64Array | null = null
  f32: Float32Array | null = null
  f64: Float64Array | null = null
  data: DataView | null = null

  constructor(buffer: ArrayBufferLike) {
    this.buffer = buffer
  }
}

const memories = new WeakMap<ArrayBufferLike, Memory>()

/** The memory that a buffer is. */
export const memoryOf = (buffer: ArrayBufferLike): Memory => {
  let memory = memories.get(buffer)
  if (memory === undefined) {
    memory = new Memory(buffer)
    memories.set(buffer, memory)
  }
  return memory
}

/** How many whole elements of a size there are. */
const count = ({ buffer }: Memory, size: number): number => Math.floor(buffer.byteLength / size)

// One function for each, so that the code that reads through it is compiled for that one type of array.
export const i8 = (m: Memory): Int8Array => (m.i8 ??= new Int8Array(m.buffer))
export const u8 = (m: Memory): Uint8Array => (m.u8 ??= new Uint8Array(m.buffer))
export const i16 = (m: Memory): Int16Array => (m.i16 ??= new Int16Array(m.buffer, 0, count(m, 2)))
export const u16 = (m: Memory): Uint16Array => (m.u16 ??= new Uint16Array(m.buffer, 0, count(m, 2)))
export const i32 = (m: Memory): Int32Array => (m.i32 ??= new Int32Array(m.buffer, 0, count(m, 4)))
export const u32 = (m: Memory): Uint32Array => (m.u32 ??= new Uint32Array(m.buffer, 0, count(m, 4)))
export const i64 = (m: Memory): BigInt64Array =>
  (m.i64 ??= new BigInt64Array(m.buffer, 0, count(m, 8)))
export const u64 = (m: Memory): BigUint64Array =>
  (m.u64 ??= new BigUint64Array(m.buffer, 0, count(m, 8)))
export const f32 = (m: Memory): Float32Array =>
  (m.f32 ??= new Float32Array(m.buffer, 0, count(m, 4)))
export const f64 = (m: Memory): Float64Array =>
  (m.f64 ??= new Float64Array(m.buffer, 0, count(m, 8)))
export const data = (m: Memory): DataView => (m.data ??= new DataView(m.buffer))

/** Copies bytes from one object to another. */
export const copyBytes = (from: Placed, to: Placed, size: number): void => {
  const start = from[OFFSET]
  u8(to[MEMORY]).set(u8(from[MEMORY]).subarray(start, start + size), to[OFFSET])
}

/** Sets the bytes of an object to zero. */
export const clearBytes = (at: Placed, size: number): void => {
  u8(at[MEMORY]).fill(0, at[OFFSET], at[OFFSET] + size)
}
