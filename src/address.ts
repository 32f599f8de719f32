/**
 * Addresses that listeners listen at and clients connect to.
 * @module
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { resolve } from 'node:path'
import { OSError, ValueError } from './errors.js'
import { Finalize } from './finalize.js'
import { native } from './native.js'
import { getTempDir } from './temp-dir.js'
import { endEarly, show, type WaitOptions } from './waiting.js'

/** A kind of socket: TCP over IPv4 or IPv6, or one of this machine. */
export type Family = 'AF_INET' | 'AF_INET6' | 'AF_UNIX'

/**
 * The address of a TCP socket: a host name or IP address, a port (0 for any that is free), and for IPv6
 * flow information and scope, if they matter. As in the reference, a name stands for an IPv4 address,
 * unless the family is given; no name at all is every address of this machine.
 */
export type InetAddress = readonly [host: string, port: number, flowinfo?: number, scope?: number]

/**
 * An address: of a TCP socket, or the path of a Unix socket. One that begins with a NUL is not in the file
 * system, but a name of Linux's own.
 */
export type Address = InetAddress | string | Uint8Array

/** An address as the engine takes it. */
export interface SocketAddress {
  path?: Buffer
  host?: string
  port?: number
  flowinfo?: number
  scope?: number
}

/**
 * The families that there are.
 *
 * Mirrors `multiprocessing.connection.families`.
 */
export const families: readonly Family[] = ['AF_INET', 'AF_UNIX']

/**
 * The family of a {@link Listener} that is given neither family nor address.
 *
 * Mirrors `multiprocessing.connection.default_family`.
 */
export const defaultFamily: Family = process.platform === 'win32' ? 'AF_INET' : 'AF_UNIX'

/** The longest path that a Unix socket may have, in bytes. */
const LONGEST_PATH = process.platform === 'linux' ? 107 : 103

/** A family, or what is wrong with it. */
export const checkedFamily = (family: unknown): Family => {
  if (family === 'AF_INET' || family === 'AF_INET6' || family === 'AF_UNIX') return family
  const name = typeof family === 'string' ? family : show(family)
  throw new ValueError(`Family ${name} is not recognized.`)
}

/** Whether an address is a name in Linux's abstract namespace. */
export const isAbstract = (address: Address): boolean =>
  typeof address === 'string' ? address.startsWith('\0') : address[0] === 0

/**
 * The family of an address, from how it looks.
 *
 * @returns 'AF_INET' for a host and a port, 'AF_INET6' where the host is an IPv6 address, 'AF_PIPE' for a
 * string that begins with two backslashes, 'AF_UNIX' for any other and for bytes that begin with a NUL.
 * @throws ValueError for what is no address.
 *
 * Mirrors `multiprocessing.connection.address_type`.
 */
export const addressType = (address: unknown): Family | 'AF_PIPE' => {
  if (Array.isArray(address)) return String(address[0]).includes(':') ? 'AF_INET6' : 'AF_INET'
  if (typeof address === 'string') return address.startsWith('\\\\') ? 'AF_PIPE' : 'AF_UNIX'
  if (address instanceof Uint8Array && address[0] === 0) return 'AF_UNIX'
  throw new ValueError(`address type of ${show(address)} unrecognized`)
}

let made = 0
let shortDirectory: string | undefined

/** A directory for sockets whose names would be too long in the usual one. */
const shortTempDir = (): string => {
  if (shortDirectory === undefined) {
    const directory = mkdtempSync('/tmp/pymp-')
    shortDirectory = directory
    const remove = (): void => rmSync(directory, { recursive: true, force: true })
    new Finalize(null, remove, { exitpriority: -100 })
  }
  return shortDirectory
}

/**
 * An address that nobody listens at: a free port of this machine, or a new path in a directory that only
 * this user can enter, and that goes with the process.
 *
 * @throws ValueError for a family that there is not.
 *
 * Mirrors `multiprocessing.connection.arbitrary_address`.
 */
export const arbitraryAddress = (family: string): InetAddress | string => {
  if (family === 'AF_INET') return ['localhost', 0]
  if (family === 'AF_INET6') return ['::1', 0]
  if (family !== 'AF_UNIX') throw new ValueError('unrecognized family')
  const name = `listener-${process.pid}-${made++}`
  const path = resolve(getTempDir(), name)
  return Buffer.byteLength(path) > LONGEST_PATH ? resolve(shortTempDir(), name) : path
}

