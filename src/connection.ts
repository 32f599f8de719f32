/**
 * Connections: the two ends of a channel of messages. Mirrors `multiprocessing.connection`.
 * @module
 */
import { inspect } from 'node:util'
import { type DecodeContext, registerReducer } from './codec/index.js'
import { BufferTooShort, OSError, ValueError } from './errors.js'
import { MessageStream, type Wanted } from './message-stream.js'
import { native } from './native.js'
import { checked } from './native-status.js'
import { type Received, takeBytes, takeBytesInto, takeObject, takeObjectSync } from './objects.js'
import { dumps, loads } from './pickle.js'
import { isPickle, type Serializer } from './serializer.js'
import {
  checkedWait,
  FOREVER,
  milliseconds,
  show,
  type TimeoutOptions,
  type WaitOptions,
  waitOptions,
} from './waiting.js'

export {
  type Address,
  addressType,
  arbitraryAddress,
  defaultFamily,
  type Family,
  families,
  type InetAddress,
} from './address.js'
export {
  answerChallenge,
  answerChallengeSync,
  type Challenged,
  type ChallengedSync,
  type DigestOptions,
  deliverChallenge,
  deliverChallengeSync,
} from './challenge.js'
export { Client, type ClientOptions, ClientSync, type ClientSyncOptions } from './client.js'
export { Listener, type ListenerOptions } from './listener.js'
export type { Serializer } from './serializer.js'
export { type Waitable, wait, waitSync } from './wait.js'
export type { TimeoutOptions, WaitOptions } from './waiting.js'

/** How a {@link Connection} over a descriptor is made. */
export interface ConnectionOptions {
  /** Whether messages may be received; true if not given. */
  readable?: boolean
  /** Whether messages may be sent; true if not given. */
  writable?: boolean
  /**
   * Whether whoever holds the other end is part of this program. Only then may received objects import
   * modules and rebuild functions and classes. False if not given; ends from {@link Pipe} are trusted.
   */
  trusted?: boolean
  /**
   * What objects are on the way: `native` if not given, or `pickle`, when a Python program holds the other
   * end. Pickles are data only, whoever sends them.
   */
  serializer?: Serializer | undefined
}

/** Which bytes of a buffer {@link Connection.sendBytes} sends. */
export interface Range {
  /** The first byte, counted from 0; 0 if not given. */
  offset?: number
  /** How many bytes; all from `offset` on if not given. */
  size?: number
}

/** The longest message a buffer of this runtime can hold. */
const LONGEST = Number.MAX_SAFE_INTEGER

/**
 * One end of a channel of messages. What one end sends the other receives, whole and in order. The
 * bytes on the way are those of CPython's `Connection`.
 *
 * Every call that can wait has a Promise form, which blocks nothing and keeps the event loop alive while
 * it waits, and a Sync form, which blocks the thread and needs no event loop. Calls in the Promise form
 * are served first come, first served. If the other process dies, whoever receives gets what it had sent
 * whole and then an {@link EOFError}, and whoever sends gets an OSError with code `EPIPE`.
 *
 * A Connection can be sent, over another one or as an argument of a Process: the other side gets an end
 * of its own to the same channel. It closes itself when collected, but `close()` or `using` are sooner.
 *
 * Mirrors `multiprocessing.connection.Connection`.
 */
export class Connection {
  readonly #readable: boolean
  readonly #writable: boolean
  readonly #trusted: boolean
  readonly #pickle: boolean
  #stream: MessageStream | undefined

  /**
   * Takes over an open descriptor: a socket, a pipe, a FIFO. It is closed with the connection.
   *
   * @throws ValueError for what is no descriptor, for a serializer that there is not, and when it should be
   * neither readable nor writable.
   * @throws OSError `EBADF` when the descriptor is not open.
   */
  constructor(
    fd: number,
    { readable = true, writable = true, trusted = false, serializer }: ConnectionOptions = {},
  ) {
    if (!Number.isInteger(fd) || fd < 0 || fd > 0x7fff_ffff) {
      throw new ValueError(`invalid handle: ${show(fd)}`)
    }
    if (!readable && !writable) {
      throw new ValueError('at least one of readable and writable must be true')
    }
    this.#readable = readable
    this.#writable = writable
    this.#trusted = trusted
    this.#pickle = isPickle(serializer)
    this.#stream = new MessageStream(fd)
  }

  /** Whether it is closed, on this side. */
  get closed(): boolean {
    return this.#stream === undefined
  }

  /** Whether messages can be received. */
  get readable(): boolean {
    return this.#readable
  }

