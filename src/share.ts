/**
 * Binary data in shared memory.
 * @module
 */
import { ValueError } from './errors.js'
import { allocate } from './heap.js'
import { show } from './waiting.js'

/** What has bytes of its own, or shows some. */
export type Shareable = ArrayBufferLike | ArrayBufferView

/** What {@link share} makes of something. */
export type Shared<T extends Shareable> = T extends ArrayBufferView
  ? T
  : T extends ArrayBufferLike
    ? ArrayBuffer
    : never

type ViewClass = new (buffer: ArrayBuffer, offset: number, length: number) => ArrayBufferView

/**
 * Copies binary data to shared memory. The copy is what it was, an ordinary typed array for instance, but
 * it travels without being copied: wherever it is sent, to a process that is started or over a connection,
 * what arrives shows the same memory, and all see what any of them writes. So do parts of it, made by
 * `subarray` or over its `buffer`.
 *
 * The memory is given back when nobody, in any process, has it any more. Nothing keeps writers apart; use
 * `Atomics`, or a lock, where several write to the same place.
 *
 * @param data - A typed array, DataView, Buffer, ArrayBuffer or SharedArrayBuffer. An instance of a
 *   subclass of these gives one of the class itself.
 * @returns The copy, with memory of its own: its `buffer` has what `data` showed, and nothing else.
 * @throws TypeError for anything else; OSError `ENOMEM`, `EFBIG` (more than `RLIMIT_FSIZE` allows) or
 *   `EMFILE` when the memory cannot be had; ValueError for a `data` that was detached.
 *
 * Does not block. There is nothing like it in the reference, where memory is shared by ctypes objects.
 */
export const share = <T extends Shareable>(data: T): Shared<T> => {
  const view = bytesOf(data)
  const { buffer } = allocate(view.byteLength)
  new Uint8Array(buffer).set(view)
  return (ArrayBuffer.isView(data) ? sameView(data, buffer) : buffer) as Shared<T>
}

const bytesOf = (data: unknown): Uint8Array => {
  if (ArrayBuffer.isView(data)) {
    refuseDetached(data.buffer)
    return new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  }
  const isBuffer = data instanceof ArrayBuffer || data instanceof SharedArrayBuffer
  if (!isBuffer) throw new TypeError(`a typed array or a buffer is wanted, not ${show(data)}`)
  refuseDetached(data)
  return new Uint8Array(data)
}

const refuseDetached = (buffer: ArrayBufferLike): void => {
  try {
    new Uint8Array(buffer)
  } catch {
    throw new ValueError('the data was detached')
  }
}

const tagOf = Object.getOwnPropertyDescriptor(
  Object.getPrototypeOf(Uint8Array.prototype),
  Symbol.toStringTag,
)!.get!

/** What shows a buffer as a view shows its own. */
const sameView = (view: ArrayBufferView, buffer: ArrayBuffer): ArrayBufferView => {
  if (Buffer.isBuffer(view)) return Buffer.from(buffer)
  const name: string = tagOf.call(view) ?? 'DataView'
  const type = (globalThis as unknown as Record<string, ViewClass>)[name]!
  const width = (view as Partial<Uint8Array>).BYTES_PER_ELEMENT ?? 1
  return new type(buffer, 0, view.byteLength / width)
}
