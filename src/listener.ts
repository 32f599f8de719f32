/**
 * Listeners: where other programs, of Node or of Python, can connect to this one.
 * @module
 */
import { statSync, unlinkSync } from 'node:fs'
import { inspect } from 'node:util'
import {
  type Address,
  addressFrom,
  addressType,
  arbitraryAddress,
  checkedFamily,
  defaultFamily,
  type Family,
  isAbstract,
  resolvedSync,
  showAddress,
  targetOf,
} from './address.js'
import { keyOf } from './challenge.js'
import type { Connection } from './connection.js'
import { OSError, ValueError } from './errors.js'
import { Finalize } from './finalize.js'
import { subDebug } from './logger.js'
import { native } from './native.js'
import { fileError } from './native-status.js'
import { acceptSync, Reception } from './reception.js'
import { isPickle, type Serializer } from './serializer.js'
import {
  checkedWait,
  FOREVER,
  milliseconds,
  show,
  type TimeoutOptions,
  type WaitOptions,
} from './waiting.js'

/** How a {@link Listener} is made. */
export interface ListenerOptions {
  /** The kind of socket; as the address looks if not given, and {@link defaultFamily} without one. */
  family?: Family | null | undefined
  /** How many who have connected may wait to be accepted; 1 if not given. */
  backlog?: number | undefined
  /**
   * The key that both ends must prove to hold. Connections are trusted then, and are not without: objects
   * that come over them may hold data, and neither functions nor classes.
   */
  authkey?: Uint8Array | null | undefined
  /** What objects are on the way: `native` if not given, or `pickle`, for clients of Python's. */
  serializer?: Serializer | undefined
  /**
   * Who may connect to a Unix socket, as permissions of its file, such as 0o660; its owner alone if not
   * given.
   */
  mode?: number | undefined
  /** Milliseconds that who has connected may take to prove that he holds the key; 10,000 if not given. */
  handshakeTimeout?: number | undefined
}

const HANDSHAKE_TIMEOUT = 10_000

/** The file of a Unix socket, as long as it is ours to remove. */
class SocketFile {
  readonly #path: string | Uint8Array
  readonly #owner = process.pid
  readonly #identity: string

  constructor(path: string | Uint8Array) {
    this.#path = path
    this.#identity = identityOf(path)
  }