  /** Whether messages can be sent. */
  get writable(): boolean {
    return this.#writable
  }

  /** Whether received objects may import modules, as of {@link ConnectionOptions.trusted}. */
  get trusted(): boolean {
    return this.#trusted
  }

  /** What objects are on the way, as of {@link ConnectionOptions.serializer}. */
  get serializer(): Serializer {
    return this.#pickle ? 'pickle' : 'native'
  }

  /**
   * The number of the descriptor. It still belongs to the connection.
   *
   * @throws OSError "handle is closed".
   */
  fileno(): number {
    return this.#open().fd
  }

  /**
   * Closes this end. Whoever waits on it gets an OSError, and so does every later call but this one,
   * which may be repeated. A message that is still on its way out is cut off.
   */
  close(): void {
    this.#stream?.close()
    this.#stream = undefined
  }

  /** The same as {@link Connection.close}, for `using`. */
  [Symbol.dispose](): void {
    this.close()
  }

  /**
   * Sends an object.
   *
   * @param value - Anything that can travel; see the documentation of what does. Large typed arrays in
   * it are not copied before they are sent, so leave them alone until the Promise is settled.
   * @param options - When it ends early, a message that was already begun is still finished.
   * @returns When the kernel has taken the message.
   * @throws PicklingError, naming the path to the culprit, for what cannot travel; OSError when closed,
   * read-only, or broken (`EPIPE`); TimeoutError; the signal's reason.
   */
  async send(value: unknown, options: WaitOptions = {}): Promise<void> {
    const writing = this.#writing()
    checkedWait(options)
    if (this.#pickle) await writing.sendBytes(dumps(value), options)
    else await writing.sendObject(value, options)
  }

  /** The same, blocking until the kernel has taken the message. */
  sendSync(value: unknown, { timeout }: TimeoutOptions = {}): void {
    const writing = this.#writing()
    const time = milliseconds(timeout)
    if (this.#pickle) writing.sendBytesSync(dumps(value), time)
    else writing.sendObjectSync(value, time)
  }

  /**
   * Receives an object. Modules that it needs are imported first.
   *
   * @throws EOFError when nothing is left and the other end is closed; UnpicklingError for what is no
   * object, or may not be rebuilt on a connection that is not trusted; OSError when closed or
   * write-only; TimeoutError and the signal's reason, after which no message is lost.
   */
  async recv<T = any>(options: WaitOptions = {}): Promise<T> {
    const reading = this.#reading()
    checkedWait(options)
    if (this.#pickle) return (await reading.receive(ANY_BYTES, options, takePickle)) as T
    const take = (message: Received): unknown => takeObject(message, this.#trusted)
    return (await reading.receive(AN_OBJECT, options, take)) as T
  }

  /**
   * The same, blocking. A module that it needs and that has a top-level await cannot be imported this
   * way: UnpicklingError.
   */
  recvSync<T = any>({ timeout }: TimeoutOptions = {}): T {
    const reading = this.#reading()
    const time = milliseconds(timeout)
    if (this.#pickle) return reading.receiveSync(ANY_BYTES, time, takePickle) as T
    const take = (message: Received): unknown => takeObjectSync(message, this.#trusted)
    return reading.receiveSync(AN_OBJECT, time, take) as T
  }

  /**
   * Sends bytes as one message.
   *
   * @param buffer - Any view or ArrayBuffer; leave it alone until the Promise is settled.
   * @returns When the kernel has taken the message.
   * @throws TypeError for what holds no bytes; ValueError when offset or size do not fit it; OSError,
   * TimeoutError and the signal's reason as for {@link Connection.send}.
   */
  async sendBytes(
    buffer: ArrayBufferView | ArrayBufferLike,
    { offset, size, ...options }: Range & WaitOptions = {},
  ): Promise<void> {
    const writing = this.#writing()
    const bytes = slice(buffer, offset, size)
    checkedWait(options)
    await writing.sendBytes(bytes, options)
  }

  /** The same, blocking until the kernel has taken the message. */
  sendBytesSync(
    buffer: ArrayBufferView | ArrayBufferLike,
    { offset, size, timeout }: Range & TimeoutOptions = {},
  ): void {
    this.#writing().sendBytesSync(slice(buffer, offset, size), milliseconds(timeout))
  }

  /**
   * Receives a message of bytes.
   *
   * @param options - `maxLength` is the most bytes a message may have. A longer one is an OSError "bad
   * message length", after which nothing can be received (and a read-only connection is closed).
   * @throws EOFError when nothing is left and the other end is closed; ValueError for a negative
   * maxLength; OSError when closed or write-only, or when the other end was closed inside the message;
   * TimeoutError and the signal's reason, after which no message is lost.
   */
  async recvBytes({
    maxLength,
    ...options
  }: { maxLength?: number } & WaitOptions = {}): Promise<Buffer> {
    const reading = this.#reading()
    const wanted = bytesUpTo(maxLength)
    checkedWait(options)
    return await this.#closingOnBadLength(() => reading.receive(wanted, options, takeBytes))
  }

  /** The same, blocking. */
  recvBytesSync({ maxLength, timeout }: { maxLength?: number } & TimeoutOptions = {}): Buffer {
    const reading = this.#reading()
    try {
      return reading.receiveSync(bytesUpTo(maxLength), milliseconds(timeout), takeBytes)
    } catch (error) {
      this.#closeOnBadLength(error)
      throw error
    }
  }

  /**
   * Receives a message of bytes into a buffer.
   *
   * @param buffer - Any view or ArrayBuffer that can be written.
   * @param options - `offset`, in bytes, is where in the buffer the message begins; a plain number is
   * that.
   * @returns How many bytes the message had.
   * @throws BufferTooShort, whose `data` is the message, when it does not fit; ValueError for an offset
   * outside the buffer; what {@link Connection.recvBytes} throws.
   */
  async recvBytesInto(
    buffer: ArrayBufferView | ArrayBufferLike,
    options: number | ({ offset?: number } & WaitOptions) = {},
  ): Promise<number> {
    const reading = this.#reading()
    const { offset, ...rest } = offsetOptions(options)
    const target = tailOf(buffer, offset)
    checkedWait(rest)
    const take = (message: Received): number => fitted(takeBytesInto(message, target))
    return await reading.receive(bytesUpTo(undefined), rest, take)
  }

  /** The same, blocking; a large message goes straight into the buffer. */
  recvBytesIntoSync(
    buffer: ArrayBufferView | ArrayBufferLike,
    options: number | ({ offset?: number } & TimeoutOptions) = {},
  ): number {
    const reading = this.#reading()
    const { offset, timeout } = offsetOptions(options)
    const target = tailOf(buffer, offset)
    return fitted(reading.receiveIntoSync(target, milliseconds(timeout)))
  }

  /**
   * Whether there is a message to receive, or the end.
   *
   * @param options - Milliseconds to wait for one: 0 if not given, null for ever; or options.
   * @throws OSError when closed or write-only; the signal's reason.
   */
  async poll(options: number | null | WaitOptions = {}): Promise<boolean> {
    const reading = this.#reading()
    const wanted = waitOptions(options)
    const timeout = checkedWait(wanted, 0)
    return await reading.poll({ ...wanted, timeout: timeout === FOREVER ? null : timeout })
  }

  /** The same, blocking. */
  pollSync(options: number | null | TimeoutOptions = {}): boolean {
    const { timeout } = waitOptions(options)
    return this.#reading().pollSync(milliseconds(timeout, 0))
  }

  /** How it looks in the console. */
  [inspect.custom](): string {
    const way = this.#readable ? (this.#writable ? 'duplex' : 'read-only') : 'write-only'
    return this.#stream ? `<Connection fd=${this.#stream.fd} ${way}>` : '<Connection closed>'
  }

  /** @internal */
  get stream(): MessageStream {
    return this.#open()
  }

  #open(): MessageStream {
    if (this.#stream === undefined) throw new OSError('handle is closed')
    return this.#stream
  }

  #reading(): MessageStream {
    const stream = this.#open()
    if (!this.#readable) throw new OSError('connection is write-only')
    return stream
  }

  #writing(): MessageStream {
    const stream = this.#open()
    if (!this.#writable) throw new OSError('connection is read-only')
    return stream
  }

  async #closingOnBadLength<T>(receive: () => Promise<T>): Promise<T> {
    try {
      return await receive()
    } catch (error) {
      this.#closeOnBadLength(error)
      throw error
    }
  }

  /** What follows a message that was refused cannot be read; an end that can do nothing else is closed. */
  #closeOnBadLength(error: unknown): void {
    const refused = error instanceof OSError && error.message === 'bad message length'
    if (refused && !this.#writable) this.close()
  }
}

const isDuplex = (options: PipeOptions): boolean => {
  const { duplex = true } = options as { duplex?: unknown }
  if (typeof duplex !== 'boolean')
    throw new TypeError(`duplex must be true or false, not ${show(duplex)}`)
  return duplex
}

/** How a {@link Pipe} is made. */
export interface PipeOptions {
  /** Whether both ends send and receive; true if not given. */
  duplex?: boolean
  /** What objects are on the way; `native` if not given. */
  serializer?: Serializer | undefined
}

/**
 * Two connected {@link Connection}s. Objects sent over them may hold functions and classes of this
 * program.
 *
 * @param options - With `duplex` false (or plain `false`) the first end only receives and the second
 * only sends.
 * @throws TypeError for a duplex that is neither true nor false; ValueError for a serializer that there is
 * not; OSError `EMFILE` when the process may
 * open no more descriptors.
 *
 * Mirrors `multiprocessing.Pipe`.
 */
export const Pipe = (options: boolean | PipeOptions = {}): [Connection, Connection] => {
  const given = (
    typeof options === 'object' && options !== null ? options : { duplex: options }
  ) as PipeOptions
  const duplex = isDuplex(given)
  const { serializer } = given
  isPickle(serializer)
  const [one, other] = native.socketPair(!duplex)
  checked(one!, 'socketpair')
  return [
    new Connection(one!, { writable: duplex, trusted: true, serializer }),
    new Connection(other!, { readable: duplex, trusted: true, serializer }),
  ]
}

/**
 * Does nothing: connections and sockets can always be sent. It is there for programs that come from
 * Python.
 *
 * Mirrors `multiprocessing.allow_connection_pickling`.
 */
export const allowConnectionPickling = (): void => {}

const bytesOf = (buffer: unknown): Uint8Array => {
  if (ArrayBuffer.isView(buffer)) {
    return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength)
  }
  if (buffer instanceof ArrayBuffer || buffer instanceof SharedArrayBuffer)
    return new Uint8Array(buffer)
  throw new TypeError(
    `bytes are wanted: a typed array, a Buffer, an ArrayBuffer; not ${show(buffer)}`,
  )
}

const integer = (value: unknown, name: string): number => {
  if (typeof value !== 'number' || !Number.isInteger(value)) {
    throw new TypeError(`${name} must be a whole number, not ${show(value)}`)
  }
  return value
}

const slice = (buffer: unknown, offset: unknown = 0, size?: unknown): Uint8Array => {
  const bytes = bytesOf(buffer)
  const start = integer(offset, 'offset')
  if (start < 0) throw new ValueError('offset is negative')
  if (start > bytes.length) throw new ValueError('buffer length < offset')
  const count = size === undefined || size === null ? bytes.length - start : integer(size, 'size')
  if (count < 0) throw new ValueError('size is negative')
  if (start + count > bytes.length) throw new ValueError('buffer length < offset + size')
  return bytes.subarray(start, start + count)
}

const tailOf = (buffer: unknown, offset: unknown = 0): Uint8Array => {
  const bytes = bytesOf(buffer)
  const start = integer(offset, 'offset')
  if (start < 0) throw new ValueError('negative offset')
  if (start > bytes.length) throw new ValueError('offset too large')
  return bytes.subarray(start)
}

const offsetOptions = <T extends object>(options: number | T): T & { offset?: number } =>
  (typeof options === 'number' ? { offset: options } : options) as T & { offset?: number }

const AN_OBJECT: Wanted = { maximum: LONGEST, asObject: true }

const ANY_BYTES: Wanted = { maximum: LONGEST, asObject: false }

const takePickle = (message: Received): unknown => loads(takeBytes(message))

const bytesUpTo = (maxLength: unknown): Wanted => {
  if (maxLength === undefined || maxLength === null) return { maximum: LONGEST, asObject: false }
  const maximum = integer(maxLength, 'maxLength')
  if (maximum < 0) throw new ValueError('negative maxLength')
  return { maximum, asObject: false }
}

const fitted = (outcome: number | Buffer): number => {
  if (typeof outcome !== 'number') throw new BufferTooShort(outcome)
  return outcome
}

interface ConnectionState {
  readonly descriptor: number
  readonly readable: boolean
  readonly writable: boolean
  readonly trusted: boolean
  readonly serializer: Serializer
}

registerReducer(Connection, {
  name: 'connection.Connection',
  trustedOnly: false,
  reduce: (connection, context): ConnectionState => ({
    descriptor: context.handle(connection.fileno()),
    readable: connection.readable,
    writable: connection.writable,
    trusted: connection.trusted,
    serializer: connection.serializer,
  }),
  rebuild(state, context: DecodeContext) {
    const { descriptor, readable, writable, trusted, serializer } = state as ConnectionState
    // A channel that is not trusted cannot bring one that is.
    return new Connection(context.handle(descriptor), {
      readable,
      writable,
      trusted: trusted && context.trusted,
      serializer,
    })
  },
})
