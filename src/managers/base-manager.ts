/**
 * Managers: they run a server, or know where one is, and make proxies for what is in it.
 * @module
 */
import { inspect } from 'node:util'
import type { Address } from '../address.js'
import { Client, ClientSync } from '../client.js'
import { type Connection, Pipe } from '../connection.js'
import type { BaseContext } from '../context.js'
import { EOFError, ProcessError, RuntimeError, ValueError } from '../errors.js'
import { Finalize } from '../finalize.js'
import { provideOwn } from '../functions.js'
import { info } from '../logger.js'
import { Process } from '../process.js'
import { authkeyOf, currentProcess, stateOf } from '../process-state.js'
import { isPickle, type NamedSerializer } from '../serializer.js'
import { show, type TimeoutOptions, type WaitOptions } from '../waiting.js'
import type { Both } from './calls.js'
import { ownSecretOf, type Peer, peerAt, remember, type Secret } from './peers.js'
import { RETURN, type Reply, Token } from './protocol.js'
import { type BaseProxy, errorOf, type ProxyType, proxyFor } from './proxy.js'
import type { Registered } from './registry.js'
import type { Server } from './server.js'
import { type Beginning, managerServerMain, type ServerKind, serverOf } from './server-process.js'
import { connectThrough, onlyPromises, type TlsOptions } from './tls.js'
import './default-types.js'
import './serializers.js'

/** How a {@link BaseManager} is made. */
export interface ManagerOptions {
  /** Where the server listens, or is to listen; one of this machine is chosen if not given. */
  address?: Address | null
  /** The key that both ends must prove to hold; this process's own if not given. */
  authkey?: Uint8Array | null
  /**
   * What the server and its clients say to one another: `native` if not given, or `pickle`, for servers and
   * clients of CPython's.
   */
  serializer?: NamedSerializer
  /**
   * What TLS needs, as Node's `tls` has it; without, there is none. The address is a host and a port then,
   * and clients use the Promise forms only.
   */
  tls?: TlsOptions | undefined
  /** Whose start method the server is started by; the program's if not given. */
  context?: BaseContext | null
  /** Milliseconds that the server may take to end by itself at `shutdown`; 1,000 if not given. */
  shutdownTimeout?: number
}

/** What is said of a type when it is registered. */
export interface RegisterOptions {
  /** The class of its proxies; one is made of what may be called if not given. */
  proxytype?: ProxyType | null
  /** The methods that may be called; the proxies' class's, or all public ones, if not given. */
  exposed?: readonly string[] | null
  /** For methods that return something to be shared: of which type; the proxies' class's if not given. */
  methodToTypeid?: Readonly<Record<string, string>> | null
  /** Whether managers get methods to create one; true if not given. */
  createMethod?: boolean
}

/** What a manager is doing. Mirrors `managers.State`. */
export const State = { INITIAL: 0, STARTED: 1, SHUTDOWN: 2 } as const

type AnyCallable = (...args: any[]) => unknown
type AnyClass = abstract new (...args: any[]) => unknown

/** The methods of a type that a proxy has: those whose names do not begin with `_`. */
type PublicCalls<T> = {
  [K in keyof T as K extends `_${string}` | symbol | number
    ? never
    : T[K] extends (...args: any[]) => unknown
      ? K
      : never]: T[K]
}

/** A proxy for an object of this type. */
export type Proxied<T> = BaseProxy & Both<PublicCalls<T>>

/** What a callable makes, as a proxy. */
type MadeBy<C, P> = P extends abstract new (
  ...args: any[]
) => infer I
  ? I
  : C extends abstract new (
        ...args: any[]
      ) => infer I
    ? Proxied<I>
    : C extends (...args: any[]) => infer R
      ? Proxied<Awaited<R>>
      : any

type ParametersOf<C> = C extends abstract new (
  ...args: infer A
) => unknown
  ? A
  : C extends (...args: infer A) => unknown
    ? A
    : any[]

