/**
 * A server of this package's, as its client sees it: one connection for everything.
 * @module
 */
import { type Address, showAddress } from '../address.js'
import { Client, ClientSync } from '../client.js'
import type { Connection } from '../connection.js'
import { EOFError, KeyboardInterrupt, RemoteError } from '../errors.js'
import { Finalize } from '../finalize.js'
import { REFUSED } from '../native-status.js'
import { ENDLESS } from '../waiting.js'
import type { Channel, ChannelOwner } from './channel.js'
import { channelOver } from './own-client.js'
import { forget, type Handler, type Peer, secretOf } from './peers.js'
import { numberIn, RETURN, type Reply, type ReplyKind, type Request } from './protocol.js'
import { connectThrough, onlyPromises } from './tls.js'

/** A server, as its client sees it. */
export class OwnPeer implements ChannelOwner, Peer {
  readonly address: Address
  /** The process that it is a client for. */
  readonly owner: number = process.pid
  #channel: Channel | undefined
  #connecting: Promise<void> | undefined
  /** Requests made before there was a connection. */
  #early: Request[] = []
  readonly #pending = new Map<number, Handler>()
  #number = 0
  #gone: Error | undefined
  #farewell: Finalize | undefined
  /** Where requests go while a batch is gathered. */
  #batch: { request: Request; handler: Handler }[] | undefined

  constructor(address: Address) {
    this.address = address
  }

  get blocks(): boolean {
    return secretOf(this.address).tls === undefined
  }

  /** Whether it is of no use any more. */
  get gone(): boolean {
    return this.#gone !== undefined
  }

  /** Whether it was that of the process of which this one is a copy. */
  abandoned = false

  /** Asks for something; the reply goes to the handler. Returns the request's number. */
  request(
    ident: string,
    method: string,
    args: readonly unknown[],
    kwds: object | undefined,
    handler: Handler,
  ): number {
    const number = ++this.#number
    const request: Request = [number, ident, method, withKwds(args, kwds)]
    if (this.#batch !== undefined) {
      this.#batch.push({ request, handler })
      return number
    }
    if (this.#gone !== undefined) {
      handler.fail(this.#gone)
      return number
    }
    const channel = this.#channel
    if (channel === undefined) {
      this.#pending.set(number, handler)
      this.#early.push(request)
      this.connect().catch(() => {})
      return number
    }
    try {
      channel.post(request)
    } catch (error) {
      handler.fail(error)
      return number
    }
    if (this.#gone !== undefined) {
      handler.fail(this.#gone)
      return number
    }
    this.#pending.set(number, handler)
    channel.read(true)
    return number
  }

  /** The same, blocking until there is a reply. */
  requestSync(
    ident: string,
    method: string,
    args: readonly unknown[],
    kwds: object | undefined,
  ): Reply {
    if (!this.blocks) throw onlyPromises()
    const channel = this.#channel ?? this.connectSync()
    if (this.#gone !== undefined) throw this.#gone
    const number = ++this.#number
    let outcome = REFUSED
    if (kwds === undefined && this.#pending.size === 0) {
      const value = channel.exchange(number, ident, method, args)
      if (value !== undefined) {
        this.#simple[2] = value
        return this.#simple
      }
      outcome = channel.outcome
    }
    const request: Request = [number, ident, method, withKwds(args, kwds)]
    return this.#exchangeSync(channel, request, outcome)
  }

  /** The reply to the last call of simple values. */
  readonly #simple: [number: number, kind: ReplyKind, result: unknown] = [0, RETURN, null]

  /** Goes on with a call of which this has come so far. */
  #exchangeSync(channel: Channel, request: Request, outcome: number): Reply {
    const [number] = request
    let reply: Reply | undefined
    let failed: { error: unknown } | undefined
    if (outcome === REFUSED) channel.send(request)
    this.#pending.set(number, {
      settle(kind, result, stack) {
        reply = stack === undefined ? [number, kind, result] : [number, kind, result, stack]
      },
      fail(error) {
        failed = { error }
      },
    })
    this.#blocking++
    try {
      if (outcome !== REFUSED) channel.takeIn(outcome)
      channel.readSync(() => reply !== undefined || failed !== undefined, ENDLESS)
    } catch (error) {
      this.#pending.delete(number)
      if (error instanceof KeyboardInterrupt) this.tell('cancel', [number])
      // The server may have gone while the request was being written.
      throw failed?.error ?? this.#gone ?? error
    } finally {
      this.#blocking--
    }
    if (reply === undefined) throw failed!.error
    return reply
  }

  #blocking = 0

  /** Says something that is not answered, if there is anybody to hear it. */
  tell(method: string, args: readonly unknown[], now = false): void {
    const channel = this.#channel
    if (channel === undefined || channel.closed) return
    channel.post([0, '', method, args])
    if (now) channel.flush()
  }

  /** Requests made by `run` go in one message, and their replies come in one. */
  batch<T>(run: () => T): T {
    if (this.#batch !== undefined) return run()
    const gathered: { request: Request; handler: Handler }[] = []
    this.#batch = gathered
    try {
      return run()
    } finally {
      this.#batch = undefined
      if (gathered.length > 0) this.#sendBatch(gathered)
    }
  }

  #sendBatch(gathered: { request: Request; handler: Handler }[]): void {
    const failAll = (error: unknown): void => {
      for (const { handler } of gathered) handler.fail(error)
    }
    this.request(
      '',
      'batch',
      gathered.map(({ request }) => request),
      undefined,
      {
        settle(kind, result) {
          if (kind !== RETURN) return failAll(new RemoteError(String(result)))
          for (const [i, reply] of (result as Reply[]).entries()) {
            gathered[i]!.handler.settle(reply[1], reply[2], reply[3])
          }
        },
        fail: failAll,
      },
    )
  }

