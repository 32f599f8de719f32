/**
 * Objects to messages and back: the codec on one side, the engine's frames on the other.
 * @module
 */
import { decode, type Encoded, HEADROOM, modulesOf } from './codec/index.js'
import { UnpicklingError } from './errors.js'
import { importModules } from './functions.js'
import { native } from './native.js'
import { LARGE } from './native-status.js'

/** An object message, ready to be sent in parts. */
export interface ObjectMessage {
  readonly parts: Uint8Array[]
  /** Descriptors that go beside the first byte; whoever sends keeps them open until then. */
  readonly descriptors: number[]
}

/** Small messages are received here, so that they are never allocated. */
const receiveScratch = new Uint8Array(64 * 1024)
native.setReceiveScratch(receiveScratch)

let sendScratch: Uint8Array | undefined

/** A copy of some bytes. A Buffer's own `slice` makes none. */
export const copyOf = (bytes: Uint8Array, start: number, end: number): Uint8Array =>
  Uint8Array.prototype.slice.call(bytes, start, end)

/** Tells the engine where the encoder has put its bytes, which moves when they grow. */
export const shareSendScratch = ({ bytes }: Encoded): void => {
  if (bytes === sendScratch) return
  native.setSendScratch(bytes)
  sendScratch = bytes
}

/** Whether an encoded object can go straight from the encoder's bytes. */
export const isPlain = ({ buffers, handles }: Encoded): boolean =>
  buffers === null && handles === null

/**
 * The parts of an encoded object's message. The graph is copied, as the encoder's bytes are used again;
 * large buffers are not. `framed` puts the length in front.
 */
export const messageOf = (encoded: Encoded, framed: boolean): ObjectMessage => {
  const graph = copyOf(encoded.bytes, HEADROOM, encoded.end)
  const buffers = encoded.buffers ?? []
  const descriptors = encoded.handles?.slice() ?? []
  const lengths = buffers.map((buffer) => buffer.byteLength)
  const [header, ...paddings] = native.framePrefixes(
    graph.length,
    lengths,
    descriptors.length,
    framed,
  )
  const parts: Uint8Array[] = [header!, graph]
  for (const [index, buffer] of buffers.entries()) parts.push(paddings[index]!, buffer)
  return { parts, descriptors }
}

/** An object that came in, before it is rebuilt. */
interface Arrived {
  readonly bytes: Uint8Array
  readonly start: number
  readonly end: number
  readonly buffers: ArrayBuffer[] | null
  readonly descriptors: number[] | null
}

const PLAIN = 1
const EXTENDED = 2

/** Where a message in the receive scratch begins to be an object. */
const arrivedSmall = (length: number, takeDescriptors: () => number[]): Arrived => {
  const bytes = receiveScratch
  if (length > 0 && bytes[0] === PLAIN) {
    return { bytes, start: 1, end: length, buffers: null, descriptors: null }
  }
  const [start, end, count, ...ranges] = wellFormed(() => native.parseFrame(length))
  const buffers: ArrayBuffer[] = []
  for (let i = 0; i < ranges.length; i += 2) {
    buffers.push(bytes.slice(ranges[i], ranges[i + 1]).buffer)
  }
  return {
    bytes,
    start: start!,
    end: end!,
    buffers,
    descriptors: complete(takeDescriptors(), count!),
  }
}

const arrivedLarge = (
  [graph, count, ...buffers]: [ArrayBuffer, number, ...ArrayBuffer[]],
  takeDescriptors: () => number[],
): Arrived => {
  const bytes = new Uint8Array(graph)
  const descriptors = complete(takeDescriptors(), count)
  return { bytes, start: 0, end: bytes.length, buffers, descriptors }
}

/** A peer that announces descriptors and sends none is caught here; what came too many is closed. */
const complete = (descriptors: number[], announced: number): number[] => {
  if (descriptors.length === announced) return descriptors
  for (const fd of descriptors) native.closeDescriptor(fd)
  throw new UnpicklingError(
    `the message announces ${announced} descriptors and ${descriptors.length} came`,
  )
}

const wellFormed = <T>(parse: () => T): T => {
  try {
    return parse()
  } catch (cause) {
    throw new UnpicklingError(`not an object's message: ${(cause as Error).message}`, { cause })
  }
}

/** Rebuilds an object; descriptors that were not taken up by then are closed. */
const rebuild = (
  { bytes, start, end, buffers, descriptors }: Arrived,
  trusted: boolean,
): unknown => {
  try {
    return decode(bytes, start, end, { trusted, buffers, handles: descriptors })
  } catch (error) {
    for (const fd of descriptors ?? []) native.closeDescriptor(fd)
    throw error
  }
}

const arrived = (code: number, handle: number): Arrived => {
  const takeDescriptors = (): number[] => native.takeDescriptors(handle)
  if (code !== LARGE) return arrivedSmall(code, takeDescriptors)
  return arrivedLarge(wellFormed(() => native.takeLargeFrame(handle)) as never, takeDescriptors)
}

/** The object of the message just received on a connection. Imports nothing that is not loaded yet. */
export const takeObjectSync = (code: number, handle: number, trusted: boolean): unknown =>
  rebuild(arrived(code, handle), trusted)

/** The same; modules that the object needs are imported first, and then a Promise is returned. */
export const takeObject = (code: number, handle: number, trusted: boolean): unknown => {
  const message = arrived(code, handle)
  return trusted ? rebuildWithModules(message) : rebuild(message, false)
}

/** The object in a file in memory, which is closed. */
export const takeObjectFromFile = async (fd: number, descriptors: number[]): Promise<unknown> =>
  rebuildWithModules(arrivedLarge(native.mapFrameFile(fd) as never, () => descriptors))

const rebuildWithModules = (message: Arrived): unknown => {
  const missing = importModules(modulesOf(message.bytes, message.start, message.end))
  if (missing === undefined) return rebuild(message, true)
  // The bytes may be the scratch, which the next message overwrites while the modules are imported.
  const kept = { ...message, bytes: copyOf(message.bytes, message.start, message.end) }
  return missing.then(() => rebuild({ ...kept, start: 0, end: kept.bytes.length }, true))
}

/** The bytes of the message just received on a connection, in memory of their own. */
export const takeBytes = (code: number, handle: number): Buffer => {
  dropDescriptors(handle)
  if (code === LARGE) return Buffer.from(native.takeLarge(handle))
  return Buffer.from(receiveScratch.slice(0, code).buffer)
}

/**
 * Copies the message just received into `target`; what does not fit is returned.
 */
export const takeBytesInto = (
  code: number,
  handle: number,
  target: Uint8Array,
): number | Buffer => {
  dropDescriptors(handle)
  const large = code === LARGE ? native.takeLarge(handle) : undefined
  const bytes = large ? new Uint8Array(large) : receiveScratch.subarray(0, code)
  const { length } = bytes
  if (length > target.length) return Buffer.from(large ?? bytes.slice().buffer)
  target.set(bytes)
  if (large) native.detachBuffer(large)
  return length
}

/** Descriptors that came beside plain bytes belong to nobody. */
const dropDescriptors = (handle: number): void => {
  for (const fd of native.takeDescriptors(handle)) native.closeDescriptor(fd)
}

/** @internal The first byte of an object's message, for tests of hostile ones. */
export const frameKinds = { PLAIN, EXTENDED } as const