  /** Removes it, unless it has become another's; a copy of this process leaves it alone. */
  remove(): void {
    if (process.pid !== this.#owner) return
    if (identityOf(this.#path) !== this.#identity) return
    try {
      unlinkSync(pathOf(this.#path))
    } catch (error) {
      if ((error as { code?: string }).code !== 'ENOENT') throw error
    }
  }
}

const pathOf = (path: string | Uint8Array): string | Buffer =>
  typeof path === 'string' ? path : Buffer.from(path)

const identityOf = (path: string | Uint8Array): string => {
  const found = statSync(pathOf(path), { throwIfNoEntry: false, bigint: true })
  return found === undefined ? '' : `${found.dev} ${found.ino}`
}

/** What to do about a listener that goes, by itself or not. */
const leave = (reception: Reception, file: SocketFile | undefined): void => {
  try {
    reception.close()
  } finally {
    file?.remove()
  }
}

/**
 * A socket at which others connect, over TCP or on this machine, with `Client`; CPython's will do.
 *
 * The socket's file is removed when it is closed, and when the process ends. A listener closes itself when
 * collected, but `close()` or `using` are sooner.
 *
 * Mirrors `multiprocessing.connection.Listener`.
 */
export class Listener {
  readonly #reception: Reception
  readonly #address: Address
  readonly #finalize: Finalize
  #lastAccepted: Address | null = null

  /**
   * Listens from now on. A host's name is looked up, which may block.
   *
   * @param address - Where; an arbitrary address if not given, null or empty.
   * @throws TypeError for an authkey that is not bytes, and for an address that does not fit the family;
   * ValueError for a family or serializer that there is not, and for what is no address; OSError when the address cannot
   * be had, such as `EADDRINUSE`.
   */
  constructor(address?: Address | ListenerOptions | null, options?: ListenerOptions) {
    const [at, given] = argumentsOf(address, options)
    const { authkey, backlog = 1, mode = -1, handshakeTimeout = HANDSHAKE_TIMEOUT } = given
    const serializer = isPickle(given.serializer) ? 'pickle' : 'native'
    const asked = given.family ?? (at === undefined ? defaultFamily : addressType(at))
    const family = checkedFamily(asked)
    const key = keyOf(authkey)
    if (!Number.isInteger(backlog))
      throw new TypeError(`backlog must be a whole number, not ${show(backlog)}`)
    if (!Number.isInteger(mode) || mode > 0o777)
      throw new TypeError(`mode must be permissions such as 0o660, not ${show(mode)}`)
    const patience = milliseconds(handshakeTimeout)
    const wanted = at ?? arbitraryAddress(family)
    const target = resolvedSync(targetOf(wanted, family))
    const length = Math.min(Math.max(backlog, 0), 2 ** 31 - 1)
    const fd = native.openListener(target, length, mode)
    if (fd < 0) throw fileError(fd, 'bind', showAddress(wanted))
    const reception = new Reception(fd, {
      authkey: key,
      patience: patience === FOREVER ? 2 ** 31 : patience,
      serializer,
    })
    this.#reception = reception
    this.#address = addressFrom(native.addressOfSocket(fd))
    const inFileSystem = family === 'AF_UNIX' && !isAbstract(this.#address)
    const file = inFileSystem ? new SocketFile(this.#address as string) : undefined
    this.#finalize = new Finalize(this, leave, { args: [reception, file], exitpriority: 0 })
    subDebug('listener created with address=%s', showAddress(this.#address))
  }

  /** Where it listens: with the port, if it was any; the host as its IP address. */
  get address(): Address {
    return this.#address
  }

  /**
   * Where the connection came from that was accepted last, or null. A Unix socket that connects has no
   * name: the empty string.
   */
  get lastAccepted(): Address | null {
    return this.#lastAccepted
  }

  /** Whether it is closed. */
  get closed(): boolean {
    return !this.#finalize.stillActive()
  }

  /**
   * The number of the descriptor. It still belongs to the listener.
   *
   * @throws OSError "listener is closed".
   */
  fileno(): number {
    return this.#open().fd
  }

  /**
   * Waits for somebody to connect, and with an authkey, to prove to hold it, as this end does. Those who
   * do not in time, or leave before, are not mentioned; meanwhile others may.
   *
   * @throws AuthenticationError when somebody tried and failed; what was accepted is closed then, and the
   * next call waits for the next. OSError "listener is closed", also when that happens during the wait;
   * TimeoutError; the signal's reason.
   */
  async accept(options: WaitOptions = {}): Promise<Connection> {
    const reception = this.#open()
    checkedWait(options)
    const { connection, from } = await reception.accept(this, options)
    this.#lastAccepted = from
    return connection
  }

  /** The same, blocking. */
  acceptSync({ timeout }: TimeoutOptions = {}): Connection {
    const reception = this.#open()
    const { connection, from } = acceptSync(reception, milliseconds(timeout))
    this.#lastAccepted = from
    return connection
  }

  /** Listens no more. Connections that were accepted stay as they are; may be repeated. */
  close(): void {
    this.#finalize.call()
  }

  /** The same as {@link Listener.close}, for `using`. */
  [Symbol.dispose](): void {
    this.close()
  }

  /** How it looks in the console. */
  [inspect.custom](): string {
    return `<Listener ${showAddress(this.#address)}${this.closed ? ' closed' : ''}>`
  }

  /** @internal */
  get reception(): Reception {
    return this.#open()
  }

  #open(): Reception {
    if (this.closed) throw new OSError('listener is closed')
    return this.#reception
  }
}

/** An address may be left out, and is then chosen; so is an empty one. */
const argumentsOf = (
  address: Address | ListenerOptions | null | undefined,
  options: ListenerOptions | undefined,
): [Address | undefined, ListenerOptions] => {
  if (address === undefined || address === null || address === '') return [undefined, options ?? {}]
  if (typeof address === 'string' || Array.isArray(address) || address instanceof Uint8Array)
    return [address as Address, options ?? {}]
  if (typeof address === 'object' && options === undefined)
    return [undefined, address as ListenerOptions]
  throw new ValueError(`address type of ${show(address)} unrecognized`)
}