/** The methods that managers get for a type: `manager.Maths()` and `manager.MathsSync()`. */
export type Creators<Id extends string, C, P = null> = {
  [K in Id]: (...args: ParametersOf<C>) => Promise<MadeBy<C, P>>
} & { [K in `${Id}Sync`]: (...args: ParametersOf<C>) => MadeBy<C, P> }

interface Own {
  readonly types: Record<string, Registered | 'builtin'>
  readonly proxytypes: Record<string, ProxyType | null>
}

const registries = new WeakMap<object, Own>()

/** What a class of managers knows; a subclass begins with what its parent knew then. */
const registryOf = (type: object): Own => {
  const known = registries.get(type)
  if (known !== undefined) return known
  const above = Object.getPrototypeOf(type)
  const base =
    typeof above === 'function' && above !== Function.prototype ? registryOf(above) : undefined
  const own: Own = { types: { ...base?.types }, proxytypes: { ...base?.proxytypes } }
  for (const typeid of builtins.get(type) ?? []) own.types[typeid] = 'builtin'
  registries.set(type, own)
  return own
}

/** The same for reading: it is not fixed by that. */
const knownTo = (type: object): Own => {
  for (
    let at = type;
    typeof at === 'function' && at !== Function.prototype;
    at = Object.getPrototypeOf(at)
  ) {
    const known = builtins.has(at) ? registryOf(at) : registries.get(at)
    if (known !== undefined) return known
  }
  return { types: {}, proxytypes: {} }
}

/** Which of the package's own types a class of managers has. */
const builtins = new Map<object, readonly string[]>()

/** @internal Says which. */
export const registerBuiltin = (type: typeof BaseManager, typeids: readonly string[]): void => {
  builtins.set(type, typeids)
}

provideOwn(managerServerMain, 'managerServerMain')

/**
 * A server with objects that processes share, in a process of its own or elsewhere, and the way to it.
 *
 * A subclass says by {@link BaseManager.register} which types of objects there are. Then either `start()`
 * starts a server, or `connect()` uses one that runs already, on this machine or another; or `getServer()`
 * gives the server to be run in this process.
 *
 * A server that was started ends with the process that has started it, and by `shutdown()`, or at the end of
 * a block with `await using`.
 *
 * Mirrors `managers.BaseManager`.
 */
export class BaseManager {
  #address: Address | null
  readonly #authkey: Uint8Array
  readonly #serializer: NamedSerializer
  readonly #tls: TlsOptions | undefined
  readonly #context: BaseContext | null
  readonly #shutdownTimeout: number
  #state: 0 | 1 | 2 = State.INITIAL
  #process: Process | undefined
  #lifeline: Connection | undefined
  #finalize: Finalize<void> | undefined

  /**
   * @throws TypeError for a key that is no bytes.
   */
  constructor({
    address,
    authkey,
    serializer = 'native',
    tls,
    context,
    shutdownTimeout = 1000,
  }: ManagerOptions = {}) {
    isPickle(serializer)
    if (tls !== undefined && isPickle(serializer)) {
      throw new ValueError('managers speak over TLS in their own language only')
    }
    this.#serializer = serializer
    this.#tls = tls
    if (authkey !== undefined && authkey !== null && !(authkey instanceof Uint8Array)) {
      throw new TypeError(`authkey must be bytes, not ${show(authkey)}`)
    }
    if (typeof shutdownTimeout !== 'number' || Number.isNaN(shutdownTimeout)) {
      throw new TypeError(`shutdownTimeout must be a number, not ${show(shutdownTimeout)}`)
    }
    this.#address = address ?? null
    this.#authkey = new Uint8Array(authkey ?? authkeyOf(stateOf(currentProcess())))
    this.#context = context ?? null
    this.#shutdownTimeout = shutdownTimeout
    defineCreators(new.target)
  }