/** An address as it appears in an error message. */
export const showAddress = (address: Address): string => {
  if (typeof address === 'string') return JSON.stringify(address)
  if (address instanceof Uint8Array) return JSON.stringify(Buffer.from(address).toString('latin1'))
  const [host, port] = address
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/** What the engine tells of an address. */
export const addressFrom = ({ path, host, port, flowinfo, scope }: SocketAddress): Address => {
  if (path !== undefined) {
    const text = path.toString()
    return Buffer.from(text).equals(path) ? text : path
  }
  return flowinfo === undefined ? [host!, port!] : [host!, port!, flowinfo, scope ?? 0]
}

/** What is needed to reach an address: perhaps the address of a host has to be found first. */
export interface Target {
  readonly address: SocketAddress
  /** A name to look up, and for which version of IP. */
  readonly name: { readonly host: string; readonly version: 4 | 6 } | undefined
}

/** Looks at an address, and says what is wrong with it. */
export const targetOf = (address: Address, family: Family): Target => {
  if (family === 'AF_UNIX') return { address: { path: checkedPath(address) }, name: undefined }
  if (!Array.isArray(address)) {
    throw new TypeError(`the address of a TCP socket is [host, port], not ${show(address)}`)
  }
  const [host, port, flowinfo = 0, scope = 0] = address as unknown as InetAddress
  if (typeof host !== 'string') throw new TypeError(`a host is a string, not ${show(host)}`)
  if (!Number.isInteger(port)) throw new TypeError(`a port is a whole number, not ${show(port)}`)
  if (port < 0 || port > 65535) throw new ValueError(`a port is 0 to 65535, not ${port}`)
  const version = family === 'AF_INET6' ? 6 : 4
  const literal = literalOf(host, version)
  const found = { host: literal ?? '', port, flowinfo, scope }
  return { address: found, name: literal === undefined ? { host, version } : undefined }
}

const literalOf = (host: string, version: 4 | 6): string | undefined => {
  if (host === '') return version === 6 ? '::' : '0.0.0.0'
  const isLiteral = version === 6 ? /^[\da-f:]*:[\da-f:.]*$/i : /^\d+\.\d+\.\d+\.\d+$/
  return isLiteral.test(host) ? host : undefined
}

const checkedPath = (address: Address): Buffer => {
  if (typeof address !== 'string' && !(address instanceof Uint8Array)) {
    throw new TypeError(`the address of a Unix socket is a string, not ${show(address)}`)
  }
  const path = Buffer.from(address as string)
  if (path.length > LONGEST_PATH + (path[0] === 0 ? 1 : 0)) {
    throw new OSError('AF_UNIX path too long', { code: 'ENAMETOOLONG' })
  }
  if (path.length === 0 || path.includes(0, 1)) {
    throw new ValueError('the path of a Unix socket is not empty, and has no NUL inside')
  }
  return path
}

const notFound = (host: string, cause: unknown): OSError => {
  const error = new OSError(`no address for the host ${show(host)}: ${(cause as Error).message}`, {
    code: (cause as { code?: string }).code === 'EAI_AGAIN' ? 'EAI_AGAIN' : 'ENOTFOUND',
    syscall: 'getaddrinfo',
  })
  error.cause = cause
  return error
}

/** The address with the host's own, blocking while it is asked for. */
export const resolvedSync = ({ address, name }: Target): SocketAddress => {
  if (name === undefined) return address
  let found: string[]
  try {
    found = native.resolveHost(name.host, name.version)
  } catch (error) {
    throw notFound(name.host, error)
  }
  if (found.length === 0) throw notFound(name.host, new Error(`it has none of IPv${name.version}`))
  return { ...address, host: found[0]! }
}

/** The same, without blocking. */
export const resolved = (
  { address, name }: Target,
  options: WaitOptions,
): SocketAddress | Promise<SocketAddress> => {
  if (name === undefined) return address
  const { lookup } = createRequire(import.meta.url)('node:dns') as typeof import('node:dns')
  return new Promise((settle, fail) => {
    const stop = endEarly(options, fail)
    lookup(name.host, { family: name.version }, (error, host) => {
      stop()
      if (error) fail(notFound(name.host, error))
      else settle({ ...address, host })
    })
  })
}