  /** Says that a proxy has come here, so that its referent is kept for it; connects for that if need be. */
  arrive(ident: string, ticket: string): void {
    if (this.#channel !== undefined) this.tell('arrive', [ident, ticket])
    else {
      this.#early.push([0, '', 'arrive', [ident, ticket]])
      // Whoever calls it first finds out what is wrong.
      this.connect().catch(() => {})
    }
  }

  /** Connects, if that has not been done. */
  async connect(): Promise<void> {
    if (this.#channel !== undefined) return
    if (this.#connecting !== undefined) return await this.#connecting
    const { authkey, tls } = secretOf(this.address)
    const connection =
      tls === undefined
        ? Client(this.address, { authkey })
        : connectThrough(this.address, authkey, tls)
    this.#connecting = connection.then(
      (connection) => void this.#connected(connection),
      (error) => {
        this.#connecting = undefined
        this.#failEarly(error)
        throw error
      },
    )
    await this.#connecting
  }

  /** The same, blocking. */
  connectSync(): Channel {
    if (this.#channel !== undefined) return this.#channel
    if (this.#gone !== undefined) throw this.#gone
    if (!this.blocks) throw onlyPromises()
    return this.#connected(ClientSync(this.address, { authkey: secretOf(this.address).authkey }))
  }

  /** Closes the connection; what it refers to there is let go of, and what it holds given back. */
  close(): void {
    this.#end(
      new EOFError(`the connection to the manager at ${showAddress(this.address)} is closed`),
    )
  }

  /** It is another process's. */
  abandon(): void {
    this.abandoned = true
    this.#gone = new EOFError('the connection belongs to the process that this one is a copy of')
    this.#channel?.abandon()
    this.#farewell?.cancel()
    this.#pending.clear()
  }

  message(channel: Channel, bytes: Uint8Array, start: number, end: number): void {
    let reply: unknown
    try {
      reply =
        this.#blocking > 0
          ? channel.decodeSync(bytes, start, end)
          : channel.decode(bytes, start, end)
    } catch (error) {
      this.#lost(bytes, start, end, error)
      return
    }
    if (reply instanceof Promise) {
      const kept = bytes.slice(start, end)
      reply.then(
        (came) => this.#settle(came as Reply),
        (error) => this.#lost(kept, 0, kept.length, error),
      )
    } else this.#settle(reply as Reply)
  }

  ended(): void {
    this.#end(new EOFError(`the manager at ${showAddress(this.address)} is gone`))
  }

  #settle(reply: Reply): void {
    const number = reply[0]
    const handler = this.#pending.get(number)
    if (handler === undefined) {
      if (number === 0) this.#end(new RemoteError(String(reply[2])))
      return
    }
    this.#pending.delete(number)
    if (this.#pending.size === 0) this.#channel?.read(false)
    handler.settle(reply[1], reply[2], reply[3])
  }

  /** A reply cannot be rebuilt here: whoever waits for it is told. */
  #lost(bytes: Uint8Array, start: number, end: number, error: unknown): void {
    const number = numberIn(bytes, start, end)
    const handler = number === undefined ? undefined : this.#pending.get(number)
    if (handler === undefined) {
      this.#end(error as Error)
      return
    }
    this.#pending.delete(number!)
    if (this.#pending.size === 0) this.#channel?.read(false)
    handler.fail(error)
  }

  #connected(connection: Connection): Channel {
    if (this.#channel !== undefined || this.#gone !== undefined) {
      connection.close()
      if (this.#gone !== undefined) throw this.#gone
      return this.#channel!
    }
    const channel = channelOver(connection, this)
    this.#channel = channel
    this.#farewell = new Finalize(null, () => this.#sayGoodbye(), { exitpriority: 1 })
    for (const request of this.#early.splice(0)) {
      try {
        channel.post(request)
      } catch (error) {
        const handler = this.#pending.get(request[0])
        this.#pending.delete(request[0])
        handler?.fail(error)
      }
    }
    channel.read(this.#pending.size > 0)
    return channel
  }

  /** A process that ends in order leaves locked what it has locked. */
  #sayGoodbye(): void {
    if ((process.exitCode ?? 0) === 0) this.tell('bye', [], true)
    this.#channel?.close()
  }

  #failEarly(error: unknown): void {
    for (const [number] of this.#early.splice(0)) {
      const handler = this.#pending.get(number)
      this.#pending.delete(number)
      handler?.fail(error)
    }
  }

  #end(error: Error): void {
    if (this.#gone !== undefined) return
    this.#gone = error
    this.#channel?.close()
    this.#farewell?.cancel()
    forget(this)
    const pending = [...this.#pending.values()]
    this.#pending.clear()
    for (const handler of pending) handler.fail(error)
  }
}

/** Keyword arguments are one last argument. */
export const withKwds = (args: readonly unknown[], kwds: object | undefined): readonly unknown[] =>
  kwds === undefined || Object.keys(kwds).length === 0 ? args : [...args, kwds]
