/**
 * What CPython's managers say to one another, as pickles.
 *
 * A client sends `(ident, method, args, kwds)`, with None for the server itself, and gets `(kind, result)`.
 * A request to the server has a connection of its own, but for `accept_connection`: after that the
 * connection is for the referents, one call after the other.
 * @module
 */
import type { Address } from '../address.js'
import { dumps, Global, loads, PythonArray, PythonError, registerGlobal, Tuple } from '../pickle.js'
import {
  ERROR,
  PROXY,
  RETURN,
  type ReplyKind,
  Token,
  TRACEBACK,
  UNSERIALIZABLE,
} from './protocol.js'
import { AutoProxy, BaseProxy, proxyClass, proxyName, SentProxy } from './proxy.js'

/** The kinds of replies, by name. */
const kinds: Readonly<Record<string, ReplyKind>> = {
  '#RETURN': RETURN,
  '#ERROR': ERROR,
  '#TRACEBACK': TRACEBACK,
  '#UNSERIALIZABLE': UNSERIALIZABLE,
  '#PROXY': PROXY,
}

const names = new Map(Object.entries(kinds).map(([name, kind]) => [kind, name]))

const MODULE = 'multiprocessing.managers'

/** An address as Python has it. */
const asPython = (address: Address): unknown =>
  Array.isArray(address) ? Tuple.from(address) : address

const addressOf = (address: unknown): Address =>
  Array.isArray(address) ? ([...address] as unknown as Address) : (address as Address)

const views: Readonly<Record<string, new (buffer: ArrayBuffer) => ArrayBufferView>> = {
  b: Int8Array,
  B: Uint8Array,
  h: Int16Array,
  H: Uint16Array,
  i: Int32Array,
  I: Uint32Array,
  l: BigInt64Array,
  L: BigUint64Array,
  q: BigInt64Array,
  Q: BigUint64Array,
  f: Float32Array,
  d: Float64Array,
}

/** An array of Python's, from its bytes; what is malformed stays as it came. */
const arrayOf = (typecode: string, values: unknown): unknown => {
  const View = Object.hasOwn(views, typecode) ? views[typecode] : undefined
  if (View === undefined || !(values instanceof Uint8Array)) return values
  try {
    return new PythonArray(typecode, new View(new Uint8Array(values).buffer))
  } catch {
    return values
  }
}

let known = false

/** Says what Python's tokens and proxies are here. */
const makeKnown = (): void => {
  if (known) return
  known = true
  registerGlobal(MODULE, 'Token', {
    type: Token,
    load: () => new Token('', '', ''),
    setState(token: Token, state: [string, unknown, string]) {
      token.typeid = String(state[0])
      token.address = addressOf(state[1])
      token.id = String(state[2])
    },
    dump: ({ typeid, address, id }: Token) => ({
      how: 'new' as const,
      args: [],
      state: Tuple.of<unknown>(typeid, asPython(address), id),
    }),
  })
  // How CPython's managers send the views of dictionaries, and arrays.
  registerGlobal('builtins', 'list', { load: ([values = []]: [unknown[]?]) => [...values] })
  registerGlobal('array', 'array', {
    load: ([typecode, values]: [string, unknown]) => arrayOf(String(typecode), values),
  })
  registerGlobal(MODULE, 'RebuildProxy', {
    type: BaseProxy,
    load: ([type, token, , kwds]: [unknown, Token, string, unknown]) => {
      const exposed =
        kwds instanceof Map ? kwds.get('exposed') : (kwds as { exposed?: unknown })?.exposed
      const options = { exposed: Array.isArray(exposed) ? exposed.map(String) : undefined }
      const name = type instanceof Global && type.module === MODULE ? type.name : ''
      const Found = proxyClass(name)
      return Found === undefined ? AutoProxy(token, options) : new Found(token, options)
    },
    dump(proxy: BaseProxy) {
      const { token, exposed } = SentProxy.of(proxy)
      const name = proxyName(proxy)
      const kwds = exposed === undefined ? {} : { exposed: Tuple.from(exposed) }
      return [new Global(MODULE, name), token, 'pickle', kwds]
    },
  })
}

/** A message, as an array; in full, so that it can be sent back as it was, or as JavaScript has it. */
export const messageIn = (bytes: Uint8Array, lossless: boolean): unknown[] => {
  makeKnown()
  const message: unknown = loads(bytes, { lossless })
  if (!Array.isArray(message)) throw new TypeError('a message of a manager is a tuple')
  return [...message]
}

/** A request, as bytes. @throws PicklingError for what has no pickle. */
export const requestOf = (
  ident: string,
  method: string,
  args: readonly unknown[],
  kwds: object = {},
): Uint8Array => {
  makeKnown()
  return dumps(
    Tuple.of<unknown>(ident === '' ? null : ident, method, Tuple.from(args), { ...kwds }),
  )
}

/** A reply, as bytes. @throws PicklingError for what has no pickle. */
export const replyOf = (kind: ReplyKind, result: unknown): Uint8Array => {
  makeKnown()
  return dumps(Tuple.of<unknown>(names.get(kind), result ?? null))
}

/** The kind of a reply. */
export const kindOf = (name: unknown): ReplyKind | undefined =>
  typeof name === 'string' && Object.hasOwn(kinds, name) ? kinds[name] : undefined

/** An error as Python's class of this name. */
export const pythonError = (module: string, name: string, message: string): PythonError =>
  new PythonError(new Global(module, name), message === '' ? [] : [message], message)

/** Whether an error is Python's of this name. */
export const isPythonError = (error: unknown, name: string): boolean =>
  error instanceof PythonError && error.type.name === name
