/**
 * Objects to messages and back: the codec on one side, the engine's frames on the other.
 * @module
 */
import { decode, type Encoded, HEADROOM, modulesOf, type OwnedHandle } from './codec/index.js'
import { UnpicklingError } from './errors.js'
import './functions.js'
import './heap.js'
import { type FrameParts, type LargeMessage, partsOf, wellFormed } from './large-message.js'
import { importModules } from './module-imports.js'
import { native } from './native.js'
import { checked, LARGE } from './native-status.js'

/** An object message, ready to be sent in parts. */
export interface ObjectMessage {
  readonly parts: Uint8Array[]
  /** Descriptors that go beside the first byte; whoever sends keeps them open until then. */
  readonly descriptors: number[]
  /** Those of them that were made for the message: for {@link closeOwned} when it is sent, or cannot be. */
  readonly owned: readonly OwnedHandle[] | null
}

/** Closes what was made for a message. */
export const closeOwned = ({ owned }: Pick<Encoded, 'owned'>): void => {
  if (owned !== null) for (const handle of owned) handle.close()
}

/** Small messages are received here, so that they are never allocated. */
export const receiveScratch: Uint8Array = new Uint8Array(64 * 1024)
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
 * large buffers are not. `framed` puts the length in front; `start` is where it begins, if there is a head
 * of the sender's own in front of it.
 */
export const messageOf = (
  encoded: Encoded,
  framed: boolean,
  start: number = HEADROOM,
): ObjectMessage => {
  const graph = copyOf(encoded.bytes, start, encoded.end)
  const buffers = encoded.buffers ?? []
  const { owned } = encoded
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
  return { parts, descriptors, owned }
}

/** An object that came in, before it is rebuilt. */
export interface Arrived {
  readonly bytes: Uint8Array
  readonly start: number
  readonly end: number
  readonly buffers: ArrayBuffer[] | null
  readonly descriptors: number[] | null
  /** Why it cannot be rebuilt. */
  readonly failure?: Error | undefined
}

/** The first byte of a message that is a graph and nothing else. */
const PLAIN = 1

/** The first byte of one that has buffers or descriptors beside it. */
const EXTENDED = 2

/** The object of a message in the receive scratch. */
const arrivedSmall = (length: number, takeDescriptors: () => number[]): Arrived => {
  const bytes = receiveScratch
  if (length > 0 && bytes[0] === PLAIN) {
    return { bytes, start: 1, end: length, buffers: null, descriptors: null }
  }
  const parse = (): FrameParts => partsOf(bytes.subarray(0, length), native.parseFrame(length))
  return arrivedFrame(parse, takeDescriptors)
}

/** The descriptors are taken first, so that those of bytes that are no frame are closed too. */
const arrivedFrame = (parse: () => FrameParts, takeDescriptors: () => number[]): Arrived => {
  const came = takeDescriptors()
  try {
    const { graph, buffers, descriptors } = wellFormed(parse)
    return {
      bytes: graph,
      start: 0,
      end: graph.length,
      buffers,
      descriptors: came,
      failure: missing(came, descriptors),
    }
  } catch (error) {
    closeAll(came)
    throw error
  }
}

/** A peer that announces descriptors and sends none, or sends others, is caught here. */
const missing = (descriptors: number[], announced: number): Error | undefined =>
  descriptors.length === announced
    ? undefined
    : new UnpicklingError(
        `the message announces ${announced} descriptors and ${descriptors.length} came`,
      )

/** Rebuilds an object. Descriptors that nobody has taken by then are closed. */
const rebuild = (
  { bytes, start, end, buffers, descriptors, failure }: Arrived,
  trusted: boolean,
): unknown => {
  try {
    if (failure !== undefined) throw failure
    return decode(bytes, start, end, { trusted, buffers, handles: descriptors })
  } finally {
    closeAll(descriptors)
  }
}

const closeAll = (descriptors: readonly number[] | null): void => {
  for (const fd of descriptors ?? []) if (fd >= 0) native.closeDescriptor(fd)
}

const arrived = ({ length, large, handle }: Received): Arrived => {
  const takeDescriptors = (): number[] => native.takeDescriptors(handle)
  return large
    ? arrivedFrame(() => large.toFrame(), takeDescriptors)
    : arrivedSmall(length, takeDescriptors)
}

/** A message just received: in the receive scratch, or in memory of its own. */
export interface Received {
  readonly length: number
  readonly large: LargeMessage | undefined
  readonly handle: number
}

/** Where the parts of a message are that did not go through the receive scratch. */
export interface MessageParts {
  frame(): FrameParts
  takeDescriptors(): number[]
}

/** An object of this program's that came in, in the receive scratch or elsewhere. */
export const arrivedFrom = (length: number, { frame, takeDescriptors }: MessageParts): Arrived =>
  length < 0 ? arrivedFrame(frame, takeDescriptors) : arrivedSmall(length, takeDescriptors)

/** Small messages that are a graph and nothing else, of this program's. */
const OWN = { trusted: true, buffers: null, handles: null }

/** The object of a message of this program's. Modules that are not loaded yet are loaded at once. */
export const objectFromSync = (length: number, parts: MessageParts): unknown => {
  if (length > 0 && receiveScratch[0] === PLAIN) return decode(receiveScratch, 1, length, OWN)
  return rebuild(arrivedFrom(length, parts), true)
}

/** The same; modules that the object needs are imported first, and then a Promise is returned. */
export const objectFrom = (length: number, parts: MessageParts): unknown =>
  rebuildWithModules(arrivedFrom(length, parts))

