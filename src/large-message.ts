/**
 * Messages too large for the scratch, while they come in: straight into the memory where they stay.
 * @module
 */
import { UnpicklingError } from './errors.js'
import { native } from './native.js'
import { NOT_YET } from './native-status.js'
import { placeWarm } from './warm-memory.js'

/** What an object's message is made of. */
export interface FrameParts {
  readonly graph: Uint8Array
  readonly buffers: ArrayBuffer[]
  readonly descriptors: number
}

/** Where the parts of a frame begin and end, as the engine gives it. */
type Layout = readonly number[]

/** Enough of a frame to know what it is. */
const HEADER = 24

/** Takes bytes into an array, from `filled` on: how much of it is filled then, or a status. */
export type Fill = (
  handle: number,
  target: Uint8Array,
  filled: number,
  fresh: boolean,
  timeout: number,
) => number

/** From here on it is asked before whether there is garbage to be collected. */
const LARGE = 2 ** 20

/** Memory of its own, for so many bytes, not cleared: it is filled before anybody sees it. */
export const allocate = (length: number): Uint8Array => {
  if (length >= LARGE) native.collectIfNeeded()
  return Buffer.allocUnsafeSlow(length)
}

/** What is longer than this does not come from memory that is shared. */
const SHORT = 1024

/**
 * Memory for what nobody keeps, which is not its own if it is short. While there is a young ArrayBuffer of
 * many megabytes, each new one, however small, makes V8 collect what is young. Who survives that twice is
 * old, and stays for long: in a loop that takes large buffers, that would be all of them.
 */
const allocateShort = (length: number): Uint8Array =>
  length <= SHORT ? Buffer.allocUnsafe(length) : allocate(length)

/** The parts of a frame that is all there. */
export const partsOf = (bytes: Uint8Array, layout: Layout): FrameParts => {
  const [graphStart, graphEnd, descriptors, ...ranges] = layout
  const buffers: ArrayBuffer[] = []
  for (let i = 0; i < ranges.length; i += 2) {
    const copy = Uint8Array.prototype.slice.call(bytes, ranges[i], ranges[i + 1])
    buffers.push(copy.buffer as ArrayBuffer)
  }
  return { graph: bytes.subarray(graphStart, graphEnd), buffers, descriptors: descriptors! }
}

/** Runs what says why bytes are no object's message. */
export const wellFormed = <T>(parse: () => T): T => {
  try {
    return parse()
  } catch (cause) {
    if (cause instanceof UnpicklingError) throw cause
    throw new UnpicklingError(`not an object's message: ${(cause as Error).message}`, { cause })
  }
}

/**
 * A message that comes in pieces. As bytes it is received into one buffer. As an object, each of its
 * out-of-band buffers is received into an ArrayBuffer of its own, so that none has to be copied out.
 */
export class LargeMessage {
  /** How many bytes it has. */
  readonly length: number
  /** The segments that are full, and at the end the one being filled. */
  #segments: Uint8Array[]
  /** How much of the last segment is filled. */
  #filled = 0
  /** The lengths of the segments to come; unknown while the frame's header is not complete. */
  #planned: number[] | undefined
  /** Known once the header is, and if there is more in the frame than a graph. */
  #layout: Layout | undefined
  #inTarget: boolean
  /** Whether nobody has touched the memory of the last segment yet. */
  #isFresh = true

  /** `target` is where bytes are wanted; it is used if they fit. */
  constructor(length: number, asObject: boolean, target?: Uint8Array) {
    this.length = length
    this.#inTarget = target !== undefined && length <= target.length
    const first = this.#inTarget
      ? target!.subarray(0, length)
      : asObject
        ? allocateShort(HEADER)
        : this.#allocate(length)
    this.#segments = [first]
    if (!asObject) this.#planned = []
  }

  /** Whether it is received into the caller's target. */
  get inTarget(): boolean {
    return this.#inTarget
  }

  /** The target is the caller's again: what has come is moved to memory of our own. */
  leaveTarget(): void {
    if (!this.#inTarget) return
    this.#inTarget = false
    this.#lengthen(this.length)
  }

  /**
   * Takes what has come, waiting for the rest as long as `left` says; 0 when all has, or a status.
   * `take` is what takes the next bytes, from a connection if not given.
   */
  fill(handle: number, left: () => number, take: Fill = native.connectionFill): number {
    for (;;) {
      const fresh = this.#isFresh && !this.#inTarget
      const segment = this.#segments.at(-1)!
      // Nothing has to come for a part without bytes, perhaps the message's last.
      const empty = segment.length === 0
      const filled = empty ? 0 : take(handle, segment, this.#filled, fresh, left())
      if (filled < 0) return filled
      this.#filled = filled
      if (filled < segment.length) return NOT_YET
      this.#planned ??= this.#plan()
      if (this.#filled < this.#segments.at(-1)!.length) continue
      const next = this.#planned?.shift()
      if (next === undefined) return 0
      // The frame's header, its graph, then padding and buffer by turns: the buffers are for the user.
      const isBuffer = this.#segments.length > 2 && this.#segments.length % 2 === 1
      this.#segments.push(isBuffer ? this.#allocate(next) : allocateShort(next))
      this.#filled = 0
    }
  }

  /** The message as bytes. */
  toBytes(): Buffer {
    const [first] = this.#segments
    if (this.#segments.length > 1) return Buffer.concat(this.#segments)
    return Buffer.from(first!.buffer as ArrayBuffer, first!.byteOffset, first!.length)
  }

  /** The message as the parts of an object's frame. */
  toFrame(): FrameParts {
    if (this.#layout === undefined) {
      const bytes = this.toBytes()
      const layout = native.layOutFrame(bytes, bytes.length)
      if (typeof layout === 'number') throw new UnpicklingError('the table of buffers is cut short')
      return partsOf(bytes, layout)
    }
    const [graph, ...rest] = this.#segments.slice(1)
    const buffers: ArrayBuffer[] = []
    for (let i = 0; i < rest.length; i += 2) {
      if (rest[i]!.some((byte) => byte !== 0)) throw new UnpicklingError('the padding is not zero')
      buffers.push(rest[i + 1]!.buffer as ArrayBuffer)
    }
    return { graph: graph!, buffers, descriptors: this.#layout[2]! }
  }

  /** What follows the header, which is complete, or has to be made longer first. */
  #plan(): number[] | undefined {
    const header = this.#segments[0]!
    const layout = this.#layOut(header)
    if (typeof layout === 'number') {
      this.#lengthen(layout)
      return undefined
    }
    const [, , , ...ranges] = layout ?? []
    if (layout === undefined || ranges.length === 0) {
      // No frame, or one without buffers: it comes in one piece.
      this.#lengthen(this.length)
      return []
    }
    this.#layout = layout
    let end = layout[1]!
    const lengths = [end - layout[0]!]
    for (let i = 0; i < ranges.length; i += 2) {
      lengths.push(ranges[i]! - end, ranges[i + 1]! - ranges[i]!)
      end = ranges[i + 1]!
    }
    return lengths
  }

  /** Bytes that are no frame are received all the same, so that the next message can be. */
  #layOut(header: Uint8Array): Layout | number | undefined {
    try {
      const layout = native.layOutFrame(header, this.length)
      return typeof layout === 'number' && layout > this.length ? undefined : layout
    } catch {
      return undefined
    }
  }

  #allocate(length: number): Uint8Array {
    const segment = allocate(length)
    this.#isFresh = !placeWarm(segment)
    return segment
  }

  #lengthen(length: number): void {
    const longer = this.#allocate(length)
    longer.set(this.#segments[0]!)
    this.#segments = [longer]
  }
}
