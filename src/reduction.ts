/**
 * How objects travel, and descriptors with them. Mirrors `multiprocessing.reduction`.
 * @module
 */
import { deferReducers, registerReducer } from './codec/index.js'
import type { Connection } from './connection.js'
import { OSError, RuntimeError, TimeoutError, ValueError } from './errors.js'
import type { MessageStream } from './message-stream.js'
import { native } from './native.js'
import { checked, errorOf, NOT_YET } from './native-status.js'
import { registerNetReducers } from './net-reducers.js'
import { wait, waitSync } from './wait.js'
import {
  checkedWait,
  clock,
  descriptorNumber,
  milliseconds,
  show,
  type TimeoutOptions,
  type WaitOptions,
} from './waiting.js'

export { wait } from './wait.js'

/** Whether descriptors can be sent on this platform. */
export const HAVE_SEND_HANDLE: boolean = process.platform !== 'win32'

/**
 * Says how instances of a class travel: as what `reduce` makes of them, from which `rebuild` makes them
 * again on the other side. Both sides must have registered the class, under the same name.
 *
 * @param type - The class; instances of subclasses that are not registered travel as it too.
 * @param reduce - Makes something that can travel out of an instance.
 * @param rebuild - Makes an instance out of that.
 * @throws TypeError when one of them is no function.
 *
 * Mirrors `multiprocessing.reduction.register`.
 */
export const register = <T extends object, S>(
  type: abstract new (...args: any[]) => T,
  reduce: (instance: T) => S,
  rebuild: (state: S) => T,
): void => {
  for (const fn of [type, reduce, rebuild]) {
    if (typeof fn !== 'function') throw new TypeError(`a function is wanted, not ${show(fn)}`)
  }
  registerReducer(type, {
    name: `program:${type.name}`,
    trustedOnly: true,
    reduce,
    rebuild: (state) => rebuild(state as S),
  })
}

const RECEIVED_ONE = 1

/**
 * Sends a descriptor over a connection that is a Unix socket, as those of a duplex or one-way `Pipe`
 * are. The sender keeps its own.
 *
 * @param connection - Where to; the other side must be about to call {@link recvHandle}.
 * @param fd - The descriptor's number.
 * @param _destinationPid - The other process's id, which only Windows needs.
 * @throws OSError `EBADF` for a descriptor that is not open, `EPIPE` when the other end is gone.
 *
 * Mirrors `multiprocessing.reduction.send_handle`.
 */
export const sendHandle = async (
  connection: Connection,
  fd: number,
  _destinationPid?: number | null,
  options: WaitOptions = {},
): Promise<void> => {
  const stream = streamToWrite(connection)
  checkedWait(options)
  await stream.sendParts([ONE], [descriptorNumber(fd)], options)
}

/** The same, blocking. */
export const sendHandleSync = (
  connection: Connection,
  fd: number,
  _destinationPid?: number | null,
  { timeout }: TimeoutOptions = {},
): void => {
  const stream = streamToWrite(connection)
  stream.sendPartsSync([ONE], [descriptorNumber(fd)], clock(milliseconds(timeout)))
}

/** The byte beside which one descriptor travels: how many there are. */
const ONE = Uint8Array.of(1)

const streamToWrite = (connection: Connection): MessageStream => {
  const { stream } = connection
  if (!connection.writable) throw new OSError('connection is read-only')
  return stream
}

/**
 * Receives a descriptor that {@link sendHandle} sent. It belongs to the caller, who closes it.
 *
 * @returns Its number here.
 * @throws RuntimeError when a byte came without a descriptor; EOFError when the other end is closed;
 * TimeoutError; the signal's reason.
 *
 * Mirrors `multiprocessing.reduction.recv_handle`.
 */
export const recvHandle = async (
  connection: Connection,
  options: WaitOptions = {},
): Promise<number> => {
  checkReadable(connection)
  return received(connection, await wait([connection], options))
}

/** The same, blocking. */
export const recvHandleSync = (connection: Connection, options: TimeoutOptions = {}): number => {
  checkReadable(connection)
  return received(connection, waitSync([connection], options))
}

const checkReadable = (connection: Connection): void => {
  connection.fileno()
  if (!connection.readable) throw new OSError('connection is write-only')
}

const received = (connection: Connection, ready: readonly Connection[]): number => {
  if (ready.length === 0) throw new TimeoutError()
  const [status, ...fds] = native.receiveDescriptors(connection.fileno())
  if (status === undefined || status < 0) throw errorOf(status ?? NOT_YET, 'recvmsg')
  if (fds.length === RECEIVED_ONE) return fds[0]!
  for (const fd of fds) native.closeDescriptor(fd)
  throw new RuntimeError(`received ${fds.length} items of ancdata`)
}

/**
 * A descriptor that can be sent: inside any object, over any connection of this program, and to
 * processes as they start. The other side gets a copy by calling {@link DupFd.detach}.
 *
 * Mirrors `multiprocessing.reduction.DupFd`.
 */
export class DupFd {
  #fd: number | undefined

  /**
   * Keeps a copy of the descriptor, so that the original may be closed.
   *
   * @throws OSError `EBADF` when it is not open.
   */
  constructor(fd: number) {
    this.#fd = checked(native.duplicateDescriptor(descriptorNumber(fd)), 'dup')
    collected.register(this, this.#fd, this)
  }

  /**
   * The descriptor, which belongs to the caller from now on.
   *
   * @throws ValueError when it was taken before.
   */
  detach(): number {
    const fd = this.fileno()
    this.#fd = undefined
    collected.unregister(this)
    return fd
  }

  /** The number of the copy, which stays with this object. */
  fileno(): number {
    if (this.#fd === undefined) throw new ValueError('the descriptor was detached already')
    return this.#fd
  }
}

const collected = new FinalizationRegistry((fd: number) => native.closeDescriptor(fd))

registerReducer(DupFd, {
  name: 'reduction.DupFd',
  trustedOnly: false,
  reduce: (dup, context) => context.handle(dup.fileno()),
  rebuild(index, context) {
    const fd = context.handle(index as number)
    try {
      return new DupFd(fd)
    } finally {
      native.closeDescriptor(fd)
    }
  },
})

deferReducers(registerNetReducers)
