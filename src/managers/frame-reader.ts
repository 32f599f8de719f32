/**
 * Bytes as they come, cut into messages: each has its length in front, as CPython's `Connection` has it.
 * @module
 */
import { OSError } from '../errors.js'
import { copyOf } from '../objects.js'

/** Takes a message; the bytes are its own until it returns. */
type Take = (bytes: Uint8Array, start: number, end: number) => void

const SHORT_HEADER = 4
const LONG_HEADER = 12
/** In place of a short length: the long one follows. */
const LONG = 0xffff_ffff
const LONGEST_SHORT = 0x7fff_ffff
/** Memory for a message is had as it comes, so that a length alone costs nothing. */
const FIRST_ROOM = 128 * 1024

/** What comes in on one channel. */
export class FrameReader {
  readonly #take: Take
  /** The beginning of a message that has come in part. */
  #part: Uint8Array | undefined
  #filled = 0

  constructor(take: Take) {
    this.#take = take
  }

  /** Whether a message has come in part. */
  get inside(): boolean {
    return this.#part !== undefined
  }

  /**
   * Takes in the first `count` of these bytes, and gives away the messages that are complete with them. The
   * bytes may be overwritten while a message is given away.
   *
   * @throws OSError "bad message length" for a length that cannot be.
   */
  feed(source: Uint8Array, count: number): void {
    let at = this.#part === undefined ? 0 : this.#complete(source, count)
    if (at === count) return
    let bytes = source
    let end = count
    if (frameEnd(bytes, at, end) !== end) {
      bytes = copyOf(source, at, count)
      end = count - at
      at = 0
    }
    while (at < end) {
      const stop = frameEnd(bytes, at, end)
      if (stop > end) {
        this.#keep(bytes, at, end)
        return
      }
      this.#take(bytes, at + headerLength(bytes, at), stop)
      at = stop
    }
  }

  #keep(bytes: Uint8Array, start: number, end: number): void {
    const length = end - start
    this.#part = new Uint8Array(
      Math.max(length, Math.min(frameEnd(bytes, start, end) - start, FIRST_ROOM)),
    )
    this.#part.set(bytes.subarray(start, end))
    this.#filled = length
  }

  /** Goes on with the part; how many of the bytes belong to it. */
  #complete(source: Uint8Array, count: number): number {
    let at = 0
    while (at < count) {
      const wanted = frameEnd(this.#part!, 0, this.#filled)
      const more = Math.min(count - at, wanted - this.#filled)
      this.#append(source.subarray(at, at + more), wanted)
      at += more
      // The header's end may only now have said how long it is.
      if (this.#filled < frameEnd(this.#part!, 0, this.#filled)) continue
      const part = this.#part!
      const length = this.#filled
      this.#part = undefined
      this.#filled = 0
      const rest = at < count ? copyOf(source, at, count) : undefined
      this.#take(part, headerLength(part, 0), length)
      if (rest !== undefined) this.feed(rest, rest.length)
      return count
    }
    return at
  }

  #append(bytes: Uint8Array, wanted: number): void {
    const needed = this.#filled + bytes.length
    if (needed > this.#part!.length) {
      const grown = new Uint8Array(Math.max(needed, Math.min(wanted, 2 * needed)))
      grown.set(this.#part!.subarray(0, this.#filled))
      this.#part = grown
    }
    this.#part!.set(bytes, this.#filled)
    this.#filled = needed
  }
}

const word = (bytes: Uint8Array, at: number): number =>
  ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0

const headerLength = (bytes: Uint8Array, at: number): number =>
  word(bytes, at) === LONG ? LONG_HEADER : SHORT_HEADER

/** Where the message that begins at `at` ends; as far as is known, when its length has not come yet. */
const frameEnd = (bytes: Uint8Array, at: number, end: number): number => {
  if (end - at < SHORT_HEADER) return at + SHORT_HEADER
  const short = word(bytes, at)
  if (short <= LONGEST_SHORT) return at + SHORT_HEADER + short
  if (short !== LONG) throw new OSError('bad message length')
  if (end - at < LONG_HEADER) return at + LONG_HEADER
  const long = word(bytes, at + 4) * 2 ** 32 + word(bytes, at + 8)
  if (!Number.isSafeInteger(long)) throw new OSError('bad message length')
  return at + LONG_HEADER + long
}
