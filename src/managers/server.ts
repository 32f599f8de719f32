/**
 * A manager's server: it has the referents, and does what clients ask of them.
 * @module
 */
import { type Address, showAddress } from '../address.js'
import type { Connection } from '../connection.js'
import { AuthenticationError, KeyError, OSError, ValueError } from '../errors.js'
import { Listener } from '../listener.js'
import { debug, info } from '../logger.js'
import type { NamedSerializer } from '../serializer.js'
import { show } from '../waiting.js'
import { ERROR, PROXY, RETURN, Token, TRACEBACK } from './protocol.js'
import { type Entry, Referents } from './referents.js'
import { prepared, type Registered, type RegisteredTypes, registered } from './registry.js'
import { serving } from './serving.js'
import { type Answer, type Call, during, Session } from './session.js'
import { showReferent } from './show-value.js'
import { openTunnel, type TlsOptions, type Tunnel } from './tls.js'
import { copyOf } from './types.js'

/** How a {@link Server} is made. */
export interface ServerOptions {
  readonly types: RegisteredTypes
  readonly address: Address | null
  readonly authkey: Uint8Array
  readonly serializer: NamedSerializer
  readonly tls?: TlsOptions | undefined
}

/** How many may have connected and not been taken in. */
const BACKLOG = 4096

/** One that talks to a client in the language of that. */
export interface ClientTalk {
  close(): void
}

/** Takes in a client that has proved to hold the key. */
type TakeIn = (server: Server, connection: Connection) => ClientTalk

let takers: Readonly<Record<NamedSerializer, TakeIn>>

/** Says how clients are talked to, by serializer. */
export const provideTakers = (given: typeof takers): void => {
  takers = given
}

/** What can be asked of the server itself, beside its referents. */
type Control = (call: Call, ...args: any[]) => unknown

/** How the text of a failure looks. */
const traceback = (error: unknown): string =>
  error instanceof Error ? (error.stack ?? String(error)) : show(error)

/**
 * The server of a manager: it lives in the process that runs it, and serves all who connect and prove that
 * they hold the key. One event loop does it all. A call that has to wait, for a lock or an item, keeps
 * nobody else waiting.
 *
 * Mirrors `multiprocessing.managers.Server`.
 */
export class Server {
  /** The types that can be created. */
  readonly types: RegisteredTypes
  /** @internal */
  readonly referents = new Referents()
  readonly #listener: Listener
  readonly #takeIn: TakeIn
  /** @internal What clients refer to that say nothing of who they are. */
  readonly strangers = new Session()
  readonly #clients = new Set<ClientTalk>()
  readonly #tunnel: Tunnel | undefined
  #stopped: { resolve: () => void } | undefined
  #failure: Error | undefined
  #serving: Promise<void> | undefined
  #over = false
  readonly #controls: Readonly<Record<string, Control>>

  /** @internal Made by {@link BaseManager.getServer}. */
  constructor({ types, address, authkey, serializer, tls }: ServerOptions) {
    if (!(authkey instanceof Uint8Array)) {
      throw new TypeError(`Authkey ${show(authkey)} is type ${typeof authkey}, not bytes`)
    }
    this.types = types
    this.#takeIn = takers[serializer]
    const options = { authkey, backlog: BACKLOG }
    const inside = address === null || tls !== undefined
    this.#listener = inside ? new Listener(options) : new Listener(address, options)
    if (tls !== undefined) {
      this.#tunnel = openTunnel(address, this.#listener.address, tls, (error) => this.#fail(error))
    }
    this.#controls = this.moreControls()
  }

  /** Where it listens. */
  get address(): Address {
    return this.#tunnel?.address ?? this.#listener.address
  }

  /**
   * Serves until somebody asks the manager to shut down. Blocks nothing.
   *
   * @throws OSError when the listener fails.
   *
   * Mirrors `Server.serve_forever`.
   */
  serveForever(): Promise<void> {
    this.#serving ??= this.#serve()
    return this.#serving
  }

