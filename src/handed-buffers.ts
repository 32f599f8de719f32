/**
 * Very large buffers of messages in queues: they lie in memory that is handed over, and the message says
 * where. Whoever takes it has them mapped in the place of buffers of its own; nothing is copied there.
 * @module
 */
import { type Encoded, HEADROOM } from './codec/index.js'
import { UnpicklingError } from './errors.js'
import { allocate, type FrameParts } from './large-message.js'
import { native } from './native.js'
import { checked } from './native-status.js'
import { LARGE, trimLater } from './warm-memory.js'

/** The first byte of such a message. It never leaves a queue, so it is no kind of frame. */
const HANDED = 3

/** The most bytes of a message with very large buffers: it has to fit where small ones are received. */
const LONGEST = 32 * 1024

/** A byte for the kind, three that are zero, and how many buffers there are. */
const HEADER = 8
/** For each of them where it begins, and how long it is. */
const ENTRY = 16

/** A message whose buffers were handed over, and what travels beside it. */
export interface HandedMessage {
  readonly message: Uint8Array
  readonly descriptors: number[]
  /** The last of the descriptors, to be closed when the message is on its way. */
  readonly file: number
}

/** Hands over the buffers of a message, if some are large enough and there is memory for it. */
export const handOver = ({ bytes, end, buffers, handles }: Encoded): HandedMessage | undefined => {
  if (!buffers?.some((buffer) => buffer.length >= LARGE)) return undefined
  const start = HEADER + ENTRY * buffers.length
  const length = start + end - HEADROOM
  if (length > LONGEST) return undefined
  const [file, ...offsets] = native.handOver(buffers)
  if (file === undefined) return undefined
  trimLater()
  const message = new Uint8Array(length)
  const view = new DataView(message.buffer)
  message[0] = HANDED
  view.setUint32(4, buffers.length, true)
  for (const [i, buffer] of buffers.entries()) {
    view.setFloat64(HEADER + i * ENTRY, offsets[i]!, true)
    view.setFloat64(HEADER + i * ENTRY + 8, buffer.length, true)
  }
  message.set(bytes.subarray(HEADROOM, end), start)
  return { message, descriptors: [...(handles ?? []), file], file }
}

/** Whether a message is one whose buffers were handed over. */
export const isHanded = (message: Uint8Array): boolean => message[0] === HANDED

/** The parts of such a message, whose file is closed. */
export const partsOfHanded = (
  message: Uint8Array,
  descriptors: number,
  file: number,
): FrameParts => {
  try {
    const view = new DataView(message.buffer, message.byteOffset, message.length)
    const count = message.length < HEADER ? 0 : view.getUint32(4, true)
    const start = HEADER + ENTRY * count
    if (start > message.length) throw new UnpicklingError('the table of buffers is cut short')
    const buffers: ArrayBuffer[] = []
    for (let at = HEADER; at < start; at += ENTRY) {
      const buffer = allocate(view.getFloat64(at + 8, true))
      checked(native.takeOver(file, view.getFloat64(at, true), buffer), 'mmap')
      buffers.push(buffer.buffer as ArrayBuffer)
    }
    return { graph: message.subarray(start), buffers, descriptors }
  } finally {
    native.closeDescriptor(file)
  }
}
