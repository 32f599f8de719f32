/**
 * Messages over a descriptor, in and out, for callers that wait and callers that do not: first come,
 * first served.
 * @module
 */
import { type Encoded, encode } from './codec/index.js'
import { duplicates } from './duplicates.js'
import { OSError, TimeoutError } from './errors.js'
import { LargeMessage } from './large-message.js'
import { native } from './native.js'
import { checked, errorOf, LARGE, NO_DESCRIPTORS, NOT_YET } from './native-status.js'
import {
  closeOwned,
  copyOf,
  isPlain,
  messageOf,
  type Received,
  shareSendScratch,
  takeBytesInto,
} from './objects.js'
import {
  atOnce,
  type Clock,
  clock,
  ENDLESS,
  endEarly,
  milliseconds,
  NO_TIME,
  type WaitOptions,
} from './waiting.js'
import { closeWatcher, READABLE, Watcher, WRITABLE } from './watcher.js'

/** What to make of a message that was received. */
type Take<T> = (message: Received) => T

/** What is wanted of the next message. */
export interface Wanted {
  /** The most bytes it may have. */
  readonly maximum: number
  /** Whether it is to be received as the parts of an object. */
  readonly asObject: boolean
  /** Where a large message of bytes may be put, if it fits. */
  readonly target?: Uint8Array
}

interface Receiver extends Wanted {
  settle(message: Received): void
  fail(error: unknown): void
}

interface Poller {
  settle(): void
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

/** What has to be closed when a stream is collected. */
interface Resources {
  readonly handle: number
  watcher: number | undefined
}

const closeResources = ({ handle, watcher }: Resources): void => {
  // The descriptor must not go while it is watched.
  if (watcher !== undefined) closeWatcher(watcher)
  native.closeConnection(handle)
}

const collected = new FinalizationRegistry(closeResources)

const ANY_BYTES: Wanted = { maximum: Number.MAX_SAFE_INTEGER, asObject: false }

/** Both directions of one descriptor. */
export class MessageStream {
  readonly #resources: Resources
  #closed = false
  readonly #fd: number
  readonly #receivers: Receiver[] = []
  readonly #pollers: Poller[] = []
  readonly #senders: Sender[] = []
  /** A large message of which a part has come. */
  #large: LargeMessage | undefined
  #watcher: Watcher | undefined
  /** Why nothing can be sent any more: a message was cut off in the middle. */
  #cut: Error | undefined
  #beforeClosing: Set<() => void> | undefined