  /** Serves no more: clients are cut off, referents let go of. */
  stop(): void {
    if (this.#over) return
    this.#over = true
    this.#tunnel?.close()
    this.#listener.close()
    for (const client of [...this.#clients]) client.close()
    this.referents.clear()
    serving.delete(this)
    this.#stopped?.resolve()
  }

  /** @internal What can be asked beside the usual. */
  protected moreControls(): Record<string, Control> {
    return {
      dummy: () => null,
      create: (call, typeid, ...args) => this.#create(call, typeid, args),
      get_methods: (_call, ident) => this.#entry(identOf(ident)).exposed,
      number_of_objects: () => this.referents.size,
      debug_info: () => this.#debugInfo(),
      shutdown: () => {
        setImmediate(() => this.stop())
        return null
      },
      accept_connection: ({ session }, name) => {
        session.name = String(name)
        return null
      },
      incref: ({ session }, ident) => this.referents.refer(session, identOf(ident)),
      decref: ({ session }, ...idents) => {
        for (const ident of idents) this.referents.letGo(session, identOf(ident))
      },
      lend: (_call, ident, token) => this.referents.lend(ident, token),
      arrive: ({ session }, ident, token) => this.referents.arrive(session, ident, token),
      cancel: ({ session }, number) => session.calls.get(number)?.cancel?.(),
      bye: ({ session }) => {
        session.orderly = true
      },
    }
  }

  /** @internal A client is gone. */
  left(client: ClientTalk, session: Session): void {
    this.#clients.delete(client)
    session.end()
    this.referents.leave(session)
  }

  /** @internal Does what was asked, and answers at once or when it is done. */
  perform(
    call: Call,
    ident: string,
    method: string,
    args: readonly unknown[],
    answer: Answer,
  ): void {
    if (ident === '') {
      this.#control(call, method, args, answer)
      return
    }
    const entry = this.referents.get(ident)
    if (entry === undefined) {
      answer(TRACEBACK, traceback(new KeyError(`there is no referent ${ident}`)))
      return
    }
    const { object } = entry
    const fn = entry.allowed.has(method) ? (object as Record<string, unknown>)[method] : undefined
    if (typeof fn !== 'function') {
      this.#unexposed(entry, method, answer)
      return
    }
    try {
      const result = during(call, () => fn.apply(object, args))
      if (isThenable(result)) {
        Promise.resolve(result).then(
          (value) => this.#returned(call, entry, method, value, answer),
          (error) => answer(ERROR, error, stackOf(error)),
        )
      } else this.#returned(call, entry, method, result, answer)
    } catch (error) {
      answer(ERROR, error, stackOf(error))
    }
  }

  async #serve(): Promise<void> {
    serving.add(this)
    info('manager serving at %s', shown(this.address))
    const stopped = new Promise<void>((resolve) => {
      this.#stopped = { resolve }
    })
    for (;;) {
      let connection: Connection
      try {
        connection = await this.#listener.accept()
      } catch (error) {
        if (this.#over) break
        if (error instanceof AuthenticationError) {
          debug('a client was refused: %s', error.message)
          continue
        }
        if (error instanceof OSError && OUT_OF_DESCRIPTORS.has(error.code)) {
          await new Promise((resolve) => setTimeout(resolve, 50))
          continue
        }
        this.stop()
        throw error
      }
      try {
        this.#clients.add(this.#takeIn(this, connection))
      } catch (error) {
        connection.close()
        debug('a client could not be served: %s', traceback(error))
      }
    }
    await stopped
    if (this.#failure !== undefined) throw this.#failure
  }

  #fail(error: Error): void {
    this.#failure = error
    this.stop()
  }

  #returned(call: Call, entry: Entry, method: string, value: unknown, answer: Answer): void {
    const typeid = entry.methodToTypeid[method]
    if (typeid === undefined) {
      answer(RETURN, value)
      return
    }
    try {
      const made = this.#share(call.session, typeid, value)
      answer(PROXY, [made.exposed, [made.typeid, this.address, made.ident]])
    } catch (error) {
      answer(TRACEBACK, traceback(error))
    }
  }

  #control(call: Call, name: string, args: readonly unknown[], answer: Answer): void {
    try {
      const control = Object.hasOwn(this.#controls, name) ? this.#controls[name] : undefined
      if (control === undefined) throw new ValueError(`${show(name)} unrecognized`)
      const result = during(call, () => control(call, ...args))
      if (isThenable(result)) {
        Promise.resolve(result).then(
          (value) => answer(RETURN, value ?? null),
          (error) => answer(TRACEBACK, traceback(error)),
        )
      } else answer(RETURN, result ?? null)
    } catch (error) {
      answer(TRACEBACK, traceback(error))
    }
  }

  #create(call: Call, typeid: unknown, args: unknown[]): unknown {
    const type = registered(this.types, String(typeid))
    if (type === undefined) throw new KeyError(`'${String(typeid)}'`)
    const made = construct(type, args)
    const share = (object: unknown): unknown => {
      const entry = this.#share(call.session, String(typeid), object, type)
      return [entry.ident, entry.exposed]
    }
    return isThenable(made) ? Promise.resolve(made).then(share) : share(made)
  }

  #share(
    session: Session,
    typeid: string,
    object: unknown,
    type: Registered | undefined = registered(this.types, typeid),
  ): Entry {
    if (type === undefined) throw new KeyError(`'${typeid}'`)
    const [referent, exposed] = prepared(object, type.exposed)
    const entry = this.referents.add(typeid, referent, exposed, type.methodToTypeid)
    this.referents.refer(session, entry.ident)
    return entry
  }

