/**
 * What a manager's server and its clients say to one another, when both are of this package.
 *
 * A client sends *requests*, each an array:
 *
 * | Element | What |
 * |---|---|
 * | 0 | the request's number, from 1 on; 0 for one that is not answered |
 * | 1 | the identity of the referent; an empty string for the server itself |
 * | 2 | the method's name |
 * | 3 | its arguments |
 *
 * and the server *replies*, in whatever order the calls are done:
 *
 * | Element | What |
 * |---|---|
 * | 0 | the request's number |
 * | 1 | the kind, one of those below |
 * | 2 | what it brings |
 * | 3 | for an error, its stack in the server |
 *
 * Requests and replies are messages of the package's codec, each with its length in front.
 * @module
 */
import type { Address } from '../address.js'
import { native } from '../native.js'

/** What the method returned. */
export const RETURN = 0
/** What the method threw. */
export const ERROR = 1
/** The call could not be made: why, as text. */
export const TRACEBACK = 2
/** What the method returned cannot travel: why, as text. */
export const UNSERIALIZABLE = 3
/** The method returned something new to be shared: `[exposed, token]`. */
export const PROXY = 4

/** One of the kinds. */
export type ReplyKind = 0 | 1 | 2 | 3 | 4

/** A request, as it travels. */
export type Request = readonly [
  number: number,
  ident: string,
  method: string,
  args: readonly unknown[],
]

/** A reply, as it travels. */
export type Reply = readonly [number: number, kind: ReplyKind, result: unknown, stack?: string]

/** Which referent of which server, and of which type. Mirrors `managers.Token`. */
export class Token {
  /** The name under which its type was registered. */
  typeid: string
  /** Where its server listens. */
  address: Address
  /** Which of the server's referents. */
  id: string

  constructor(typeid: string, address: Address, id: string) {
    this.typeid = typeid
    this.address = address
    this.id = id
  }

  /** As the reference shows it. */
  toString(): string {
    return `Token(typeid='${this.typeid}', address=${JSON.stringify(this.address)}, id='${this.id}')`
  }
}

/** What a proxy of a type may call, and what of that returns something to be shared. */
export interface TypeRules {
  /** The names of the methods; null for all public ones of the referent. */
  readonly exposed: readonly string[] | null
  /** For methods whose result becomes a referent: under which type. */
  readonly methodToTypeid: Readonly<Record<string, string>> | null
}

const PLAIN = 1
const SHORT_ARRAY = 0xa0
const UINT8 = 0xc6
const INT8 = 0xc7
const INT16 = 0xc8
const INT32 = 0xc9

/** Where the graph of a message begins; see `codec/format.ts`. */
const graphAt = (bytes: Uint8Array, start: number, end: number): number | undefined => {
  if (bytes[start] === PLAIN) return start + 1
  try {
    const layout = native.layOutFrame(bytes.subarray(start, end), end - start)
    return typeof layout === 'number' ? undefined : start + layout[0]!
  } catch {
    return undefined
  }
}

/** The number of a request or reply that cannot be rebuilt as a whole, if it can be found. */
export const numberIn = (bytes: Uint8Array, start: number, end: number): number | undefined => {
  const graph = graphAt(bytes, start, end)
  if (graph === undefined || graph + 7 > end) return undefined
  if ((bytes[graph + 1]! & 0xf0) !== SHORT_ARRAY) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset + graph + 2, 5)
  const tag = view.getUint8(0)
  if (tag < 0x80) return tag
  if (tag === UINT8) return view.getUint8(1)
  if (tag === INT8) return view.getInt8(1)
  if (tag === INT16) return view.getInt16(1, true)
  return tag === INT32 ? view.getInt32(1, true) : undefined
}
