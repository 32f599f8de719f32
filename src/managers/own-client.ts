/**
 * A client of this package's, as the server has it: one channel for everything.
 * @module
 */
import type { Connection } from '../connection.js'
import { native } from '../native.js'
import { checked } from '../native-status.js'
import { Channel, type ChannelOwner } from './channel.js'
import {
  ERROR,
  numberIn,
  type ReplyKind,
  type Request,
  TRACEBACK,
  UNSERIALIZABLE,
} from './protocol.js'
import type { ClientTalk, Server } from './server.js'
import { type Call, Session } from './session.js'

/** From here on a client has to read before it is served further. */
const MOST_UNREAD = 4 * 1024 * 1024

/** What of a connection is needed: its descriptor, which is taken over. */
export const channelOver = (connection: Connection, owner: ChannelOwner): Channel => {
  const fd = checked(native.duplicateDescriptor(connection.fileno()), 'dup')
  connection.close()
  try {
    return new Channel(fd, owner)
  } catch (error) {
    native.closeDescriptor(fd)
    throw error
  }
}

/** A client. */
export class OwnClient implements ClientTalk, ChannelOwner {
  readonly #server: Server
  readonly #session = new Session()
  readonly #channel: Channel
  /** Requests that came while modules were imported for one before them. */
  #waiting: Uint8Array[] | undefined

  constructor(server: Server, connection: Connection) {
    this.#server = server
    this.#channel = channelOver(connection, this)
    this.#channel.read(true)
  }

  close(): void {
    this.#channel.flush()
    this.#channel.close()
    this.#server.left(this, this.#session)
  }

  ended(): void {
    this.#channel.close()
    this.#server.left(this, this.#session)
  }

  lingers(): boolean {
    return this.#session.calls.size === 0
  }

  message(channel: Channel, bytes: Uint8Array, start: number, end: number): void {
    if (this.#waiting !== undefined) {
      this.#waiting.push(bytes.slice(start, end))
      return
    }
    let request: unknown
    try {
      request = channel.decode(bytes, start, end)
    } catch (error) {
      this.#fail(error, numberIn(bytes, start, end))
      return
    }
    if (request instanceof Promise) {
      this.#waiting = []
      const number = numberIn(bytes, start, end)
      request.then(
        (came) => this.#goOn(came as Request),
        (error) => {
          this.#fail(error, number)
          this.#goOn(undefined)
        },
      )
      return
    }
    this.#perform(request as Request)
  }

  /** A request cannot be rebuilt here. Where nobody knows which, the client would wait for ever. */
  #fail(error: unknown, number: number | undefined): void {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
    this.#reply(number ?? 0, TRACEBACK, text)
    if (number === undefined) this.close()
  }

  #goOn(request: Request | undefined): void {
    const waiting = this.#waiting ?? []
    this.#waiting = undefined
    if (request !== undefined) this.#perform(request)
    for (const [i, bytes] of waiting.entries()) {
      if (this.#waiting !== undefined) {
        ;(this.#waiting as Uint8Array[]).push(...waiting.slice(i))
        return
      }
      this.message(this.#channel, bytes, 0, bytes.length)
    }
  }

  #perform(request: Request): void {
    const [number, ident, method, args] = request
    if (ident === '' && method === 'batch') {
      this.#performAll(number, args as Request[])
      return
    }
    this.#start(request, (kind, result, stack) => {
      if (number !== 0) this.#reply(number, kind, result, stack)
    })
  }

  /** Several requests in one, which are answered together. */
  #performAll(number: number, requests: readonly Request[]): void {
    const replies: unknown[] = new Array(requests.length)
    let left = requests.length
    const done = (): void => {
      try {
        this.#post([number, 0, replies])
      } catch {
        // One of them cannot travel; each is tried by itself, so that the others do.
        for (const [i, reply] of replies.entries())
          replies[i] = this.#travelling(reply as unknown[])
        this.#post([number, 0, replies])
      }
    }
    if (left === 0) done()
    for (const [i, request] of requests.entries()) {
      this.#start(request, (kind, result, stack) => {
        replies[i] = stack === undefined ? [0, kind, result] : [0, kind, result, stack]
        if (--left === 0) done()
      })
    }
  }

  #travelling(reply: unknown[]): unknown[] {
    const refusal = this.#channel.refusalOf(reply)
    return refusal === undefined ? reply : [0, UNSERIALIZABLE, refusal]
  }

  #start(
    [number, ident, method, args]: Request,
    answer: (kind: ReplyKind, result: unknown, stack?: string) => void,
  ): void {
    const call: Call = { session: this.#session }
    let answered = false
    this.#server.perform(call, ident, method, args, (kind, result, stack) => {
      answered = true
      if (number !== 0) this.#session.calls.delete(number)
      answer(kind, result, stack)
    })
    if (!answered && number !== 0) this.#session.calls.set(number, call)
  }

  #reply(number: number, kind: ReplyKind, result: unknown, stack?: string): void {
    if (this.#session.ended) return
    try {
      this.#post(stack === undefined ? [number, kind, result] : [number, kind, result, stack])
    } catch (error) {
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
      const instead = kind === ERROR && stack !== undefined ? stack : text
      this.#post([number, kind === ERROR ? TRACEBACK : UNSERIALIZABLE, instead])
    }
  }

  #post(reply: unknown): void {
    this.#channel.post(reply)
    if (this.#channel.backlog > MOST_UNREAD) this.#pause()
  }

  /** Reads no more until the client has read what it was sent. */
  #pause(): void {
    const channel = this.#channel
    channel.read(false)
    channel.onDrained(() => channel.read(true))
  }
}