  /** Takes over the descriptor. */
  constructor(fd: number) {
    this.#resources = { handle: checked(native.openConnection(fd), 'open'), watcher: undefined }
    this.#fd = fd
    collected.register(this, this.#resources, this)
  }

  /** The descriptor's number. */
  get fd(): number {
    return this.#fd
  }

  /** Whether something is still to be sent. */
  get sending(): boolean {
    return this.#senders.length > 0
  }

  /** What is called right before the descriptor is closed. */
  get beforeClosing(): Set<() => void> {
    this.#beforeClosing ??= new Set()
    return this.#beforeClosing
  }

  /** Closes the descriptor; whoever waits is told. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    collected.unregister(this)
    for (const leave of [...(this.#beforeClosing ?? [])]) leave()
    closeResources(this.#resources)
    const closed = new OSError('handle is closed')
    for (const waiting of this.#receivers.splice(0)) waiting.fail(closed)
    for (const waiting of this.#pollers.splice(0)) waiting.fail(closed)
    for (const waiting of this.#senders.splice(0)) end(waiting, closed)
  }

  /** Receives a message, blocking. Receivers that wait already are served first. */
  receiveSync<T>(wanted: Wanted, timeout: number, take: Take<T>): T {
    const left = clock(timeout)
    while (this.#receivers.length > 0) this.#serveFirst(left)
    const code = this.#nextSync(wanted, left)
    this.#want()
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
    if (this.#receivers.length > 0) this.#serveFirst(ENDLESS)
    this.#want()
  }

  /**
   * Receives a message of bytes into `target`, blocking; what does not fit is returned whole. A large
   * one goes straight there.
   */
  receiveIntoSync(target: Uint8Array, timeout: number): number | Buffer {
    const left = clock(timeout)
    const take = (message: Received): number | Buffer => takeBytesInto(message, target)
    while (this.#receivers.length > 0) this.#serveFirst(left)
    const code = this.#nextSync({ ...ANY_BYTES, target }, left)
    this.#want()
    if (code === NOT_YET) {
      // What has come of it is kept elsewhere: the target is the caller's again.
      this.#large?.leaveTarget()
      throw new TimeoutError()
    }
    const message = this.#received(code)
    return message.large?.inTarget ? message.large.length : take(message)
  }

  /** Receives a message. */
  async receive<T>(wanted: Wanted, options: WaitOptions, take: Take<T>): Promise<Awaited<T>> {
    if (this.#receivers.length === 0) {
      const code = this.#next(wanted, NO_TIME)
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
    if (this.pollSync(0)) return true
    if (milliseconds(options.timeout) === 0) return false
    return await new Promise<boolean>((resolve, reject) => {
      const poller: Poller = { settle: () => resolve(true), fail: reject }
      this.#wait(this.#pollers, options, poller, () => resolve(false))
    })
  }

  /** The same, blocking. */
  pollSync(timeout: number): boolean {
    const left = clock(timeout)
    const slice = atOnce(left)
    for (;;) {
      const writers = this.#senders.length > 0 ? [this.#fd] : []
      const [ready] = native.waitReady([this.#fd], writers, slice())
      if (ready !== undefined && checked(ready, 'poll') === 0) return true
      if (ready !== undefined) this.#flush(NO_TIME)
      if (left() === 0) return false
    }
  }

  /** Sends what it can of what is on its way, without blocking. */
  flush(): void {
    this.#flush(NO_TIME)
    this.#want()
  }

  /**
   * Calls one of the two when there is something to receive or nothing ever will be; what is returned
   * calls it off.
   */
  whenReadable(settle: () => void, fail: (error: unknown) => void): () => void {
    const poller: Poller = { settle, fail }
    this.#pollers.push(poller)
    this.#want()
    return () => this.#leaveLine(this.#pollers, poller)
  }

  /** Sends an object, blocking. */
  sendObjectSync(value: unknown, timeout: number): void {
    const left = clock(timeout)
    const encoded = encode(value, 'obj')
    if (!this.#goesAtOnce(encoded)) {
      const { owned } = encoded
      try {
        const { parts, descriptors } = messageOf(encoded, true)
        this.sendPartsSync(parts, descriptors, left)
      } finally {
        closeOwned({ owned })
      }
      return
    }
    const rest = native.connectionSend(this.#handle, encoded.end, atOnce(left)())
    if (rest < 0) throw errorOf(rest, 'send')
    if (rest > 0) this.#finishSync([tail(encoded, rest)], rest < plainLength(encoded), [], left)
  }

  /** Sends an object. */
  async sendObject(value: unknown, options: WaitOptions): Promise<void> {
    await this.postObject(value, options)
  }

  /**
   * Sends an object; what cannot be encoded throws at once. Returns nothing when the kernel has taken it,
   * and otherwise a Promise of that.
   */
  postObject(value: unknown, options: WaitOptions = {}): Promise<void> | undefined {
    const encoded = encode(value, 'obj')
    if (!this.#goesAtOnce(encoded)) {
      const { owned } = encoded
      try {
        const { parts, descriptors } = messageOf(encoded, true)
        return this.sendParts(parts, descriptors, options)
      } finally {
        // What waits to be sent has copies.
        closeOwned({ owned })
      }
    }
    const left = native.connectionSend(this.#handle, encoded.end, 0)
    if (left < 0) throw errorOf(left, 'send')
    if (left === 0) return undefined
    return this.sendParts([tail(encoded, left)], [], options, left < plainLength(encoded))
  }

  /** Sends a message of bytes, blocking. */
  sendBytesSync(bytes: Uint8Array, timeout: number): void {
    const left = clock(timeout)
    if (this.#senders.length > 0 || this.#cut) {
      this.sendPartsSync([native.lengthHeader(bytes.length), bytes], [], left)
      return
    }
    const rest = native.connectionSendBytes(this.#handle, bytes, atOnce(left)())
    if (rest < 0) throw errorOf(rest, 'send')
    const begun = rest < framedLength(bytes.length)
    if (rest > 0) this.#finishSync(restOf(bytes, rest), begun, [], left)
  }

  /** Sends a message of bytes. */
  async sendBytes(bytes: Uint8Array, options: WaitOptions): Promise<void> {
    if (this.#senders.length > 0 || this.#cut) {
      await this.sendParts([native.lengthHeader(bytes.length), bytes], [], options)
      return
    }
    const left = native.connectionSendBytes(this.#handle, bytes, 0)
    if (left < 0) throw errorOf(left, 'send')
    const begun = left < framedLength(bytes.length)
    if (left > 0) await this.sendParts(restOf(bytes, left), [], options, begun)
  }

  /** Sends parts as they are, behind what is on its way, blocking. */
  sendPartsSync(parts: Uint8Array[], descriptors: number[], left: Clock): void {
    if (!this.#flushSync(left)) throw new TimeoutError()
    if (this.#cut) throw this.#cut
    this.#finishSync(parts, false, descriptors, left)
  }

  /** Sends parts as they are, behind what is on its way; `begun` when they are the rest of a message. */
  async sendParts(
    parts: Uint8Array[],
    descriptors: number[],
    options: WaitOptions,
    begun = false,
  ): Promise<void> {
    if (this.#cut) throw this.#cut
    const kept = duplicates(descriptors)
    await new Promise<void>((resolve, reject) => {
      const stop = endEarly(options, (reason) => {
        const index = this.#senders.indexOf(sender)
        // A message that was begun has to be finished, whether its sender waits for that or not.
        if (!begun && sender.sent === 0 && index >= 0) {
          this.#senders.splice(index, 1)
          end(sender, reason)
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
      if (this.#senders.length === 1) this.#flush(NO_TIME)
      this.#want()
    })
  }

  get #handle(): number {
    return this.#resources.handle
  }

  /** Whether an object can be sent straight from the encoder's bytes; then they are shared. */
  #goesAtOnce(encoded: Encoded): boolean {
    if (!isPlain(encoded) || this.#senders.length > 0 || this.#cut) return false
    shareSendScratch(encoded)
    return true
  }

  /** The next message, if it comes in time: its length, {@link LARGE}, or a status. */
  #next({ maximum, asObject, target }: Wanted, left: Clock): number {
    const code = native.connectionReceive(this.#handle, maximum, left())
    if (code !== LARGE) return code
    try {
      this.#large ??= new LargeMessage(native.announcedLength(this.#handle), asObject, target)
      const status = this.#large.fill(this.#handle, left)
      return status === 0 ? LARGE : status
    } catch (error) {
      // No memory can hold it, so what follows it is out of reach.
      if (!(error instanceof RangeError)) throw error
      return native.connectionReceive(this.#handle, 0, 0)
    }
  }

  /** The same, blocking. What is on its way out goes on meanwhile: the answer may depend on it. */
  #nextSync(wanted: Wanted, left: Clock): number {
    const slice = atOnce(left)
    for (;;) {
      const sending = this.#senders.length > 0
      const code = this.#next(wanted, sending ? NO_TIME : slice)
      if (code !== NOT_YET || left() === 0) return code
      if (sending) {
        native.waitReady([this.#fd], [this.#fd], slice())
        this.#flush(NO_TIME)
      }
    }
  }

  /** What `#next` has got, taken out of here; throws what it has failed with. */
  #received(code: number): Received {
    if (code < 0 && code !== LARGE) throw errorOf(code, 'recv')
    const large = code === LARGE ? this.#large : undefined
    this.#large = undefined
    return { length: code, large, handle: this.#handle }
  }

  #serveFirst(left: Clock): void {
    const code = this.#nextSync(this.#receivers[0]!, left)
    if (code === NOT_YET) throw new TimeoutError()
    this.#serve(this.#receivers.shift()!, code)
  }

  #serve(receiver: Receiver, code: number): void {
    try {
      receiver.settle(this.#received(code))
    } catch (error) {
      receiver.fail(error)
    }
  }

  /** Lines up behind the others, until served or ended early. */
  #wait<W extends Receiver | Poller>(
    line: W[],
    options: WaitOptions,
    waiting: W,
    onTimeout?: () => unknown,
  ): void {
    const stop = endEarly(
      options,
      (reason) => {
        this.#leaveLine(line, entry)
        waiting.fail(reason)
      },
      onTimeout,
    )
    const entry: W = {
      ...waiting,
      settle(message: Received) {
        stop()
        waiting.settle(message)
      },
      fail(error: unknown) {
        stop()
        waiting.fail(error)
      },
    }
    line.push(entry)
    this.#want()
  }

  #leaveLine<W>(line: W[], entry: W): void {
    const index = line.indexOf(entry)
    if (index >= 0) line.splice(index, 1)
    this.#want()
  }

  #want(): void {
    if (this.#closed) return
    const read = this.#receivers.length > 0 || this.#pollers.length > 0 ? READABLE : 0
    const write = this.#senders.length > 0 ? WRITABLE : 0
    if ((read | write) === 0 && this.#watcher === undefined) return
    this.#watcher ??= this.#watch()
    this.#watcher.want(read | write)
  }

  #watch(): Watcher {
    const watcher = new Watcher(this.#fd, (events) => this.#ready(events))
    this.#resources.watcher = watcher.number
    return watcher
  }

  #ready(events: number): void {
    if (events & WRITABLE) this.#flush(NO_TIME)
    if (events & READABLE) {
      while (this.#receivers.length > 0 && !this.#closed) {
        const code = this.#next(this.#receivers[0]!, NO_TIME)
        if (code === NOT_YET) break
        this.#serve(this.#receivers.shift()!, code)
      }
      if (this.#pollers.length > 0 && !this.#closed && this.pollSync(0)) {
        for (const poller of this.#pollers.splice(0)) poller.settle()
      }
    }
    this.#want()
  }

  /** Sends what is lined up, blocking at most so long; false when some is left. */
  #flush(left: Clock): boolean {
    while (this.#senders.length > 0) {
      const sender = this.#senders[0]!
      const rest = this.#push(sender, left)
      if (rest > 0) return false
      if (rest === 0) {
        this.#senders.shift()
        end(sender)
      } else if (sender.sent === 0 && rest === NO_DESCRIPTORS) {
        this.#senders.shift()
        end(sender, errorOf(rest, 'send'))
      } else {
        this.#cutOff(errorOf(rest, 'send'))
      }
    }
    return true
  }

  /** Sends the rest of one message; how much is left, or a status. */
  #push(sender: Sender, left: Clock): number {
    const { parts, sent, descriptors, total } = sender
    if (lengthOf(parts) !== total) {
      this.#cutOff(new OSError('a buffer was taken away while it was being sent'))
      return 0
    }
    const beside = sent === 0 ? descriptors : []
    const rest = native.connectionSendParts(this.#handle, parts, sent, beside, left())
    if (rest >= 0) sender.sent = total - rest
    return rest
  }

  #flushSync(left: Clock): boolean {
    const slice = atOnce(left)
    while (!this.#flush(slice)) if (left() === 0) return false
    return true
  }

  /** After a failure inside a message nothing that follows could be understood. */
  #cutOff(error: Error): void {
    this.#cut = error
    for (const sender of this.#senders.splice(0)) end(sender, error)
  }

  /** Sends parts to their end, blocking. A message that was begun is never given up in the middle. */
  #finishSync(parts: Uint8Array[], begun: boolean, descriptors: number[], left: Clock): void {
    const total = lengthOf(parts)
    const slice = atOnce(left)
    let sent = 0
    for (;;) {
      const beside = sent === 0 && !begun ? descriptors : []
      const rest = native.connectionSendParts(this.#handle, parts, sent, beside, slice())
      if (rest === 0) return
      if (rest < 0) {
        const error = errorOf(rest, 'send')
        if (begun || sent > 0) this.#cutOff(error as Error)
        throw error
      }
      sent = total - rest
      if (left() === 0) break
    }
    if (begun || sent > 0) this.#leave(parts, total, sent)
    throw new TimeoutError()
  }

  /** The message was begun, and is finished by the event loop though its sender has given up. */
  #leave(parts: Uint8Array[], total: number, sent: number): void {
    const ignore = (): void => {}
    this.#senders.push({ parts, total, sent, descriptors: [], settle: ignore, fail: ignore })
    this.#want()
  }
}

const end = (sender: Sender, error?: unknown): void => {
  for (const fd of sender.descriptors) native.closeDescriptor(fd)
  sender.descriptors = []
  if (error === undefined) sender.settle()
  else sender.fail(error)
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
