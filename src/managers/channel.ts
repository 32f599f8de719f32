/**
 * Messages between a manager's server and one of its clients: read as many at a time as have come, and
 * written as many at a time as there are.
 * @module
 */
import { encode } from '../codec/index.js'
import { EOFError, OSError } from '../errors.js'
import { isInterruptible } from '../interruptible.js'
import { native } from '../native.js'
import { checked, END, errorOf, INTERRUPTED, NOT_YET, REFUSED } from '../native-status.js'
import {
  closeOwned,
  copyOf,
  isPlain,
  messageOf,
  objectAmong,
  objectAmongSync,
  receiveScratch,
  shareSendScratch,
} from '../objects.js'
import { atOnce, type Clock, ENDLESS } from '../waiting.js'
import { READABLE, Watcher, WRITABLE } from '../watcher.js'
import { FrameReader } from './frame-reader.js'

/** Who is told of what comes in. */
export interface ChannelOwner {
  /** A message, in `bytes` from `start` to `end`; the bytes are the owner's until the call returns. */
  message(channel: Channel, bytes: Uint8Array, start: number, end: number): void
  /** Nothing comes any more; told once, unless the channel was closed from this side. */
  ended(channel: Channel, error: Error): void
  /** Whether to look for more before the event loop goes on: nothing else is to be done. */
  lingers?(): boolean
}

/** The channel from which something came last, of all in this thread. */
let busiest: Channel | undefined

/** How often in a row one looks for more before the event loop goes on. */
const TURNS = 64

/** Bytes that could not be written yet, with the descriptors that go beside the first of them. */
interface Unsent {
  parts: Uint8Array[]
  descriptors: number[]
  length: number
  sent: number
}

/** A length of four bytes and a kind of one: the room in front of a plain graph. */
const PLAIN_HEADER = 5
const PLAIN = 1
const SMALLEST_BUFFER = 1024
/** A buffer that has grown beyond this is let go of when it is empty. */
const KEPT_BUFFER = 64 * 1024
/** From here on a message is not put beside others. */
const LARGE_MESSAGE = 64 * 1024

/** How long a call blocks in one go. */
const slice = atOnce(ENDLESS)

/** Where SIGINT can end a wait; whether the program listens for it the engine sees when it has to sleep. */
const onMainThread = native.isMainThread()