  /** What needs not be exposed, and what is not. */
  #unexposed(entry: Entry, method: string, answer: Answer): void {
    const { object } = entry
    try {
      if (method === '#GETVALUE') {
        answer(RETURN, copyOf(object))
        return
      }
      if (method === '__str__' || method === '__repr__') {
        answer(RETURN, showReferent(object))
        return
      }
    } catch (error) {
      answer(ERROR, error, stackOf(error))
      return
    }
    const why = entry.allowed.has(method)
      ? `${showReferent(object)} has no method '${method}'`
      : `method '${method}' of ${typeName(object)} object is not in exposed=[${entry.exposed.map((name) => `'${name}'`).join(', ')}]`
    answer(TRACEBACK, traceback(new TypeError(why)))
  }

  #debugInfo(): string {
    const lines = this.referents
      .all()
      .sort((a, b) => (a.ident < b.ident ? -1 : 1))
      .map(
        ({ ident, count, object }) =>
          `  ${ident}:       refcount=${count}\n    ${showReferent(object).slice(0, 75)}`,
      )
    return lines.join('\n')
  }

  #entry(ident: string): Entry {
    const entry = this.referents.get(ident)
    if (entry === undefined) throw new KeyError(`there is no referent ${ident}`)
    return entry
  }
}

/** An address, as the reference's log has it. */
const shown = (address: Address): string =>
  typeof address === 'string' ? `'${address}'` : showAddress(address)

const OUT_OF_DESCRIPTORS = new Set(['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM'])

const isThenable = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === 'object' &&
  value !== null &&
  typeof (value as { then?: unknown }).then === 'function'

const stackOf = (error: unknown): string | undefined =>
  error instanceof Error ? error.stack : undefined

const identOf = (ident: unknown): string => {
  if (typeof ident === 'string') return ident
  const token = ident as Token
  return token instanceof Token ? token.id : String(Array.isArray(ident) ? ident[2] : ident)
}

const typeName = (object: unknown): string => {
  const name = Object(object).constructor?.name ?? 'object'
  return `'${String(name).replace(/Referent$/, '')}'`
}

/** What a type's callable makes; without one, the only argument is the referent. */
const construct = ({ callable }: Registered, args: unknown[]): unknown => {
  if (callable === null) {
    if (args.length !== 1)
      throw new ValueError('Without callable, must have one non-keyword argument')
    return args[0]
  }
  return isClass(callable) ? Reflect.construct(callable, args) : callable(...args)
}

const isClass = (callable: Function): boolean =>
  /^class\b/.test(Function.prototype.toString.call(callable))
