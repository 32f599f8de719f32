/**
 * Messages over a descriptor, in and out, for callers that wait and callers that do not: first come,
 * first served.
 * @module
 */
import { type Encoded, encode } from './codec/index.js'
import { OSError, TimeoutError } from './errors.js'
import { LargeMessage } from './large-message.js'
import { native } from './native.js'
import { checked, errorOf, LARGE, NOT_YET } from './native-status.js'
import {
  copyOf,
  isPlain,
  messageOf,
  type Received,
  shareSendScratch,
  takeBytesInto,
} from './objects.js'
import { endEarly, FOREVER, milliseconds, type WaitOptions } from './waiting.js'
import { READABLE, Watcher, WRITABLE } from './watcher.js'

/** What to make of a message that was received. */
type Take<T> = (message: Received) => T

/** What is wanted of the next message. */
export interface Wanted {
  /** The most bytes it may have. */
  readonly maximum: number
  /** Whether it is to be received as the parts of an object. */
  readonly asObject: boolean
}

interface Receiver extends Wanted {
  settle(message: Received): void
  fail(error: unknown): void
}

interface Sender {
  readonly parts: Uint8Array[]
  readonly total: number
  sent: number
  /** Copies that belong to the sender, so that the originals may be closed meanwhile. */
  descriptors: number[]
  settle(): void
  fail(error: unknown): void
}

const collected = new FinalizationRegistry((handle: number) =>
  native.closeConnection(handle, false),
)

/** How a deadline of the Sync forms is shared by several steps. */
const clock = (timeout: number): (() => number) => {
  if (timeout === FOREVER) return () => FOREVER
  const end = performance.now() + timeout
  return () => Math.max(0, end - performance.now())
}

/** Both directions of one descriptor. */
export class MessageStream {
  #handle: number
  readonly #fd: number
  readonly #receivers: Receiver[] = []
  readonly #pollers: Receiver[] = []
  /** A large message of which a part has come. */
  #large: LargeMessage | undefined
  readonly #senders: Sender[] = []
  #watcher: Watcher | undefined
  /** Why nothing can be sent any more: a message was cut off in the middle. */
  #cut: Error | undefined

