/**
 * How objects travel, and descriptors with them. Mirrors `multiprocessing.reduction`.
 * @module
 */
import { deferReducers, registerReducer } from './codec/index.js'
import type { Connection } from './connection.js'
import { RuntimeError, ValueError } from './errors.js'
import { native } from './native.js'
import { checked, errorOf, NOT_YET } from './native-status.js'
import { registerNetReducers } from './net-reducers.js'
import { wait, waitSync } from './wait.js'
import { show, type WaitOptions } from './waiting.js'

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
export const sendHandleSync = (
  connection: Connection,
  fd: number,
  _destinationPid?: number | null,
): void => {
  const status = native.sendDescriptors(connection.fileno(), [handleOf(fd)])
  // One byte is too little to wait for: the socket is full of messages that nobody reads.
  if (status === NOT_YET) throw new RuntimeError('the connection takes no descriptor now')
  checked(status, 'sendmsg')
}

/** The same; it never waits either. */
export const sendHandle = async (
  connection: Connection,
  fd: number,
  destinationPid?: number | null,
): Promise<void> => sendHandleSync(connection, fd, destinationPid)

/**
 * Receives a descriptor that {@link sendHandle} sent. It belongs to the caller, who closes it.
 *
 * @returns Its number here.
 * @throws RuntimeError when a byte came without a descriptor; EOFError when the other end is closed; the
 * signal's reason.
 *
 * Mirrors `multiprocessing.reduction.recv_handle`.
 */
export const recvHandle = async (
  connection: Connection,
  options: WaitOptions = {},
): Promise<number> => {
  await wait([connection], options)
  return received(connection)
}

/** The same, blocking. */
export const recvHandleSync = (connection: Connection): number => {
  waitSync([connection])
  return received(connection)
}

const received = (connection: Connection): number => {
  const [status, ...fds] = native.receiveDescriptors(connection.fileno())
  if (status === undefined || status < 0) throw errorOf(status ?? NOT_YET, 'recvmsg')
  if (fds.length === RECEIVED_ONE) return fds[0]!
  for (const fd of fds) native.closeDescriptor(fd)
  throw new RuntimeError(`received ${fds.length} items of ancdata`)
}

const handleOf = (fd: unknown): number => {
  if (typeof fd !== 'number' || !Number.isInteger(fd)) {
    throw new TypeError(`a descriptor is a whole number, not ${show(fd)}`)
  }
  return fd
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
    this.#fd = checked(native.duplicateDescriptor(handleOf(fd)), 'dup')
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