  /**
   * Makes a type of objects known to a class of managers.
   *
   * @param typeid - The name of the type, and of the method that creates one.
   * @param callable - What makes one in the server: a class or a function that can travel. Where the
   * manager only connects to a server, null.
   * @returns The class, with the type of the new methods: `const Manager = BaseManager.register(...)`.
   * @throws TypeError for what is none of these.
   *
   * Mirrors `BaseManager.register`.
   */
  static register<
    T extends abstract new (
      ...args: any[]
    ) => BaseManager,
    Id extends string,
    C extends AnyCallable | AnyClass | null = null,
    P extends ProxyType | null = null,
  >(
    this: T,
    typeid: Id,
    callable?: C,
    options?: RegisterOptions & { proxytype?: P },
  ): (new (
    ...args: ConstructorParameters<T>
  ) => InstanceType<T> & Creators<Id, C, P>) &
    Omit<T, 'prototype'> {
    const {
      proxytype,
      exposed,
      methodToTypeid,
      createMethod = true,
    } = (options ?? {}) as RegisterOptions
    if (typeof typeid !== 'string') throw new TypeError(`a typeid is a string, not ${show(typeid)}`)
    for (const given of [callable, proxytype]) {
      if (given !== undefined && given !== null && typeof given !== 'function') {
        throw new TypeError(`a function or class is wanted for ${typeid}, not ${show(given)}`)
      }
    }
    // biome-ignore lint/complexity/noThisInStatic: the class that it was called on.
    // biome-ignore lint/complexity/noUselessThisAlias: it is used several times.
    const type = this
    const { types, proxytypes } = registryOf(type)
    types[typeid] = {
      callable: (callable as AnyCallable | undefined) ?? null,
      exposed: exposed ?? proxytype?._exposed_ ?? null,
      methodToTypeid: methodToTypeid ?? proxytype?._methodToTypeid_ ?? null,
    }
    proxytypes[typeid] = proxytype ?? null
    if (createMethod) defineCreator(type.prototype as object, typeid)
    return type as never
  }

  /** Where the server listens; null before that is known. */
  get address(): Address | null {
    return this.#address
  }

  /**
   * Starts the server in a process of its own, and waits until it serves.
   *
   * @param options - `initializer` is called in the server first, with `initargs`.
   * @throws TypeError for an initializer that is no function; ProcessError when it was started, or shut
   * down, before; PicklingError when what was registered cannot travel; what the initializer throws; OSError
   * when the server cannot listen there.
   *
   * Mirrors `BaseManager.start`.
   */
  async start(options: StartOptions = {}): Promise<void> {
    const { reader, process_ } = this.#begin(options)
    try {
      this.#started(await reader.recv<Beginning>(), process_, reader)
    } catch (error) {
      await process_.join()
      throw this.#notStarted(error, process_)
    }
  }

  /** The same, blocking. */
  startSync(options: StartOptions = {}): void {
    const { reader, process_ } = this.#begin(options)
    try {
      this.#started(reader.recvSync<Beginning>(), process_, reader)
    } catch (error) {
      process_.joinSync()
      throw this.#notStarted(error, process_)
    }
  }

