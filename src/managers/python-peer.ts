/**
 * A server that speaks as CPython's do, as its client sees it: one connection for the calls of referents,
 * one after the other, and one for each request to the server itself.
 * @module
 */
import { type Address, showAddress } from '../address.js'
import { Client, ClientSync } from '../client.js'
import type { Connection } from '../connection.js'
import { EOFError, RemoteError } from '../errors.js'
import { Finalize } from '../finalize.js'
import { currentProcess } from '../process-state.js'
import { forget, type Handler, type Peer, secretOf } from './peers.js'
import {
  ERROR,
  PROXY,
  RETURN,
  type Reply,
  type ReplyKind,
  type Token,
  UNSERIALIZABLE,
} from './protocol.js'
import { isPythonError, kindOf, messageIn, requestOf } from './python-messages.js'

/** Methods whose end is an error in Python. */
const STEPS = new Set(['__next__', 'send', 'throw'])

/** Options that Python takes by name only. */
const NAMED = new Set(['sort'])

/** Requests to the server that CPython's have not. */
const OWN = new Set(['lend', 'cancel', 'bye'])

interface Pending {
  readonly method: string
  readonly handler: Handler
}

/** A server. */
export class PythonPeer implements Peer {
  readonly address: Address
  readonly owner: number = process.pid
  readonly blocks: boolean = true
  abandoned = false
  #connection: Connection | undefined
  #connecting: Promise<Connection> | undefined
  readonly #pending: Pending[] = []
  #reading = false
  #gone: Error | undefined
  /** What this process refers to, to let go of it at its end. */
  readonly #references = new Map<string, number>()
  #farewell: Finalize | undefined
  /** Requests to the server, in order. */
  #controls: Promise<unknown> = Promise.resolve()

  constructor(address: Address) {
    this.address = address
  }

  get gone(): boolean {
    return this.#gone !== undefined
  }

  request(
    ident: string,
    method: string,
    args: readonly unknown[],
    kwds: object | undefined,
    handler: Handler,
  ): number {
    let bytes: Uint8Array
    try {
      bytes = this.#bytes(ident, method, args, kwds)
    } catch (error) {
      handler.fail(error)
      return 0
    }
    if (ident === '')
      this.#control(method, bytes).then((reply) => settle(handler, reply), handler.fail)
    else this.#post(bytes, { method, handler })
    return 0
  }