  /** Takes over the descriptor. */
  constructor(fd: number) {
    this.#handle = checked(native.openConnection(fd), 'open')
    this.#fd = fd
    collected.register(this, this.#handle, this)
  }

  /** The descriptor's number. */
  get fd(): number {
    return this.#fd
  }

  /** The engine's number for it. */
  get handle(): number {
    return this.#handle
  }

  /** Closes the descriptor; whoever waits is told. */
  close(): void {
    if (this.#handle < 0) return
    collected.unregister(this)
    this.#watcher?.close()
    this.#watcher = undefined
    native.closeConnection(this.#handle, false)
    this.#handle = -1
    const closed = new OSError('handle is closed')
    for (const waiting of this.#receivers.splice(0)) waiting.fail(closed)
    for (const waiting of this.#pollers.splice(0)) waiting.fail(closed)
    for (const waiting of this.#senders.splice(0)) this.#end(waiting, closed)
  }

  /** Receives a message, blocking. Receivers that wait already are served first. */
  receiveSync<T>(wanted: Wanted, timeout: number, take: Take<T>): T {
    const left = clock(timeout)
    while (this.#receivers.length > 0) {
      const code = this.#next(this.#receivers[0]!, left)
      if (code === NOT_YET) throw new TimeoutError()
      this.#serve(this.#receivers.shift()!, code)
    }
    const code = this.#next(wanted, left)
    if (code === NOT_YET) throw new TimeoutError()
    return take(this.#received(code))
  }

  /** Calls one of the two when the next message, or the end, has come: no Promise in between. */
  expect(
    wanted: Wanted,
    settle: (message: Received) => void,
    fail: (error: unknown) => void,
  ): void {
    this.#wait(this.#receivers, {}, { ...wanted, settle, fail })
  }

  /** Serves the first of those who wait, blocking. */
  serveSync(): void {
    const first = this.#receivers[0]
    if (first === undefined) return
    const code = this.#next(first, () => FOREVER)
    this.#receivers.shift()
    this.#serve(first, code)
    this.#want()
  }

  /**
   * Receives a message of bytes into `target`, blocking; what does not fit is returned whole. A large
   * one goes straight there.
   */
  receiveIntoSync(target: Uint8Array, timeout: number): number | Buffer {
    const left = clock(timeout)
    const wanted = { maximum: Number.MAX_SAFE_INTEGER, asObject: false }
    const take = (message: Received): number | Buffer => takeBytesInto(message, target)
    if (this.#receivers.length > 0 || this.#large) return this.receiveSync(wanted, left(), take)
    const code = native.connectionReceive(this.#handle, wanted.maximum, left())
    if (code === NOT_YET) throw new TimeoutError()
    const length = code === LARGE ? native.announcedLength(this.#handle) : 0
    if (code !== LARGE) return take(this.#received(code))
    if (length > target.length) return this.receiveSync(wanted, left(), take)
    const place = target.subarray(0, length)
    const filled = checked(native.connectionFill(this.#handle, place, 0, false, left()), 'recv')
    if (filled === length) return length
    this.#large = LargeMessage.begun(place, filled)
    throw new TimeoutError()
  }

  /** Receives a message. */
  async receive<T>(wanted: Wanted, options: WaitOptions, take: Take<T>): Promise<Awaited<T>> {
    options.signal?.throwIfAborted()
    if (this.#receivers.length === 0) {
      const code = this.#next(wanted, () => 0)
      if (code !== NOT_YET) return await take(this.#received(code))
    }
    if (milliseconds(options.timeout) === 0) throw new TimeoutError()
    return await new Promise<T>((resolve, reject) => {
      const settle = (message: Received): void => resolve(take(message))
      this.#wait(this.#receivers, options, { ...wanted, settle, fail: reject })
    })
  }

  /** Whether a message, or an end, can be received; false after the timeout. */
  async poll(options: WaitOptions): Promise<boolean> {
    options.signal?.throwIfAborted()
    if (this.pollSync(0)) return true
    if (milliseconds(options.timeout) === 0) return false
    return await new Promise<boolean>((resolve, reject) => {
      const settle = (): void => resolve(true)
      const poller = { maximum: 0, asObject: false, settle, fail: reject }
      this.#wait(this.#pollers, options, poller, () => resolve(false))
    })
  }

  /** The same, blocking. */
  pollSync(timeout: number): boolean {
    const [ready] = native.waitReadable([this.#fd], timeout)
    return ready !== undefined && checked(ready, 'poll') === 0
  }

  /** Sends an object, blocking. */
  sendObjectSync(value: unknown, timeout: number): void {
    const encoded = encode(value, 'obj')
    if (isPlain(encoded) && this.#senders.length === 0 && !this.#cut) {
      shareSendScratch(encoded)
      const left = native.connectionSend(this.#handle, encoded.end, timeout)
      if (left > 0 && left < plainLength(encoded)) this.#leave([tail(encoded, left)])
      this.#sent(left)
    } else {
      const { parts, descriptors } = messageOf(encoded, true)
      this.#sendPartsSync(parts, descriptors, timeout)
    }
  }

  /** Sends an object. */
  async sendObject(value: unknown, options: WaitOptions): Promise<void> {
    options.signal?.throwIfAborted()
    await this.postObject(value, options)
  }

  /**
   * Sends an object; what cannot be encoded throws at once. Returns nothing when the kernel has taken it,
   * and otherwise a Promise of that.
   */
  postObject(value: unknown, options: WaitOptions = {}): Promise<void> | undefined {
    const encoded = encode(value, 'obj')
    if (isPlain(encoded) && this.#senders.length === 0 && !this.#cut) {
      shareSendScratch(encoded)
      const left = native.connectionSend(this.#handle, encoded.end, 0)
      if (left < 0) throw errorOf(left, 'send')
      if (left === 0) return undefined
      return this.#queue([tail(encoded, left)], [], left < plainLength(encoded), options)
    }
    const { parts, descriptors } = messageOf(encoded, true)
    return this.#queue(parts, descriptors, false, options)
  }

  /** Sends a message of bytes, blocking. */
  sendBytesSync(bytes: Uint8Array, timeout: number): void {
    if (this.#senders.length > 0 || this.#cut) {
      this.#sendPartsSync([native.lengthHeader(bytes.length), bytes], [], timeout)
      return
    }
    const left = native.connectionSendBytes(this.#handle, bytes, timeout)
    if (left > 0 && left < framedLength(bytes.length)) this.#leave(restOf(bytes, left))
    this.#sent(left)
  }

  /** Sends a message of bytes. */
  async sendBytes(bytes: Uint8Array, options: WaitOptions): Promise<void> {
    options.signal?.throwIfAborted()
    if (this.#senders.length > 0 || this.#cut) {
      await this.#queue([native.lengthHeader(bytes.length), bytes], [], false, options)
      return
    }
    const left = native.connectionSendBytes(this.#handle, bytes, 0)
    if (left < 0) throw errorOf(left, 'send')
    const begun = left < framedLength(bytes.length)
    if (left > 0) await this.#queue(restOf(bytes, left), [], begun, options)
  }

  /** The next message, if it comes in time: its length, {@link LARGE}, or a status. */
  #next({ maximum, asObject }: Wanted, left: () => number): number {
    const code = native.connectionReceive(this.#handle, maximum, left())
    if (code !== LARGE) return code
    try {
      this.#large ??= new LargeMessage(native.announcedLength(this.#handle), asObject)
      const status = this.#large.fill(this.#handle, left)
      return status === 0 ? LARGE : status
    } catch (error) {
      // No memory can hold it, so what follows it is out of reach.
      if (!(error instanceof RangeError)) throw error
      return native.connectionReceive(this.#handle, 0, 0)
    }
  }

  /** What `#next` has got, taken out of here; throws what it has failed with. */
  #received(code: number): Received {
    if (code < 0 && code !== LARGE) throw errorOf(code, 'recv')
    const large = code === LARGE ? this.#large : undefined
    this.#large = undefined
    return { length: code, large, handle: this.#handle }
  }

  #serve(receiver: Receiver, code: number): void {
    try {
      receiver.settle(this.#received(code))
    } catch (error) {
      receiver.fail(error)
    }
  }

  /** Lines up behind the others, until served or ended early. */
  #wait(
    line: Receiver[],
    options: WaitOptions,
    { maximum, asObject, settle, fail }: Receiver,
    onTimeout?: () => unknown,
  ): void {
    const leave = (): void => {
      const index = line.indexOf(entry)
      if (index >= 0) line.splice(index, 1)
      this.#want()
    }
    const stop = endEarly(
      options,
      (reason) => {
        leave()
        fail(reason)
      },
      onTimeout,
    )
    const entry: Receiver = {
      maximum,
      asObject,
      settle(message) {
        stop()
        settle(message)
      },
      fail(error) {
        stop()
        fail(error)
      },
    }
    line.push(entry)
    this.#want()
  }

  #want(): void {
    if (this.#handle < 0) return
    const read = this.#receivers.length > 0 || this.#pollers.length > 0 ? READABLE : 0
    const write = this.#senders.length > 0 ? WRITABLE : 0
    if ((read | write) === 0 && this.#watcher === undefined) return
    this.#watcher ??= new Watcher(this.#fd, (events) => this.#ready(events))
    this.#watcher.want(read | write)
  }

  #ready(events: number): void {
    if (events & WRITABLE) this.#flush(0)
    if (events & READABLE) {
      while (this.#receivers.length > 0) {
        const code = this.#next(this.#receivers[0]!, () => 0)
        if (code === NOT_YET) break
        this.#serve(this.#receivers.shift()!, code)
      }
      if (this.#receivers.length === 0 && this.#pollers.length > 0 && this.pollSync(0)) {
        const nothing = { length: 0, large: undefined, handle: this.#handle }
        for (const poller of this.#pollers.splice(0)) poller.settle(nothing)
      }
    }
    this.#want()
  }

  /** Sends what is lined up, blocking at most so long; false when some is left. */
  #flush(timeout: number): boolean {
    const left = clock(timeout)
    while (this.#senders.length > 0) {
      const sender = this.#senders[0]!
      const { parts, sent, descriptors, total } = sender
      const beside = sent === 0 ? descriptors : []
      const rest = native.connectionSendParts(this.#handle, parts, sent, beside, left())
      if (rest < 0) {
        this.#cutOff(errorOf(rest, 'send'))
        return true
      }
      sender.sent = total - rest
      if (rest > 0) return false
      this.#senders.shift()
      this.#end(sender)
    }
    return true
  }

  /** After a failure inside a message nothing that follows could be understood. */
  #cutOff(error: Error): void {
    this.#cut = error
    for (const sender of this.#senders.splice(0)) this.#end(sender, error)
  }

  #end(sender: Sender, error?: unknown): void {
    for (const fd of sender.descriptors) native.closeDescriptor(fd)
    sender.descriptors = []
    if (error === undefined) sender.settle()
    else sender.fail(error)
  }

  #sendPartsSync(parts: Uint8Array[], descriptors: number[], timeout: number): void {
    const left = clock(timeout)
    if (this.#cut) throw this.#cut
    if (!this.#flush(left())) throw new TimeoutError()
    if (this.#cut) throw this.#cut
    const rest = native.connectionSendParts(this.#handle, parts, 0, descriptors, left())
    if (rest > 0) {
      const total = lengthOf(parts)
      // A message that was not begun is taken back whole; one that was has to be finished.
      if (rest < total) this.#leave(parts, total - rest)
    }
    this.#sent(rest)
  }

  /** The message was begun, and is finished by the event loop though its sender has given up. */
  #leave(parts: Uint8Array[], sent = 0): void {
    const total = lengthOf(parts)
    const ignore = (): void => {}
    const sender = { parts, total, sent, descriptors: [], settle: ignore, fail: ignore }
    this.#senders.push(sender)
    this.#want()
  }

  #sent(left: number): void {
    if (left > 0) throw new TimeoutError()
    if (left < 0) throw errorOf(left, 'send')
  }

  async #queue(
    parts: Uint8Array[],
    descriptors: number[],
    begun: boolean,
    options: WaitOptions,
  ): Promise<void> {
    if (this.#cut) throw this.#cut
    const kept = descriptors.map((fd) => checked(native.duplicateDescriptor(fd), 'dup'))
    await new Promise<void>((resolve, reject) => {
      const stop = endEarly(options, (reason) => {
        const index = this.#senders.indexOf(sender)
        if (!begun && sender.sent === 0 && index >= 0) {
          this.#senders.splice(index, 1)
          this.#end(sender, reason)
        } else reject(reason)
        this.#want()
      })
      const sender: Sender = {
        parts,
        total: lengthOf(parts),
        sent: 0,
        descriptors: kept,
        settle() {
          stop()
          resolve()
        },
        fail(error) {
          stop()
          reject(error)
        },
      }
      this.#senders.push(sender)
      if (this.#senders.length === 1) this.#flush(0)
      this.#want()
    })
  }
}

const lengthOf = (parts: Uint8Array[]): number => {
  let total = 0
  for (const part of parts) total += part.byteLength
  return total
}

/** The length of a message with its header. */
const framedLength = (payload: number): number => payload + (payload > 0x7fff_ffff ? 12 : 4)

/** The same of an object's plain message, whose frame is one byte. */
const plainLength = ({ start, end }: Encoded): number => framedLength(end - start + 1)

/** The last bytes of an encoded object's message, which the engine has completed in place. */
const tail = ({ bytes, end }: Encoded, length: number): Uint8Array =>
  copyOf(bytes, end - length, end)

/** The last bytes of a message of bytes. */
const restOf = (bytes: Uint8Array, left: number): Uint8Array[] => {
  if (left <= bytes.length) return [bytes.subarray(bytes.length - left)]
  const header = native.lengthHeader(bytes.length)
  return [header.subarray(header.length - (left - bytes.length)), bytes]
}
