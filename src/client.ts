/**
 * Connecting to a listener, of Node or of Python.
 * @module
 */
import {
  type Address,
  addressType,
  checkedFamily,
  type Family,
  resolved,
  resolvedSync,
  type SocketAddress,
  showAddress,
  targetOf,
} from './address.js'
import { answering, converse, converseSync, delivering, keyOf, type Talk } from './challenge.js'
import { Connection, type ConnectionOptions } from './connection.js'
import { TimeoutError } from './errors.js'
import { native } from './native.js'
import { fileError, NOT_YET } from './native-status.js'
import { isPickle, type Serializer } from './serializer.js'
import {
  atOnce,
  type Clock,
  checkedWait,
  clock,
  endEarly,
  milliseconds,
  type TimeoutOptions,
  type WaitOptions,
} from './waiting.js'
import { Watcher, WRITABLE } from './watcher.js'

/** How {@link ClientSync} connects. */
export interface ClientSyncOptions extends TimeoutOptions {
  /** The kind of socket; as the address looks if not given. */
  family?: Family | null | undefined
  /**
   * The key that both ends must prove to hold. The connection is trusted then, and is not without: objects
   * that come over it may hold data, and neither functions nor classes.
   */
  authkey?: Uint8Array | null | undefined
  /** What objects are on the way: `native` if not given, or `pickle`, for a listener of Python's. */
  serializer?: Serializer | undefined
}

/** How {@link Client} connects. */
export interface ClientOptions extends ClientSyncOptions, WaitOptions {}

/** The longest pause before a full line is tried again, in milliseconds. */
const LONGEST_PAUSE = 16

function* handshake(authkey: Uint8Array): Talk {
  yield* answering(authkey)
  yield* delivering(authkey)
}

const optionsOf = (
  key: Uint8Array | undefined,
  serializer: Serializer = 'native',
): ConnectionOptions => ({ trusted: key !== undefined, serializer })

/** The rest of a time, as an option. */
const rest = (left: Clock): TimeoutOptions => {
  const time = left()
  return { timeout: time < 0 ? null : time }
}

/** Tries once: a descriptor and whether it is connected already, or nothing when the line is full. */
const attempt = (to: SocketAddress, address: Address): [number, boolean] | undefined => {
  const [fd, done] = native.connectSocket(to)
  if (fd === NOT_YET) return undefined
  if (fd! < 0) throw fileError(fd!, 'connect', showAddress(address))
  return [fd!, done === 1]
}

const finish = (fd: number, address: Address): void => {
  const status = native.finishConnect(fd)
  if (status < 0) throw fileError(status, 'connect', showAddress(address))
}

const sleepSync = (time: number): void => {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, time)
}

const connectSync = (to: SocketAddress, address: Address, left: Clock): number => {
  const slice = atOnce(left)
  for (let pause = 1; ; pause = Math.min(2 * pause, LONGEST_PAUSE)) {
    const tried = attempt(to, address)
    if (tried === undefined) {
      const time = left()
      if (time === 0) throw new TimeoutError()
      sleepSync(time < 0 ? pause : Math.min(time, pause))
      continue
    }
    const [fd, done] = tried
    if (done) return fd
    try {
      while (native.waitReady([], [fd], slice()).length === 0) {
        if (left() === 0) throw new TimeoutError()
      }
      finish(fd, address)
      return fd
    } catch (error) {
      native.closeDescriptor(fd)
      throw error
    }
  }
}

const sleep = (time: number, options: WaitOptions): Promise<void> =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      stop()
      resolve()
    }, time)
    const stop = endEarly(options, (reason) => {
      clearTimeout(timer)
      reject(reason)
    })
  })

const untilWritable = (fd: number, options: WaitOptions): Promise<void> =>
  new Promise<void>((resolve, reject) => {
    const watcher = new Watcher(fd, () => {
      stop()
      watcher.close()
      resolve()
    })
    const stop = endEarly(options, (reason) => {
      watcher.close()
      reject(reason)
    })
    watcher.want(WRITABLE)
  })

const connect = async (
  to: SocketAddress,
  address: Address,
  options: () => WaitOptions,
): Promise<number> => {
  for (let pause = 1; ; pause = Math.min(2 * pause, LONGEST_PAUSE)) {
    const tried = attempt(to, address)
    if (tried === undefined) {
      await sleep(pause, options())
      continue
    }
    const [fd, done] = tried
    if (done) return fd
    try {
      await untilWritable(fd, options())
      finish(fd, address)
      return fd
    } catch (error) {
      native.closeDescriptor(fd)
      throw error
    }
  }
}

/**
 * Connects to a listener. With an authkey, both ends prove that they hold it.
 *
 * @param address - Where the listener listens.
 * @returns The connection; it is trusted if there was a key.
 * @throws AuthenticationError when one of the two does not hold the key of the other; TypeError and
 * ValueError for wrong arguments; OSError when nobody listens there (`ECONNREFUSED`), FileNotFoundError
 * when there is no such socket; EOFError when the listener goes; TimeoutError; the signal's reason.
 *
 * Mirrors `multiprocessing.connection.Client`.
 */
export const Client = async (
  address: Address,
  { family, authkey, serializer, timeout, signal }: ClientOptions = {},
): Promise<Connection> => {
  const target = targetOf(address, checkedFamily(family ?? addressType(address)))
  const key = keyOf(authkey)
  isPickle(serializer)
  const left = clock(checkedWait({ timeout, signal }))
  const options = (): WaitOptions => ({ ...rest(left), signal })
  const fd = await connect(await resolved(target, options()), address, options)
  const connection = new Connection(fd, optionsOf(key, serializer))
  if (key === undefined) return connection
  try {
    await converse(connection, handshake(key), options())
    return connection
  } catch (error) {
    connection.close()
    throw error
  }
}

/** The same, blocking. */
export const ClientSync = (
  address: Address,
  { family, authkey, serializer, timeout }: ClientSyncOptions = {},
): Connection => {
  const target = targetOf(address, checkedFamily(family ?? addressType(address)))
  const key = keyOf(authkey)
  isPickle(serializer)
  const left = clock(milliseconds(timeout))
  const fd = connectSync(resolvedSync(target), address, left)
  const connection = new Connection(fd, optionsOf(key, serializer))
  if (key === undefined) return connection
  try {
    converseSync(connection, handshake(key), rest(left))
    return connection
  } catch (error) {
    connection.close()
    throw error
  }
}