/** Gives the descriptors of a message that announces so many. */
type TakeDescriptors = (announced: number) => number[]

/** A message of this program's among others; without descriptors, unless there is who takes them. */
export const arrivedAmong = (
  bytes: Uint8Array,
  start: number,
  end: number,
  take?: TakeDescriptors,
): Arrived => {
  if (bytes[start] === PLAIN) {
    return { bytes, start: start + 1, end, buffers: null, descriptors: null }
  }
  const message = bytes.subarray(start, end)
  const layOut = (): number[] => {
    const layout = native.layOutFrame(message, message.length)
    if (typeof layout === 'number') throw new UnpicklingError('the table of buffers is cut short')
    return layout
  }
  if (take === undefined)
    return arrivedFrame(
      () => partsOf(message, layOut()),
      () => [],
    )
  const frame = wellFormed(() => partsOf(message, layOut()))
  return arrivedFrame(
    () => frame,
    () => take(frame.descriptors),
  )
}

/** Its object, as {@link objectFromSync}. */
export const objectAmongSync = (
  bytes: Uint8Array,
  start: number,
  end: number,
  take?: TakeDescriptors,
): unknown => {
  if (bytes[start] === PLAIN) return decode(bytes, start + 1, end, OWN)
  return rebuild(arrivedAmong(bytes, start, end, take), true)
}

/** Its object, as {@link objectFrom}. */
export const objectAmong = (
  bytes: Uint8Array,
  start: number,
  end: number,
  take?: TakeDescriptors,
): unknown => rebuildWithModules(arrivedAmong(bytes, start, end, take))

const graphAt = (bytes: Uint8Array, start: number, end: number): Arrived => ({
  bytes,
  start,
  end,
  buffers: null,
  descriptors: null,
})

/** The object of a graph that nothing came beside, as {@link objectFrom}. */
export const objectOfGraph = (bytes: Uint8Array, start: number, end: number): unknown =>
  rebuildWithModules(graphAt(bytes, start, end))

/** The same, as {@link objectFromSync}. */
export const objectOfGraphSync = (bytes: Uint8Array, start: number, end: number): unknown =>
  rebuild(graphAt(bytes, start, end), true)

/** The object of a message. Modules that are not loaded yet are loaded at once. */
export const takeObjectSync = (message: Received, trusted: boolean): unknown =>
  rebuild(arrived(message), trusted)

/** The same; modules that the object needs are imported first, and then a Promise is returned. */
export const takeObject = (message: Received, trusted: boolean): unknown => {
  const object = arrived(message)
  return trusted ? rebuildWithModules(object) : rebuild(object, false)
}

/**
 * The object in a file in memory, which is closed. `take` is called when the modules that it needs have been
 * imported, and nothing has been done yet with the descriptors that were sent.
 */
export const takeObjectFromFile = async (
  fd: number,
  sent: number[],
  take: () => void = () => {},
): Promise<unknown> => {
  const length = native.readSmallFile(fd)
  if (length !== LARGE) {
    return rebuildWithModules(
      arrivedSmall(checked(length, 'read'), () => sent),
      take,
    )
  }
  const [graph, descriptors, ...buffers] = native.mapFrameFile(fd)
  const parts = { graph: new Uint8Array(graph), buffers, descriptors }
  return rebuildWithModules(
    arrivedFrame(
      () => parts,
      () => sent,
    ),
    take,
  )
}

/** The modules an object needs; its descriptors are closed if that cannot even be told. */
const neededBy = (
  { bytes, start, end, descriptors }: Arrived,
  take: () => void,
): readonly string[] => {
  try {
    return modulesOf(bytes, start, end)
  } catch (error) {
    take()
    closeAll(descriptors)
    throw error
  }
}

/** The object that came in, at once. */
export const rebuildSync = (message: Arrived): unknown => rebuild(message, true)

/** The object that came in; modules that it needs are imported first, and then a Promise is returned. */
export const rebuildWithModules = (message: Arrived, take: () => void = () => {}): unknown => {
  const missing = message.failure === undefined ? importModules(neededBy(message, take)) : undefined
  if (missing === undefined) {
    take()
    return rebuild(message, true)
  }
  // The bytes may be the scratch, which the next message overwrites while the modules are imported.
  const kept = { ...message, bytes: copyOf(message.bytes, message.start, message.end) }
  return missing.then(
    () => {
      take()
      return rebuild({ ...kept, start: 0, end: kept.bytes.length }, true)
    },
    (error) => {
      take()
      closeAll(message.descriptors)
      throw error
    },
  )
}

/** The bytes of a message, in memory of their own. */
export const takeBytes = ({ length, large, handle }: Received): Buffer => {
  dropDescriptors(length, handle)
  return large ? large.toBytes() : Buffer.from(receiveScratch.slice(0, length).buffer)
}

/** Copies the bytes of a message into `target`; what does not fit is returned. */
export const takeBytesInto = (message: Received, target: Uint8Array): number | Buffer => {
  const { length, large, handle } = message
  dropDescriptors(length, handle)
  const bytes = large ? large.toBytes() : receiveScratch.subarray(0, length)
  if (bytes.length > target.length) return large ? (bytes as Buffer) : Buffer.from(bytes)
  target.set(bytes)
  return bytes.length
}

/** Bytes have no use for descriptors; where there can be some, they are closed. */
const dropDescriptors = (length: number, handle: number): void => {
  if (length < 0 || receiveScratch[0] === EXTENDED) closeAll(native.takeDescriptors(handle))
}
