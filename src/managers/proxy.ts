/**
 * Proxies: objects that stand for a referent in a manager's server.
 * @module
 */
import { inspect } from 'node:util'
import type { Address } from '../address.js'
import { deferReducers, type EncodeContext, registerReducer } from '../codec/index.js'
import { RemoteError, RemoteTraceback, RuntimeError, UnpicklingError } from '../errors.js'
import { native } from '../native.js'
import { isForChild } from '../preparation.js'
import { type Caller, camelCase, defineCalls, type Spellings } from './calls.js'
import { LOCAL } from './local.js'
import { withKwds } from './own-peer.js'
import { addressKey, type Handler, ownSecretOf, type Peer, peerAt, remember } from './peers.js'
import {
  ERROR,
  PROXY,
  RETURN,
  type Reply,
  type ReplyKind,
  Token,
  UNSERIALIZABLE,
} from './protocol.js'
import type { Entry } from './referents.js'
import { serving } from './serving.js'
import { currentCall } from './session.js'

/** A class of proxies. */
export type ProxyType = (new (
  token: Token,
  options?: ProxyOptions,
) => BaseProxy) & {
  readonly _exposed_?: readonly string[] | undefined
  readonly _methodToTypeid_?: Readonly<Record<string, string>> | undefined
}

/** Which class of proxies a type has. */
export type ProxyTypes = (typeid: string) => ProxyType | undefined

/** How a proxy is made. */
export interface ProxyOptions {
  /** The methods that may be called, if they are known. */
  exposed?: readonly string[] | undefined
  /** Which classes the proxies have that its methods return. */
  types?: ProxyTypes | undefined
  /** @internal Whether the server counts this one already. */
  counted?: boolean
  /** @internal What it was sent under. */
  ticket?: string
}

/** How a call is made. */
export interface CallOptions {
  /** Calls it off: the wait in the server ends, and the Promise is rejected with the signal's reason. */
  signal?: AbortSignal | undefined
}

interface Held {
  readonly peer: Peer
  readonly ident: string
}

/** What proxies that are gone referred to, until that is said to their servers. */
const dropped = new Map<Peer, string[]>()
let dropping = false

const tellDropped = (): void => {
  dropping = false
  for (const [peer, idents] of dropped) peer.tell('decref', idents)
  dropped.clear()
}

const letGo = ({ peer, ident }: Held): void => {
  if (peer.gone) return
  const idents = dropped.get(peer)
  if (idents === undefined) dropped.set(peer, [ident])
  else idents.push(ident)
  if (dropping) return
  dropping = true
  setImmediate(tellDropped).unref()
}

let collected: FinalizationRegistry<Held> | undefined

const prepare = new WeakSet<object>()

let tickets = 0
let ticketPrefix: string | undefined

/** A name for one sending of one proxy, which no other process gives. */
const newTicket = (): string => {
  const { pid } = process
  if (ticketPrefix === undefined || !ticketPrefix.startsWith(`${pid}-`)) {
    ticketPrefix = `${pid}-${Math.random().toString(36).slice(2)}-${native.isMainThread() ? '' : Math.random().toString(36).slice(2)}`
  }
  return `${ticketPrefix}${++tickets}`
}

/** What of a proxy is sent to Python's. */
export const SentProxy = {} as {
  of(proxy: BaseProxy): { token: Token; exposed: readonly string[] | undefined }
}

/** How proxies of a class are spelled; filled in when the first is made. */
export const SPELLINGS = Symbol('spellings')

/**
 * An object that stands for one in a manager's server: its methods call that one's. It can be sent like
 * any object, and stands for the same one then.
 *
 * Each method exists twice: `get(...)` returns a Promise, and `getSync(...)` blocks. Calls that are made in
 * the Promise form while others are under way go in one message, are begun by the server in their order, and
 * end in any; a Sync call waits for its own reply alone.
 *
 * The server keeps the referent as long as there are proxies for it anywhere. A proxy gives it up when it is
 * collected, and its process's end gives up all of its own; `using` does at the end of a block.
 *
 * Mirrors `managers.BaseProxy`.
 */
export class BaseProxy implements Caller {
  /** The methods that may be called, where a class says so. */
  static readonly _exposed_?: readonly string[] | undefined
  /** Which of them return something to be shared, and of which type, where a class says so. */
  static readonly _methodToTypeid_?: Readonly<Record<string, string>> | undefined

  readonly #token: Token
  readonly #exposed: readonly string[] | undefined
  readonly #types: ProxyTypes | undefined
  #peer: Peer | undefined
  #entry: Entry | undefined
  #given = false