  requestSync(
    ident: string,
    method: string,
    args: readonly unknown[],
    kwds: object | undefined,
  ): Reply {
    const bytes = this.#bytes(ident, method, args, kwds)
    if (ident === '') {
      const connection = ClientSync(this.address, { authkey: this.#authkey })
      try {
        connection.sendBytesSync(bytes)
        return this.#noted(method, this.#replyIn(connection.recvBytesSync(), method))
      } finally {
        connection.close()
      }
    }
    const connection = this.#connection ?? this.connectSync()
    try {
      connection.sendBytesSync(bytes)
      // Those before this one are answered before.
      for (let first = this.#pending.shift(); first !== undefined; first = this.#pending.shift()) {
        settle(first.handler, this.#replyIn(connection.recvBytesSync(), first.method))
      }
      return this.#replyIn(connection.recvBytesSync(), method)
    } catch (error) {
      if (error instanceof EOFError) throw this.#end()
      throw error
    }
  }

  tell(method: string, args: readonly unknown[], now = false): void {
    if (OWN.has(method)) return
    if (method !== 'decref') {
      this.#control(method, this.#bytes('', method, args, undefined)).catch(() => {})
      return
    }
    for (const ident of args) {
      if (!this.#released(String(ident))) continue
      const bytes = this.#bytes('', 'decref', [ident], undefined)
      if (now) this.#letGoNow(bytes)
      else this.#control('decref', bytes).catch(() => {})
    }
  }

  arrive(ident: string): void {
    this.#refer(ident)
    this.#control('incref', this.#bytes('', 'incref', [ident], undefined)).catch(() => {})
  }

  batch<T>(run: () => T): T {
    return run()
  }

  async connect(): Promise<void> {
    await this.#connected()
  }

  connectSync(): Connection {
    if (this.#gone !== undefined) throw this.#gone
    if (this.#connection === undefined) {
      const connection = ClientSync(this.address, { authkey: this.#authkey })
      connection.sendBytesSync(this.#greeting())
      this.#greeted(connection, connection.recvBytesSync())
    }
    return this.#connection!
  }

  close(): void {
    this.#gone ??= new EOFError(
      `the connection to the manager at ${showAddress(this.address)} is closed`,
    )
    this.#farewell?.cancel()
    forget(this)
    this.#connection?.close()
    this.#failAll(this.#gone)
  }

  abandon(): void {
    this.abandoned = true
    this.#gone = new EOFError('the connection belongs to the process that this one is a copy of')
    this.#connection?.close()
    this.#farewell?.cancel()
    this.#pending.length = 0
  }

  get #authkey(): Uint8Array {
    return secretOf(this.address).authkey
  }

  #bytes(
    ident: string,
    method: string,
    args: readonly unknown[],
    kwds: object | undefined,
  ): Uint8Array {
    const [options] = args
    if (ident !== '' && NAMED.has(method) && typeof options === 'object' && options !== null) {
      return requestOf(ident, method, args.slice(1), { ...options, ...kwds })
    }
    return requestOf(ident, method, args, kwds)
  }

  #greeting(): Uint8Array {
    return requestOf('', 'accept_connection', [`${currentProcess().name}|MainThread`])
  }

  #greeted(connection: Connection, reply: Uint8Array): Connection {
    const [, kind, result] = this.#replyIn(reply, 'accept_connection')
    if (kind !== RETURN) {
      connection.close()
      throw new RemoteError(String(result))
    }
    if (this.#connection !== undefined || this.#gone !== undefined) {
      connection.close()
      if (this.#gone !== undefined) throw this.#gone
      return this.#connection!
    }
    this.#connection = connection
    return connection
  }

  async #connected(): Promise<Connection> {
    if (this.#gone !== undefined) throw this.#gone
    if (this.#connection !== undefined) return this.#connection
    const connect = async (): Promise<Connection> => {
      const connection = await Client(this.address, { authkey: this.#authkey })
      await connection.sendBytes(this.#greeting())
      return this.#greeted(connection, await connection.recvBytes())
    }
    this.#connecting ??= connect().finally(() => {
      this.#connecting = undefined
    })
    return await this.#connecting
  }

  #post(bytes: Uint8Array, pending: Pending): void {
    const send = (connection: Connection): void => {
      this.#pending.push(pending)
      connection.sendBytes(bytes).catch(() => this.#end())
      this.#read(connection)
    }
    if (this.#connection !== undefined && this.#gone === undefined) send(this.#connection)
    else this.#connected().then(send, (error) => pending.handler.fail(error))
  }

  /** Takes the replies to what was asked, in order, until there are no more. */
  async #read(connection: Connection): Promise<void> {
    if (this.#reading) return
    this.#reading = true
    try {
      for (let next = this.#pending.shift(); next !== undefined; next = this.#pending.shift()) {
        const { handler, method } = next
        try {
          settle(handler, this.#replyIn(await connection.recvBytes(), method))
        } catch (error) {
          handler.fail(error instanceof EOFError ? this.#end() : error)
        }
      }
    } finally {
      this.#reading = false
    }
  }

  #control(method: string, bytes: Uint8Array): Promise<Reply> {
    const ask = async (): Promise<Reply> => {
      const connection = await Client(this.address, { authkey: this.#authkey })
      try {
        await connection.sendBytes(bytes)
        return this.#noted(method, this.#replyIn(await connection.recvBytes(), method))
      } finally {
        connection.close()
      }
    }
    const asked = this.#controls.then(ask, ask)
    this.#controls = asked.catch(() => {})
    return asked
  }

  /** What was created is referred to once. */
  #noted(method: string, reply: Reply): Reply {
    if (method === 'create' && reply[1] === RETURN) this.#refer(String((reply[2] as unknown[])[0]))
    return reply
  }

  #refer(ident: string): void {
    this.#references.set(ident, (this.#references.get(ident) ?? 0) + 1)
    this.#farewell ??= new Finalize(null, () => this.#sayGoodbye(), { exitpriority: 1 })
  }

  /** Whether there was a reference. */
  #released(ident: string): boolean {
    const count = this.#references.get(ident)
    if (count === undefined) return false
    if (count === 1) this.#references.delete(ident)
    else this.#references.set(ident, count - 1)
    return true
  }

  /** The server knows nobody's end, so each reference is given up. */
  #sayGoodbye(): void {
    for (const [ident, count] of this.#references) {
      for (let i = 0; i < count; i++) {
        if (!this.#letGoNow(this.#bytes('', 'decref', [ident], undefined))) return
      }
    }
  }

  #letGoNow(bytes: Uint8Array): boolean {
    try {
      const connection = ClientSync(this.address, { authkey: this.#authkey, timeout: 1000 })
      connection.sendBytesSync(bytes)
      connection.recvBytesSync({ timeout: 1000 })
      connection.close()
      return true
    } catch {
      return false
    }
  }

  #replyIn(bytes: Uint8Array, method: string): Reply {
    const [name, result] = messageIn(bytes, false)
    const kind = kindOf(name)
    if (kind === undefined) return [0, UNSERIALIZABLE, `Unrecognized message type ${String(name)}`]
    if (kind === PROXY) {
      const [exposed, token] = result as [string[], Token]
      this.#refer(token.id)
      return [0, kind, [exposed, [token.typeid, token.address, token.id]]]
    }
    if (!STEPS.has(method)) return [0, kind, result]
    if (kind === ERROR && isPythonError(result, 'StopIteration')) return [0, RETURN, OVER]
    return [0, kind, kind === RETURN ? { done: false, value: result } : result]
  }

  #end(): Error {
    if (this.#gone === undefined) {
      this.#gone = new EOFError(`the manager at ${showAddress(this.address)} is gone`)
      this.#farewell?.cancel()
      forget(this)
      this.#connection?.close()
      this.#failAll(this.#gone)
    }
    return this.#gone
  }

  #failAll(error: Error): void {
    for (const { handler } of this.#pending.splice(0)) handler.fail(error)
  }
}

const OVER = { done: true, value: undefined }

const settle = (
  handler: Handler,
  [, kind, result, stack]: Reply | [number, ReplyKind, unknown, string?],
): void => handler.settle(kind, result, stack)
