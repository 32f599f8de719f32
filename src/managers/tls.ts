/**
 * Managers over TLS: what is said between a server and its clients goes through a tunnel of Node's, at the
 * other end of which both find what they have without it.
 * @module
 */
import { createRequire } from 'node:module'
import type * as Net from 'node:net'
import type { Duplex } from 'node:stream'
import type * as Tls from 'node:tls'
import {
  type Address,
  addressFrom,
  addressType,
  checkedFamily,
  type InetAddress,
  resolvedSync,
  showAddress,
  targetOf,
} from '../address.js'
import { answering, converse, delivering, type Talk } from '../challenge.js'
import { Connection } from '../connection.js'
import { RuntimeError, ValueError } from '../errors.js'
import { native } from '../native.js'
import { checked, fileError } from '../native-status.js'
import { show } from '../waiting.js'

/**
 * What a manager needs for TLS, as Node's `tls` has it: the server `key` and `cert`, its clients `ca`, and
 * `servername` where the certificate is for another name than that of the address. It may have all of them.
 */
export type TlsOptions = Tls.TlsOptions & Tls.ConnectionOptions

/** They take long to load, and few need them. */
const load = <T>(name: string): T => createRequire(import.meta.url)(name) as T

/** How many may have connected and not been taken in. */
const BACKLOG = 4096

const hostAndPort = (address: Address | null): readonly [string, number] => {
  if (!Array.isArray(address)) {
    throw new ValueError(`a manager over TLS has an address [host, port], not ${show(address)}`)
  }
  const [host, port] = address as unknown as InetAddress
  return [host, port]
}

/** Two streams become one: what comes from either goes to the other, and both end together. */
const join = (one: Duplex, other: Duplex): void => {
  for (const [from, to] of [
    [one, other],
    [other, one],
  ] as const) {
    from.pipe(to)
    from.on('error', () => to.destroy())
    from.on('close', () => to.destroy())
  }
}

/** The outer end of a server's tunnel. */
export interface Tunnel {
  readonly address: Address
  close(): void
}

/** Listens, and leads all who come with TLS to the inner address. */
export const openTunnel = (
  outer: Address | null,
  inner: Address,
  options: TlsOptions,
  failed: (error: Error) => void,
): Tunnel => {
  const at = hostAndPort(outer)
  const tls = load<typeof Tls>('node:tls')
  const net = load<typeof Net>('node:net')
  // Node would look up the host first, and the address is wanted now.
  const target = resolvedSync(targetOf(at, checkedFamily(addressType(at))))
  const fd = native.openListener(target, BACKLOG, -1)
  if (fd < 0) throw fileError(fd, 'bind', showAddress(at))
  const address = addressFrom(native.addressOfSocket(fd))
  const open = new Set<Duplex>()
  const server = tls.createServer(options, (socket) => {
    const within = net.connect({ path: inner as string })
    for (const stream of [socket, within]) {
      open.add(stream)
      stream.on('close', () => open.delete(stream))
    }
    socket.setNoDelay(true)
    join(socket, within)
  })
  server.on('tlsClientError', (_error, socket) => socket.destroy())
  server.on('error', failed)
  server.listen({ fd })
  return {
    address,
    close() {
      server.close()
      for (const stream of open) stream.destroy()
    },
  }
}

function* handshake(authkey: Uint8Array): Talk {
  yield* answering(authkey)
  yield* delivering(authkey)
}

/** Connects to a server through its tunnel. */
export const connectThrough = async (
  address: Address,
  authkey: Uint8Array,
  options: TlsOptions,
): Promise<Connection> => {
  const [host, port] = hostAndPort(address)
  const tls = load<typeof Tls>('node:tls')
  const net = load<typeof Net>('node:net')
  const outer = tls.connect({ ...options, host, port })
  await new Promise<void>((resolve, reject) => {
    outer.once('secureConnect', resolve)
    outer.once('error', reject)
  })
  outer.setNoDelay(true)
  const [ours, theirs] = native.socketPair(false)
  checked(ours!, 'socketpair')
  const inner = new net.Socket({ fd: theirs!, readable: true, writable: true })
  join(outer, inner)
  const connection = new Connection(ours!, { trusted: true })
  try {
    await converse(connection, handshake(authkey), {})
  } catch (error) {
    connection.close()
    throw error
  }
  // Whether the event loop stays alive is for the calls that are under way to say.
  outer.unref()
  inner.unref()
  return connection
}

/** Why a Sync form cannot be used. */
export const onlyPromises = (): RuntimeError =>
  new RuntimeError(
    'over TLS a manager is used by the Promise forms of calls: the event loop, which a Sync form blocks, does the work',
  )