/** One end of it, which belongs to one process and thread alone. */
export class Channel {
  readonly #owner: ChannelOwner
  readonly #handle: number
  readonly #fd: number
  readonly #watcher: Watcher
  readonly #reader = new FrameReader((bytes, start, end) =>
    this.#owner.message(this, bytes, start, end),
  )
  /** What is written at the end of the turn, in `#out` up to `#filled`. */
  #out = new Uint8Array(0)
  #filled = 0
  /** What is before that and could not be written. */
  #unsent: Unsent[] = []
  #unsentLength = 0
  #descriptors: number[] = []
  #wantsToRead = false
  #wanted = 0
  #closed = false
  #ended: Error | undefined
  /** Whether what is put in line is going to be written by whoever is at work. */
  #flushing = false
  #drained: (() => void) | undefined

  /** Takes over the descriptor, which is closed with the channel. */
  constructor(fd: number, owner: ChannelOwner) {
    this.#handle = checked(native.openConnection(fd), 'open')
    this.#fd = fd
    this.#owner = owner
    this.#watcher = new Watcher(fd, (events) => this.#ready(events))
  }

  /** Whether it was closed, on this side or the other. */
  get closed(): boolean {
    return this.#closed || this.#ended !== undefined
  }

  /** How many bytes wait to be written because the other side does not read. */
  get backlog(): number {
    return this.#unsentLength
  }

  /** Closes the descriptor. What is on its way out and was not written is lost. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#watcher.close()
    native.closeConnection(this.#handle)
    for (const fd of this.#descriptors.splice(0)) native.closeDescriptor(fd)
    for (const { descriptors } of this.#unsent.splice(0)) closeAll(descriptors)
  }

  /** Whether messages are wanted from the event loop, which stays alive for them. */
  read(wanted: boolean): void {
    if (wanted === this.#wantsToRead) return
    this.#wantsToRead = wanted
    this.#want()
  }

  /** Puts a message in line, to be written at the end of this turn of JavaScript. */
  post(value: unknown): void {
    this.put(value)
    if (this.#flushing || this.#filled === 0) return
    this.#flushing = true
    queueMicrotask(() => {
      this.#flushing = false
      this.flush()
    })
  }

  /**
   * Puts a message in line; somebody calls {@link Channel.flush}.
   *
   * @throws PicklingError for what cannot travel; nothing is put in line then.
   */
  put(value: unknown): void {
    const encoded = encode(value, 'value')
    if (!isPlain(encoded) || encoded.end - encoded.start > LARGE_MESSAGE) {
      try {
        const { parts, descriptors } = messageOf(encoded, true)
        this.#seal()
        this.#line(parts, duplicates(descriptors))
      } finally {
        closeOwned(encoded)
      }
      this.flush()
      return
    }
    const { bytes, start, end } = encoded
    const length = end - start
    const at = this.#filled
    const out = this.#room(at + PLAIN_HEADER + length)
    const framed = length + 1
    out[at] = framed >>> 24
    out[at + 1] = framed >>> 16
    out[at + 2] = framed >>> 8
    out[at + 3] = framed
    out[at + 4] = PLAIN
    const to = at + PLAIN_HEADER
    if (length > SHORT) out.set(bytes.subarray(start, end), to)
    else for (let i = 0; i < length; i++) out[to + i] = bytes[start + i]!
    this.#filled = to + length
  }

  /** Puts bytes in line, as one message with its length in front. */
  putBytes(bytes: Uint8Array): void {
    const header = native.lengthHeader(bytes.length)
    const at = this.#filled
    const out = this.#room(at + header.length + bytes.length)
    out.set(header, at)
    out.set(bytes, at + header.length)
    this.#filled = at + header.length + bytes.length
  }

  /** Writes a message at once, if that can be done straight from the encoder, and puts it in line if not. */
  send(value: unknown): void {
    if (this.#filled > 0 || this.#unsent.length > 0) {
      this.put(value)
      this.flush()
      return
    }
    const encoded = encode(value, 'value')
    if (!isPlain(encoded)) {
      try {
        const { parts, descriptors } = messageOf(encoded, true)
        this.#line(parts, duplicates(descriptors))
      } finally {
        closeOwned(encoded)
      }
      this.flush()
      return
    }
    shareSendScratch(encoded)
    const { bytes, end } = encoded
    const left = native.connectionSend(this.#handle, end, 0)
    if (left === 0) return
    if (left < 0) this.#end(errorOf(left, 'send'))
    else {
      this.#line([copyOf(bytes, end - left, end)], [])
      this.#want()
    }
  }

  /**
   * Makes a call of simple values, if it is one and nothing else is on its way, and waits for what is
   * answered. Returns it if that is simple too. Otherwise undefined, and `outcome` is for
   * {@link Channel.takeIn}, or {@link REFUSED} when the call has not been made.
   */
  exchange(number: number, ident: string, method: string, args: readonly unknown[]): unknown {
    this.outcome = REFUSED
    if (this.#filled > 0 || this.#unsent.length > 0 || this.#reader.inside || this.closed) return
    const { managerCall } = native
    const value = managerCall(this.#handle, number, ident, method, args, slice(), onMainThread)
    if (value === undefined) this.outcome = native.managerCallOutcome()
    return value
  }

  /** What has come of the last {@link Channel.exchange} that returned nothing. */
  outcome = REFUSED

  /**
   * Tells the owner of what has come in an exchange.
   *
   * @throws KeyboardInterrupt
   */
  takeIn(outcome: number): void {
    if (outcome === INTERRUPTED) throw errorOf(outcome, 'recv')
    if (outcome === NOT_YET) return
    if (outcome < 0) this.#end(outcome === END ? new EOFError() : errorOf(outcome, 'recv'))
    else this.#feed(outcome)
  }

  /** Writes what is in line, as much as is taken. */
  flush(): void {
    if (this.closed) return
    while (this.#unsent.length > 0)
      if (!this.#writeFirst()) {
        this.#want()
        return
      }
    if (this.#filled === 0 && this.#drained === undefined) {
      this.#want()
      return
    }
    const filled = this.#filled
    const bytes = this.#out.subarray(0, filled)
    const left = filled === 0 ? 0 : native.connectionSendRaw(this.#handle, bytes, 0)
    this.#filled = 0
    if (left < 0) this.#end(errorOf(left, 'send'))
    else if (left > 0) this.#line([copyOf(bytes, filled - left, filled)], [])
    if (this.#out.length > KEPT_BUFFER) this.#out = new Uint8Array(0)
    if (this.#drained !== undefined && this.#unsent.length === 0) {
      const drained = this.#drained
      this.#drained = undefined
      drained()
    }
    this.#want()
  }

  /**
   * Reads what has come and what comes, and tells the owner, until `done`; blocks meanwhile, and writes
   * what is in line. False when the time is over.
   *
   * @throws KeyboardInterrupt
   */
  readSync(done: () => boolean, left: Clock): boolean {
    const slice = atOnce(left)
    this.flush()
    const attentive = !done() && isInterruptible()
    while (!done()) {
      if (this.#ended !== undefined) throw this.#ended
      if (this.#closed) throw new OSError('handle is closed')
      if (this.#unsent.length > 0) {
        native.waitReady([this.#fd], [this.#fd], slice())
        this.flush()
        this.#readAhead()
      } else this.takeIn(native.connectionReadAhead(this.#handle, slice(), false, attentive))
      if (!done() && left() === 0) return false
    }
    return true
  }

  /** Calls a function once, when all that is in line has been written. */
  onDrained(drained: () => void): void {
    this.#drained = drained
  }

  /** Why a value cannot travel; nothing when it can. */
  refusalOf(value: unknown): string | undefined {
    try {
      closeOwned(encode(value, 'value'))
      return undefined
    } catch (error) {
      return error instanceof Error ? (error.stack ?? error.message) : String(error)
    }
  }

  /** The object of a message; modules that it needs are imported first, and then it is a Promise. */
  decode(bytes: Uint8Array, start: number, end: number): unknown {
    return objectAmong(bytes, start, end, (announced) => this.#take(announced))
  }

  /** The object of a message; modules that it needs are loaded at once. */
  decodeSync(bytes: Uint8Array, start: number, end: number): unknown {
    return objectAmongSync(bytes, start, end, (announced) => this.#take(announced))
  }

  /** Nobody writes any more, and what has been read is forgotten: the channel is another process's. */
  abandon(): void {
    this.#filled = 0
    this.close()
  }

  #take(announced: number): number[] {
    this.#descriptors.push(...native.takeDescriptors(this.#handle))
    return this.#descriptors.splice(0, announced)
  }

  /** Whether something has come; told of when it has. */
  #readAhead(awake = false): boolean {
    const outcome = native.connectionReadAhead(this.#handle, 0, awake, false)
    this.takeIn(outcome)
    return outcome >= 0
  }

  #feed(count: number): void {
    try {
      this.#reader.feed(receiveScratch, count)
    } catch (error) {
      this.#end(error as Error)
    }
  }

  #ready(events: number): void {
    if (events & WRITABLE) this.flush()
    if (events & READABLE) this.#serve()
  }

  /** Reads what has come, and writes what was answered, as long as more comes soon. */
  #serve(): void {
    const again = busiest === this
    busiest = this
    for (let awake = false, turns = TURNS; turns > 0; turns--) {
      this.#flushing = true
      const came = this.#readAhead(awake)
      this.#flushing = false
      this.flush()
      if (!came || !again || this.closed || this.#unsent.length > 0) return
      if (this.#owner.lingers?.() !== true) return
      awake = true
    }
  }

  #end(error: Error): void {
    if (this.closed) return
    this.#ended = error
    this.#want()
    this.#owner.ended(this, error)
  }

  #want(): void {
    if (this.#closed) return
    const read = this.#wantsToRead && this.#ended === undefined ? READABLE : 0
    const write = this.#unsent.length > 0 && this.#ended === undefined ? WRITABLE : 0
    if ((read | write) === this.#wanted) return
    this.#wanted = read | write
    this.#watcher.want(this.#wanted)
  }

  #room(length: number): Uint8Array {
    if (length > this.#out.length) {
      const grown = new Uint8Array(Math.max(length, 2 * this.#out.length, SMALLEST_BUFFER))
      grown.set(this.#out.subarray(0, this.#filled))
      this.#out = grown
    }
    return this.#out
  }

  /** What is in the buffer goes before what is put in line next. */
  #seal(): void {
    if (this.#filled > 0) this.#line([copyOf(this.#out, 0, this.#filled)], [])
    this.#filled = 0
  }

  #line(parts: Uint8Array[], descriptors: number[]): void {
    let length = 0
    for (const part of parts) length += part.byteLength
    this.#unsent.push({ parts, descriptors, length, sent: 0 })
    this.#unsentLength += length
  }

  /** Writes the first of what is in line; whether all of it went. */
  #writeFirst(): boolean {
    const first = this.#unsent[0]!
    const { parts, descriptors, length, sent } = first
    const beside = sent === 0 ? descriptors : []
    const left = native.connectionSendParts(this.#handle, parts, sent, beside, 0)
    if (left < 0) {
      this.#end(errorOf(left, 'send'))
      return false
    }
    const now = length - left
    this.#unsentLength -= now - sent
    if (now > 0) closeAll(first.descriptors.splice(0))
    first.sent = now
    if (left > 0) return false
    this.#unsent.shift()
    return true
  }
}

/** Copying up to so many bytes one by one is faster. */
const SHORT = 24

const closeAll = (descriptors: readonly number[]): void => {
  for (const fd of descriptors) native.closeDescriptor(fd)
}

/** The originals may be closed before the message is written. */
const duplicates = (descriptors: readonly number[]): number[] =>
  descriptors.map((fd) => checked(native.duplicateDescriptor(fd), 'dup'))