  /** @param token - What it stands for; the server need not be known yet. */
  constructor(token: Token, options: ProxyOptions = {}) {
    const { exposed, types, counted = false, ticket = '' } = options
    prepareClass(new.target)
    this.#token = token
    this.#exposed = exposed
    this.#types = types
    const server = serverAt(token.address)
    if (server !== undefined) {
      const entry = server.referents.get(token.id)
      if (entry === undefined) throw new RuntimeError(`there is no referent ${token.id} any more`)
      entry.local = true
      this.#entry = entry
      if (ticket !== '') server.referents.arrived(ticket)
      return
    }
    this.#peer = peerAt(token.address)
    this.#hold(counted, ticket)
  }

  /**
   * Calls a method of the referent.
   *
   * @param method - Its name there; Python's names for the types of {@link SyncManager}.
   * @param args - Its arguments.
   * @param kwds - When it has any, passed as one last argument.
   * @returns What it returns, as a copy or, for some methods, as a proxy.
   * @throws What it throws, with the server's stack as `cause`; RemoteError for a method that is not
   * exposed, and for a result that cannot travel; EOFError when the server is gone; PicklingError for
   * arguments that cannot travel; the signal's reason.
   *
   * Mirrors `BaseProxy._callmethod`.
   */
  _callmethod(
    method: string,
    args: readonly unknown[] = [],
    kwds?: object,
    options?: CallOptions,
  ): Promise<any> {
    if (this.#entry !== undefined) return this.#callHere(method, withKwds(args, kwds))
    return new Promise((resolve, reject) => {
      const signal = options?.signal
      if (signal?.aborted) return reject(signal.reason)
      const peer = this.#peerNow()
      const handler: Handler = {
        settle: (kind, result, stack) => {
          if (signal !== undefined) signal.removeEventListener('abort', abort)
          if (kind === RETURN) return resolve(result)
          try {
            resolve(this.#converted(kind, result, stack))
          } catch (error) {
            reject(error)
          }
        },
        fail: (error) => {
          if (signal !== undefined) signal.removeEventListener('abort', abort)
          reject(error)
        },
      }
      const number = peer.request(this.#token.id, method, args, kwds, handler)
      const abort = (): void => {
        peer.tell('cancel', [number])
        reject(signal!.reason)
      }
      signal?.addEventListener('abort', abort, { once: true })
    })
  }

  /** The same, blocking. */
  _callmethodSync(method: string, args: readonly unknown[] = [], kwds?: object): any {
    if (this.#entry !== undefined) return this.#callHereSync(method, withKwds(args, kwds))
    const reply = this.#peerNow().requestSync(this.#token.id, method, args, kwds)
    return reply[1] === RETURN ? reply[2] : this.#converted(reply[1], reply[2], reply[3])
  }

  /**
   * A copy of the referent.
   *
   * @throws RemoteError when it cannot travel.
   *
   * Mirrors `BaseProxy._getvalue`.
   */
  async _getvalue(): Promise<any> {
    return await this._callmethod('#GETVALUE')
  }

  /** The same, blocking. */
  _getvalueSync(): any {
    return this._callmethodSync('#GETVALUE')
  }

  /** What it stands for. Mirrors `BaseProxy._token`. */
  get _token(): Token {
    return this.#token
  }

  /** Which of the server's referents it stands for. Mirrors `BaseProxy._id`. */
  get _id(): string {
    return this.#token.id
  }

  /** The referent, where it is in this process. @internal */
  get [LOCAL](): unknown {
    return this.#entry?.object
  }

  /** How the referent looks; blocks. */
  toString(): string {
    try {
      return this._callmethodSync('__str__')
    } catch {
      return `${inspect(this).slice(0, -1)}; 'toString()' failed>`
    }
  }

  /** How the proxy looks: `<ListProxy object, typeid 'list' at 0x7f0000001000>`. */
  [inspect.custom](): string {
    return `<${this.constructor.name} object, typeid '${this.#token.typeid}' at 0x${this.#token.id}>`
  }

  /** Gives up the referent now; the proxy is of no use then. */
  [Symbol.dispose](): void {
    if (this.#peer === undefined || this.#given) return
    this.#given = true
    collected?.unregister(this)
    this.#peer.tell('decref', [this.#token.id])
  }

  /** @internal What of it travels. */
  reduce(_context: EncodeContext): unknown {
    const { typeid, address, id } = this.#token
    const ticket = this.#lend()
    const secret = isForChild() ? ownSecretOf(address) : undefined
    const type = this.constructor as ProxyType
    const kind = typeNames.get(type) ?? (automatic.has(type) ? null : type)
    return [
      typeid,
      address,
      id,
      this.#exposed ?? null,
      kind,
      ticket,
      secret?.authkey ?? null,
      secret?.serializer ?? null,
      secret?.tls ?? null,
    ]
  }

  static {
    SentProxy.of = (proxy) => {
      proxy.#lend()
      return { token: proxy.#token, exposed: proxy.#exposed }
    }
  }

  /** What it stands for is kept until it has arrived wherever it is being sent. */
  #lend(): string {
    const { address, id } = this.#token
    const ticket = newTicket()
    const server = serverAt(address)
    if (server !== undefined) server.referents.lend(id, ticket)
    else {
      const peer = this.#peerNow()
      if (peer.blocks) peer.connectSync()
      peer.tell('lend', [id, ticket], true)
    }
    return ticket
  }

  #peerNow(): Peer {
    const peer = this.#peer!
    if (!peer.gone || this.#given) return peer
    // A copy of a process has connections of its own.
    const current = peerAt(this.#token.address)
    if (!peer.abandoned) return peer
    this.#peer = current
    this.#hold(false, '')
    return current
  }

  #hold(counted: boolean, ticket: string): void {
    const peer = this.#peer!
    const { id } = this.#token
    collected ??= new FinalizationRegistry(letGo)
    collected.unregister(this)
    collected.register(this, { peer, ident: id }, this)
    if (!counted) peer.arrive(id, ticket)
  }

  #converted(kind: ReplyKind, result: unknown, stack?: string): unknown {
    if (kind !== PROXY) throw errorOf(kind, result, stack)
    const [exposed, [typeid, address, id]] = result as [string[], [string, Address, string]]
    const at = this.#peer?.address ?? address
    return proxyFor(new Token(typeid, at, id), { exposed, types: this.#types, counted: true })
  }

  async #callHere(method: string, args: readonly unknown[]): Promise<unknown> {
    const reply = await new Promise<Reply>((resolve) => this.#perform(method, args, resolve))
    return reply[1] === RETURN ? reply[2] : this.#converted(reply[1], reply[2], reply[3])
  }

  #callHereSync(method: string, args: readonly unknown[]): unknown {
    let reply: Reply | undefined
    this.#perform(method, args, (came) => {
      reply = came
    })
    if (reply === undefined) {
      throw new RuntimeError('the server itself cannot block: use the Promise form of the call')
    }
    return reply[1] === RETURN ? reply[2] : this.#converted(reply[1], reply[2], reply[3])
  }

  #perform(method: string, args: readonly unknown[], done: (reply: Reply) => void): void {
    const server = serverAt(this.#token.address)
    const { ident } = this.#entry!
    if (server === undefined) throw new RuntimeError('the server has stopped')
    server.perform({ session: currentCall().session }, ident, method, args, (kind, result, stack) =>
      done(stack === undefined ? [0, kind, result] : [0, kind, result, stack]),
    )
  }
}

const serverAt = (address: Address) => {
  for (const server of serving) {
    if (addressKey(server.address) === addressKey(address)) return server
  }
  return undefined
}

/** The error that a reply stands for. Mirrors `managers.convert_to_error`. */
export const errorOf = (kind: ReplyKind, result: unknown, stack?: string): unknown => {
  if (kind === ERROR) {
    if (result instanceof Error && stack !== undefined && result.cause === undefined) {
      const value = new RemoteTraceback(stack)
      Object.defineProperty(result, 'cause', { value, configurable: true, writable: true })
    }
    return result
  }
  const rule = '-'.repeat(75)
  if (kind === UNSERIALIZABLE) return new RemoteError(`Unserializable message: ${String(result)}`)
  return new RemoteError(`\n${rule}\n${String(result)}\n${rule}`)
}

/** The classes of proxies that come with the package, by name. */
const named = new Map<string, ProxyType>()
const typeNames = new Map<ProxyType, string>()
let defaults: ProxyTypes = () => undefined

/** Makes the package's own classes known. */
export const provideTypes = (
  types: Readonly<Record<string, ProxyType>>,
  byTypeid: ProxyTypes,
): void => {
  defaults = byTypeid
  for (const [name, type] of Object.entries(types)) {
    named.set(name, type)
    typeNames.set(type, name)
  }
}

/** The package's own class of this name. */
export const proxyClass = (name: string): ProxyType | undefined => named.get(name)

/** The name of a proxy's class, as Python has it. */
export const proxyName = (proxy: BaseProxy): string => {
  const name = typeNames.get(proxy.constructor as ProxyType)
  return name === undefined || name === 'QueueProxy' || name === 'AsyncResultProxy'
    ? 'AutoProxy'
    : name
}

/** A proxy of the class that its type has. */
export const proxyFor = (token: Token, options: ProxyOptions): BaseProxy => {
  const type = options.types?.(token.typeid) ?? defaults(token.typeid)
  return type === undefined ? AutoProxy(token, options) : new type(token, options)
}

const prepareClass = (type: Function): void => {
  if (prepare.has(type)) return
  prepare.add(type)
  const above = Object.getPrototypeOf(type)
  if (typeof above === 'function' && above !== Function.prototype) prepareClass(above)
  const spellings = Object.hasOwn(type, SPELLINGS)
    ? (type as unknown as { [SPELLINGS]: Spellings })[SPELLINGS]
    : undefined
  if (spellings !== undefined) defineCalls(type.prototype, spellings)
}

/** Names that objects have for other purposes. */
const TAKEN = new Set(['constructor', 'then', 'toString', 'valueOf', 'str', 'repr'])

/** The methods of a class made for what may be called: both forms of each. */
const spellingsOf = (exposed: readonly string[]): Spellings => {
  const names = new Set(exposed)
  const spellings: Record<string, string> = {}
  for (const name of exposed) {
    const own = camelCase(name)
    const isSync = name.endsWith('Sync') && names.has(name.slice(0, -4))
    if (!isSync && !TAKEN.has(own)) spellings[own] = name
  }
  return spellings
}

const automatic = new Set<ProxyType>()

/**
 * A class of proxies with these methods. Mirrors `managers.MakeProxyType`.
 *
 * @param name - What the class is called.
 * @param exposed - The methods of the referent that can be called; each gets a Promise and a Sync form.
 */
export const makeProxyType = (name: string, exposed: readonly string[]): ProxyType => {
  class Made extends BaseProxy {
    static override readonly _exposed_ = exposed
    static readonly [SPELLINGS] = spellingsOf(exposed)
  }
  Object.defineProperty(Made, 'name', { value: name })
  return Made
}

const made = new Map<string, ProxyType>()

/** The class for what may be called, made once. */
const automaticType = (typeid: string, exposed: readonly string[]): ProxyType => {
  const key = `${typeid}\n${exposed.join('\n')}`
  let type = made.get(key)
  if (type === undefined) {
    type = makeProxyType(`AutoProxy[${typeid}]`, exposed)
    automatic.add(type)
    made.set(key, type)
  }
  return type
}

/**
 * A proxy whose methods are those that may be called. Mirrors `managers.AutoProxy`.
 *
 * @throws RemoteError when the server has to be asked, and does not know the referent; blocks then.
 */
export const AutoProxy = (token: Token, options: ProxyOptions = {}): BaseProxy => {
  const exposed = options.exposed ?? methodsOf(token)
  return new (automaticType(token.typeid, exposed))(token, { ...options, exposed })
}

const methodsOf = (token: Token): string[] => {
  const { address } = token
  const reply = peerAt(address).requestSync('', 'get_methods', [token], undefined)
  if (reply[1] !== RETURN) throw errorOf(reply[1], reply[2], reply[3])
  return reply[2] as string[]
}

const rebuild = (state: unknown): BaseProxy => {
  const [typeid, address, id, exposed, kind, ticket, authkey, serializer, tls] = Array.isArray(
    state,
  )
    ? state
    : []
  if (typeof typeid !== 'string' || typeof id !== 'string' || typeof ticket !== 'string') {
    throw new UnpicklingError('a proxy is malformed')
  }
  if (authkey instanceof Uint8Array) {
    remember(address, {
      authkey: new Uint8Array(authkey),
      serializer: serializer ?? 'native',
      tls: tls ?? undefined,
    })
  }
  const token = new Token(typeid, address, id)
  const options = { exposed: exposed ?? undefined, ticket }
  if (kind === null) return AutoProxy(token, options)
  const type = typeof kind === 'string' ? named.get(kind) : kind
  if (typeof type !== 'function') throw new UnpicklingError(`there is no proxy ${String(kind)}`)
  return new type(token, options)
}

deferReducers(() =>
  registerReducer(BaseProxy, {
    name: 'managers.BaseProxy',
    trustedOnly: true,
    reduce: (proxy, context) => proxy.reduce(context),
    rebuild,
  }),
)