  /**
   * Uses a server that runs already.
   *
   * @throws AuthenticationError when one of the two does not hold the key of the other; OSError when
   * nobody listens at the address.
   *
   * Mirrors `BaseManager.connect`.
   */
  async connect(): Promise<void> {
    const before = this.#knownSecret()
    if (before !== undefined) (await this.#newConnection()).close()
    const peer = this.#connecting()
    try {
      await peer.connect()
      await this.#asked(peer, 'dummy', [])
    } catch (error) {
      remember(peer.address, before)
      throw error
    }
    this.#state = State.STARTED
  }

  /** The same, blocking. */
  connectSync(): void {
    const before = this.#knownSecret()
    if (this.#tls !== undefined) throw onlyPromises()
    if (before !== undefined) ClientSync(this.#addressToConnect(), this.#clientOptions).close()
    const peer = this.#connecting()
    try {
      peer.connectSync()
      resultOf(peer.requestSync('', 'dummy', [], undefined))
    } catch (error) {
      remember(peer.address, before)
      throw error
    }
    this.#state = State.STARTED
  }

  /**
   * A server with this manager's types, to be run in this process by `serveForever()`.
   *
   * @throws ProcessError when the manager was started, or shut down, before; OSError when it cannot listen.
   *
   * Mirrors `BaseManager.get_server`.
   */
  getServer(): Server {
    this.#checkInitial()
    const { types } = knownTo(this.constructor)
    const server = serverOf(this.serverKind(), {
      types,
      address: this.#address,
      authkey: this.#authkey,
      serializer: this.#serializer,
      tls: this.#tls,
    })
    this.#address = server.address
    return server
  }

  /**
   * Ends the server that was started: asks it to, and terminates it when it does not in time. May be
   * repeated.
   *
   * @throws RuntimeError when no server was started by this manager.
   *
   * Mirrors `BaseManager.shutdown`.
   */
  async shutdown(): Promise<void> {
    if (this.#tls !== undefined && this.#state === State.STARTED && this.#process?.isAlive()) {
      await this.#asked(this.#peer(), 'shutdown', []).catch(() => {})
    }
    const process_ = this.#ending()
    if (process_ === undefined) return
    await process_.join(this.#shutdownTimeout)
    if (process_.isAlive()) {
      info('manager still alive after request')
      process_.terminate()
      await process_.join(this.#shutdownTimeout)
    }
    if (process_.isAlive()) {
      process_.kill()
      await process_.join()
    }
    this.#ended()
  }

  /** The same, blocking. */
  shutdownSync(): void {
    const process_ = this.#ending()
    if (process_ === undefined) return
    process_.joinSync(this.#shutdownTimeout)
    if (process_.isAlive()) {
      info('manager still alive after request')
      process_.terminate()
      process_.joinSync(this.#shutdownTimeout)
    }
    if (process_.isAlive()) {
      process_.kill()
      process_.joinSync()
    }
    this.#ended()
  }

  /** Waits until the server's process has ended, or for so long. Mirrors `BaseManager.join`. */
  async join(options: number | null | WaitOptions = {}): Promise<void> {
    await this.#process?.join(options)
  }

  /** The same, blocking. */
  joinSync(options: number | null | TimeoutOptions = {}): void {
    this.#process?.joinSync(options)
  }

  /**
   * Makes calls that go to the server in one message, and whose results come back in one.
   *
   * @param calls - Makes calls of proxies of this manager in the Promise form, without waiting for them.
   * @returns What it returns: of an array of Promises the results, when all are there.
   * @throws What `calls` throws, and the first error of what it returns.
   */
  async batch<T>(calls: () => T): Promise<Results<T>> {
    const returned = this.#peer().batch(calls)
    return (await (Array.isArray(returned) ? Promise.all(returned) : returned)) as Results<T>
  }

  /** How many referents the server has. Mirrors `BaseManager._number_of_objects`. */
  async _numberOfObjects(): Promise<number> {
    return (await this.#asked(this.#peer(), 'number_of_objects', [])) as number
  }

  /** The referents, with how many refer to each, as text. Mirrors `BaseManager._debug_info`. */
  async _debugInfo(): Promise<string> {
    return (await this.#asked(this.#peer(), 'debug_info', [])) as string
  }

  /**
   * Asks the server itself for something, such as `get_methods`; as the reference's `dispatch`.
   *
   * @throws RemoteError for what the server does not know.
   */
  async _control(name: string, args: readonly unknown[] = []): Promise<unknown> {
    return await this.#asked(this.#peer(), name, args)
  }

  /** The same, blocking. */
  _controlSync(name: string, args: readonly unknown[] = []): unknown {
    return resultOf(this.#peer().requestSync('', name, args, undefined))
  }

  /** Creates an object of a registered type, and returns its proxy. Mirrors `BaseManager._create`. */
  async _create(typeid: string, args: readonly unknown[]): Promise<any> {
    const made = await this.#asked(this.#peer(), 'create', [typeid, ...args])
    return this.#proxy(typeid, made as [string, string[]])
  }

  /** The same, blocking. */
  _createSync(typeid: string, args: readonly unknown[]): any {
    const made = this._controlSync('create', [typeid, ...args])
    return this.#proxy(typeid, made as [string, string[]])
  }

  /** The process of the server that was started; undefined before. Mirrors `BaseManager._process`. */
  get _process(): Process | undefined {
    return this.#process
  }

  /** @internal Which server is started for it. */
  protected serverKind(): ServerKind {
    return 'usual'
  }

  /** Shuts down a server that was started, as leaving Python's `with` does. */
  [Symbol.dispose](): void {
    if (this.#process !== undefined) this.shutdownSync()
  }

  /** The same, without blocking. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process !== undefined) await this.shutdown()
  }

  /** How it looks in the console. */
  [inspect.custom](): string {
    const state = ['initial', 'started', 'shut down'][this.#state]
    return `<${this.constructor.name} ${state}${this.#address === null ? '' : ` at ${show(this.#address)}`}>`
  }

  get #secret(): Secret {
    return { authkey: this.#authkey, serializer: this.#serializer, tls: this.#tls }
  }

  #checkInitial(): void {
    if (this.#state === State.STARTED) throw new ProcessError('Already started server')
    if (this.#state === State.SHUTDOWN) throw new ProcessError('Manager has shut down')
  }

  #begin({ initializer = null, initargs = [] }: StartOptions): {
    reader: Connection
    process_: Process
  } {
    this.#checkInitial()
    if (initializer !== null && typeof initializer !== 'function') {
      throw new TypeError('initializer must be a callable')
    }
    const { types } = knownTo(this.constructor)
    const [reader, writer] = Pipe({ duplex: false })
    const kind = this.serverKind()
    const task = {
      kind,
      types,
      address: this.#address,
      authkey: this.#authkey,
      serializer: this.#serializer,
      tls: this.#tls,
      initializer,
      initargs: [...initargs],
    }
    const type = this.#context?.Process ?? Process
    const process_ = new type({ target: managerServerMain, args: [writer, task], daemon: true })
    process_.name = process_.name.replace(/^[^-]*/, this.constructor.name)
    try {
      process_.start()
    } catch (error) {
      reader.close()
      throw error
    } finally {
      writer.close()
    }
    return { reader, process_ }
  }

  #started(beginning: Beginning, process_: Process, reader: Connection): void {
    if ('error' in beginning) throw beginning.error
    this.#address = beginning.address
    this.#process = process_
    this.#lifeline = reader
    this.#state = State.STARTED
    remember(this.#address, this.#secret)
    // Also when nobody holds the manager any more: its proxies may still be there, so only at the end.
    this.#finalize = new Finalize(null, () => this.shutdownSync(), { exitpriority: 0 })
  }

  #notStarted(error: unknown, { exitcode }: Process): unknown {
    if (!(error instanceof EOFError)) return error
    return new ProcessError(
      `the manager's server ended before it served, with exit code ${exitcode}`,
      {
        cause: error,
      },
    )
  }

  #addressToConnect(): Address {
    if (this.#address === null) throw new ProcessError('there is no address to connect to')
    return this.#address
  }

  async #newConnection(): Promise<Connection> {
    const address = this.#addressToConnect()
    if (this.#tls === undefined) return await Client(address, this.#clientOptions)
    return await connectThrough(address, this.#authkey, this.#tls)
  }

  get #clientOptions(): { authkey: Uint8Array } {
    return { authkey: this.#authkey }
  }

  /**
   * What this process talks to the server with already, if it does: that there is a connection does not
   * say that this manager holds the key.
   */
  #knownSecret(): Secret | undefined {
    return this.#address === null ? undefined : ownSecretOf(this.#address)
  }

  #connecting(): Peer {
    const address = this.#addressToConnect()
    remember(address, this.#secret)
    return peerAt(address)
  }

  #peer(): Peer {
    if (this.#state !== State.STARTED) {
      throw new ProcessError(
        this.#state === State.SHUTDOWN ? 'Manager has shut down' : 'server not yet started',
      )
    }
    return peerAt(this.#address!)
  }

  #asked(peer: Peer, name: string, args: readonly unknown[]): Promise<unknown> {
    return new Promise((resolve, reject) => {
      peer.request('', name, args, undefined, {
        settle(kind, result, stack) {
          if (kind === RETURN) resolve(result)
          else reject(errorOf(kind, result, stack))
        },
        fail: reject,
      })
    })
  }

  #proxy(typeid: string, [ident, exposed]: [string, string[]]): BaseProxy {
    const token = new Token(typeid, this.#address!, ident)
    return proxyFor(token, { exposed, types: this.#typesOf, counted: true })
  }

  readonly #typesOf = (typeid: string): ProxyType | undefined =>
    knownTo(this.constructor).proxytypes[typeid] ?? undefined

  /** Asks the server to end; the process to wait for. */
  #ending(): Process | undefined {
    if (this.#process === undefined) {
      if (this.#state === State.SHUTDOWN) return undefined
      throw new RuntimeError('shutdown() is for the manager that has started the server')
    }
    if (this.#state === State.SHUTDOWN) return undefined
    this.#state = State.SHUTDOWN
    this.#finalize?.cancel()
    info('sending shutdown message to manager')
    try {
      const peer = peerAt(this.#address!)
      if (this.#process.isAlive() && peer.blocks)
        resultOf(peer.requestSync('', 'shutdown', [], undefined))
      peer.close()
    } catch {
      // It is gone, or does not answer: the process says which.
    }
    return this.#process
  }

  #ended(): void {
    this.#lifeline?.close()
  }
}

/** What the results of a batch are. */
export type Results<T> = T extends readonly unknown[]
  ? { -readonly [K in keyof T]: Awaited<T[K]> }
  : Awaited<T>

/** How a manager's server is started. */
export interface StartOptions {
  /** Called in the server before it serves: any function that can travel. */
  initializer?: ((...args: any[]) => unknown) | null
  /** The initializer's arguments. */
  initargs?: Iterable<unknown>
}

const resultOf = ([, kind, result, stack]: Reply): unknown => {
  if (kind !== RETURN) throw errorOf(kind, result, stack)
  return result
}

/** Managers get `Maths()` and `MathsSync()` for a type `Maths`. */
const defineCreator = (prototype: object, typeid: string): void => {
  const define = (name: string, value: unknown): void => {
    if (Object.hasOwn(prototype, name)) return
    Object.defineProperty(prototype, name, { value, configurable: true, writable: true })
    Object.defineProperty(value, 'name', { value: name })
  }
  define(typeid, function (this: BaseManager, ...args: unknown[]) {
    return this._create(typeid, args)
  })
  define(`${typeid}Sync`, function (this: BaseManager, ...args: unknown[]) {
    return this._createSync(typeid, args)
  })
}

/** The package's own types get their methods when the first manager of a class is made. */
const defineCreators = (type: Function): void => {
  for (let at = type; at !== Function.prototype && at !== null; at = Object.getPrototypeOf(at)) {
    const own = builtins.has(at) ? registryOf(at) : registries.get(at)
    if (own === undefined) continue
    for (const [typeid, known] of Object.entries(own.types)) {
      if (known === 'builtin' && !NOT_CREATED.has(typeid))
        defineCreator(at.prototype as object, typeid)
    }
  }
}

/** Types of which the server alone makes objects. */
const NOT_CREATED = new Set(['Iterator', 'AsyncResult'])
