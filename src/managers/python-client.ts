/**
 * A client that speaks as CPython's do, as the server has it: one connection, of one of its threads.
 * @module
 */
import type { Connection } from '../connection.js'
import { loads, Tuple } from '../pickle.js'
import type { Channel, ChannelOwner } from './channel.js'
import { DictReferent } from './dict-referent.js'
import { channelOver } from './own-client.js'
import {
  ERROR,
  PROXY,
  RETURN,
  type ReplyKind,
  Token,
  TRACEBACK,
  UNSERIALIZABLE,
} from './protocol.js'
import { messageIn, pythonError, replyOf } from './python-messages.js'
import type { ClientTalk, Server } from './server.js'
import { Session } from './session.js'
import { isBuiltin } from './types.js'
import { IteratorReferent, type Step } from './values.js'

/** The names of arguments that Python's programs give by name. */
const parameters: Readonly<Record<string, readonly string[]>> = {
  get: ['block', 'timeout'],
  put: ['item', 'block', 'timeout'],
  acquire: ['blocking', 'timeout'],
  wait: ['timeout'],
  release: ['n'],
  notify: ['n'],
  shutdown: ['immediate'],
  Queue: ['maxsize'],
  JoinableQueue: ['maxsize'],
  Semaphore: ['value'],
  BoundedSemaphore: ['value'],
  Condition: ['lock'],
  Barrier: ['parties', 'action', 'timeout'],
}

/** Arguments by name at the places where they belong; where that is not known, as one last argument. */
const placed = (name: string, args: readonly unknown[], kwds: unknown): unknown[] => {
  const entries = kwds instanceof Map ? [...kwds] : Object.entries((kwds ?? {}) as object)
  if (entries.length === 0) return [...args]
  const places = parameters[name]
  if (places === undefined) return [...args, Object.fromEntries(entries)]
  const all = [...args]
  for (const [key, value] of entries) {
    const place = places.indexOf(String(key))
    if (place < 0)
      throw new TypeError(`${name}() got an unexpected keyword argument '${String(key)}'`)
    all[place] = value
  }
  return Array.from(all, (value, i) => (i in all ? value : DEFAULTS[places[i]!]))
}

const DEFAULTS: Readonly<Record<string, unknown>> = {
  block: true,
  blocking: true,
  action: null,
  item: null,
}

/** A client. */
export class PythonClient implements ClientTalk, ChannelOwner {
  readonly #server: Server
  readonly #session = new Session()
  readonly #channel: Channel
  /** Whether the connection is for referents, and not for one request to the server. */
  #accepted = false
  #busy = false
  readonly #waiting: Uint8Array[] = []

  constructor(server: Server, connection: Connection) {
    this.#server = server
    // Whether it ends in order or is killed nobody can tell: what it holds stays held, as in the reference.
    this.#session.orderly = true
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
    return this.#accepted && !this.#busy
  }

  message(_channel: Channel, bytes: Uint8Array, start: number, end: number): void {
    if (this.#busy) this.#waiting.push(bytes.slice(start, end))
    else this.#perform(bytes.subarray(start, end))
  }

  #perform(bytes: Uint8Array): void {
    this.#busy = true
    try {
      if (this.#accepted) this.#call(bytes)
      else this.#control(bytes)
    } catch (error) {
      this.#answer(TRACEBACK, error instanceof Error ? error.stack : String(error))
    }
  }

  #control(bytes: Uint8Array): void {
    const [, name, args, kwds] = messageIn(bytes, true) as [unknown, string, unknown[], unknown]
    const call = { session: this.#server.strangers }
    let given = [...args]
    if (name === 'create') {
      const [typeid, ...rest] = args
      given = [typeid, ...placed(String(typeid), rest, kwds)]
    }
    this.#server.perform(call, '', name, given, (kind, result) => {
      if (kind !== RETURN) return this.#answer(kind, result)
      if (name === 'create') {
        const [ident, exposed] = result as [string, string[]]
        return this.#answer(kind, Tuple.of<unknown>(ident, Tuple.from(exposed)))
      }
      if (name === 'accept_connection') this.#accepted = true
      this.#answer(kind, name === 'get_methods' ? Tuple.from(result as string[]) : result)
    })
  }

  #call(bytes: Uint8Array): void {
    const [ident, method, args, kwds] = messageIn(bytes, true) as [
      string,
      string,
      unknown[],
      unknown,
    ]
    const entry = this.#server.referents.get(ident)
    const object = entry?.object
    let given: unknown[]
    if (object === undefined || isBuiltin(object)) given = placed(method, args, kwds)
    else {
      // For code that knows nothing of Python: what JavaScript has for it.
      const [, , plain, named] = loads(bytes) as [string, string, unknown[], object]
      given = Object.keys(named).length > 0 ? [...plain, named] : plain
    }
    const call = { session: this.#session }
    this.#server.perform(call, ident, method, given, (kind, result) => {
      if (kind === PROXY) {
        const [exposed, [typeid, address, id]] = result as [
          string[],
          ConstructorParameters<typeof Token>,
        ]
        const token = new Token(typeid, address, id)
        return this.#answer(kind, Tuple.of<unknown>(Tuple.from(exposed), token))
      }
      if (kind !== RETURN) return this.#answer(kind, result)
      if (object instanceof IteratorReferent && method !== 'close' && !method.startsWith('#')) {
        return this.#step(result as Step)
      }
      this.#answer(kind, object instanceof DictReferent ? paired(method, result) : result)
    })
  }

  #step(step: Step): void {
    if (typeof step !== 'object') this.#answer(RETURN, step)
    else if (step.done) this.#answer(ERROR, pythonError('builtins', 'StopIteration', ''))
    else this.#answer(RETURN, step.value)
  }

  #answer(kind: ReplyKind, result: unknown): void {
    if (this.#session.ended) return
    let bytes: Uint8Array
    try {
      bytes = replyOf(kind, kind === ERROR ? errorFor(result) : result)
    } catch (error) {
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
      bytes = replyOf(kind === ERROR ? TRACEBACK : UNSERIALIZABLE, text)
    }
    this.#channel.putBytes(bytes)
    this.#channel.flush()
    this.#busy = false
    if (!this.#accepted) {
      this.close()
      return
    }
    const next = this.#waiting.shift()
    // Not at once: many may wait.
    if (next !== undefined) {
      this.#busy = true
      queueMicrotask(() => this.#perform(next))
    }
  }
}

/** Pairs are tuples in Python. */
const paired = (method: string, result: unknown): unknown => {
  if (method === 'popitem') return Tuple.from(result as unknown[])
  return method === 'items' ? (result as unknown[][]).map((pair) => Tuple.from(pair)) : result
}

/** Errors that have another class in Python than here. */
const classes: Readonly<Record<string, readonly [string, string]>> = {
  ERR_ATTRIBUTE: ['builtins', 'AttributeError'],
  ERR_SHUT_DOWN: ['queue', 'ShutDown'],
}

const errorFor = (error: unknown): unknown => {
  const { code, message } = Object(error) as { code?: unknown; message?: unknown }
  const known = typeof code === 'string' && Object.hasOwn(classes, code) ? classes[code] : undefined
  if (known !== undefined) return pythonError(known[0], known[1], String(message))
  return error instanceof Error ? error : pythonError('builtins', 'Exception', String(error))
}
