/**
 * The servers that this thread is a client of, each over one connection.
 * @module
 */
import type { Address } from '../address.js'
import { registerAfterFork } from '../after-fork.js'
import { authkeyOf, currentProcess, stateOf } from '../process-state.js'
import type { NamedSerializer } from '../serializer.js'
import type { Reply, ReplyKind } from './protocol.js'
import type { TlsOptions } from './tls.js'

/** Takes what came of a request: the reply, or why there is none. */
export interface Handler {
  settle(kind: ReplyKind, result: unknown, stack?: string): void
  fail(error: unknown): void
}

/** What is known of a server beside its address. */
export interface Secret {
  readonly authkey: Uint8Array
  /** What it and its clients say to one another; `native` if not given. */
  readonly serializer?: NamedSerializer
  /** What TLS needs, where it is used. */
  readonly tls?: TlsOptions | undefined
}

/** A server, as its client sees it. */
export interface Peer {
  readonly address: Address
  /** The process that it is a client for. */
  readonly owner: number
  /** Whether it is of no use any more. */
  readonly gone: boolean
  /** Whether it was that of the process of which this one is a copy. */
  readonly abandoned: boolean
  /** Asks for something; the reply goes to the handler. What is returned says which request that was. */
  request(
    ident: string,
    method: string,
    args: readonly unknown[],
    kwds: object | undefined,
    handler: Handler,
  ): number
  /** The same, blocking until there is a reply. */
  requestSync(
    ident: string,
    method: string,
    args: readonly unknown[],
    kwds: object | undefined,
  ): Reply
  /** Says something that is not answered, if there is anybody to hear it. */
  tell(method: string, args: readonly unknown[], now?: boolean): void
  /** Says that a proxy has come here, so that its referent is kept for it; connects for that if need be. */
  arrive(ident: string, ticket: string): void
  /** Requests made by `run` go in one message, and their replies come in one. */
  batch<T>(run: () => T): T
  /** Whether Sync forms can be used. */
  readonly blocks: boolean
  /** Connects, if that has not been done. */
  connect(): Promise<void>
  /** The same, blocking. */
  connectSync(): unknown
  /** Closes the connection; what it refers to there is let go of, and what it holds given back. */
  close(): void
  /** It is another process's. */
  abandon(): void
}

/** An address, as a key. */
export const addressKey = (address: Address): string =>
  address instanceof Uint8Array ? Buffer.from(address).toString('latin1') : JSON.stringify(address)

const secrets = new Map<string, Secret>()
const peers = new Map<string, Peer>()
let following = false

/** What it takes to talk to a server, from now on. */
export const remember = (address: Address, secret: Secret | undefined): void => {
  if (secret === undefined) secrets.delete(addressKey(address))
  else secrets.set(addressKey(address), secret)
}

/** The key for a server: the one that was remembered, or this process's own. */
export const secretOf = (address: Address): Secret =>
  secrets.get(addressKey(address)) ?? {
    authkey: new Uint8Array(authkeyOf(stateOf(currentProcess()))),
  }

/** The key, if it is one that only this server has. */
export const ownSecretOf = (address: Address): Secret | undefined =>
  secrets.get(addressKey(address))

/** The server at an address; whether it is there the first call says. */
export const peerAt = (address: Address): Peer => {
  const key = addressKey(address)
  let peer = peers.get(key)
  if (peer === undefined) {
    peer = makePeer(address)
    peers.set(key, peer)
    if (!following) registerAfterFork(peers, forgetAll)
    following = true
  }
  return peer
}

/** A server is gone: who connects to its address again has a new one. */
export const forget = (peer: Peer): void => {
  const key = addressKey(peer.address)
  if (peers.get(key) === peer) peers.delete(key)
}

let makers: Readonly<Record<NamedSerializer, (address: Address) => Peer>>

/** Says how the servers are talked to, by serializer. */
export const provideMakers = (given: typeof makers): void => {
  makers = given
}

const makePeer = (address: Address): Peer =>
  makers[secretOf(address).serializer ?? 'native'](address)

/** The connections are those of the process that this one is a copy of. */
const forgetAll = (): void => {
  for (const [key, peer] of peers) {
    if (peer.owner === process.pid) continue
    peer.abandon()
    peers.delete(key)
  }
}
