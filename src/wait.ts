/**
 * Waiting for the first of many things.
 * @module
 */
import type { EventEmitter } from 'node:events'
import type { Server, Socket } from 'node:net'
import { Connection } from './connection.js'
import { ValueError } from './errors.js'
import { Listener } from './listener.js'
import { native } from './native.js'
import { checked } from './native-status.js'
import { putBack, setFor, type WaitSet } from './wait-set.js'
import {
  atOnce,
  checkedWait,
  clock,
  descriptorNumber,
  endEarly,
  milliseconds,
  show,
  type TimeoutOptions,
  type WaitOptions,
} from './waiting.js'
import { READABLE, Watcher } from './watcher.js'

/**
 * What can be waited for: a Connection, a Listener, a socket or server of `node:net`, a descriptor's number
 * (a sentinel too), or what has one.
 */
export type Waitable = Connection | Listener | Socket | Server | number | { fileno(): number }

/** Where Node's sockets and servers have their descriptor. */
interface Inside {
  _handle?: { fd?: number } | null
}

interface SocketInside extends Socket, Inside {}

/** A socket of Node's, which reads by itself when it is watched. */
const isSocket = (object: unknown): object is SocketInside =>
  typeof object === 'object' && object !== null && 'readableLength' in object && '_handle' in object

/** A server of Node's, which accepts by itself. */
const isServer = (object: unknown): object is Server =>
  typeof object === 'object' && object !== null && 'listening' in object && '_handle' in object

/** What has come of a socket is already read by Node, or its end is. */
const isFilled = (socket: SocketInside): boolean =>
  socket.readableLength > 0 || socket.readableEnded || socket.destroyed

/** No descriptor: there is nothing that the kernel could tell. */
const NONE = -1

const descriptorOf = (waitable: Waitable): number => {
  if (isSocket(waitable)) return waitable._handle?.fd ?? NONE
  if (isServer(waitable)) return (waitable as Inside)._handle?.fd ?? NONE
  const object = waitable as Exclude<Waitable, Socket | Server>
  if (typeof object !== 'number' && typeof object?.fileno !== 'function') {
    throw new TypeError(`a Connection or a descriptor is wanted, not ${show(object)}`)
  }
  const fd: unknown = typeof object === 'number' ? object : object.fileno()
  if (typeof fd === 'number' && fd < 0) throw new ValueError(`invalid file descriptor: ${fd}`)
  return descriptorNumber(fd)
}

/** Whether something is ready that the kernel knows nothing of. */
const isReadyHere = (object: unknown): boolean => {
  if (isSocket(object)) return isFilled(object)
  // One that is closed has nobody to wait for.
  if (isServer(object)) return !object.listening
  return object instanceof Listener && object.reception.hasArrivals
}

/** Node reads it, or accepts, by itself when the event loop turns. */
const isNodes = (object: unknown): boolean => isSocket(object) || isServer(object)

const byNumber = (a: number, b: number): number => a - b

/** A list of things to wait for. */
class Waiting<T extends Waitable> {
  readonly #all: readonly T[]
  /** Those of many connections; nothing when there are few. */
  readonly #set: WaitSet | undefined
  /** The indices of those that are not in the set. */
  readonly #rest: readonly number[]
  readonly #fds: readonly number[]
  /** Servers that somebody has come to while they were watched: Node has accepted him already. */
  readonly #visited = new Set<unknown>()

  constructor(objects: Iterable<T>) {
    this.#all = [...objects]
    this.#set = setFor(this.#all)
    this.#rest = this.#set?.others ?? [...this.#all.keys()]
    try {
      this.#fds = this.#rest.map((index) => descriptorOf(this.#all[index]!))
    } catch (error) {
      this.end()
      throw error
    }
  }

  /** Those that are ready, after so many milliseconds at most; `blocking` for who will not come back. */
  ready(timeout: number, blocking: boolean): T[] {
    const indices: number[] = []
    const asked: number[] = []
    const fds: number[] = []
    for (const [place, index] of this.#rest.entries()) {
      const object = this.#all[index]
      if (isReadyHere(object) || this.#visited.has(object)) indices.push(index)
      // A socket has been read when Node says so, unless Node cannot.
      else if (this.#fds[place] !== NONE && (blocking || !isNodes(object))) {
        asked.push(index)
        fds.push(this.#fds[place]!)
      }
    }
    this.#ask(asked, fds, indices.length > 0 ? 0 : timeout, indices)
    if (indices.length > 1) indices.sort(byNumber)
    return indices.map((index) => this.#all[index]!)
  }

  /** Calls one of the two when something may be ready; what is returned calls it off. */
  watch(settle: () => void, fail: (error: unknown) => void): () => void {
    const callOff: (() => void)[] = []
    const end = (): void => {
      for (const call of callOff) call()
    }
    try {
      if (this.#set !== undefined) callOff.push(this.#set.whenReadable(settle, fail))
      for (const [place, index] of this.#rest.entries()) {
        const object = this.#all[index]!
        const visited = (): void => {
          if (isServer(object)) this.#visited.add(object)
          settle()
        }
        callOff.push(watchOne(object, this.#fds[place]!, visited, fail))
      }
    } catch (error) {
      end()
      throw error
    }
    return end
  }

  /** It is over. */
  end(): void {
    if (this.#set !== undefined) putBack(this.#set)
  }

  #ask(asked: readonly number[], fds: number[], timeout: number, indices: number[]): void {
    const set = this.#set
    if (set !== undefined && fds.length === 0 && timeout === 0) {
      set.collect(indices)
      return
    }
    const found = native.waitReady(set === undefined ? fds : [...fds, set.fd], [], timeout)
    if (found.length > 0) checked(found[0]!, 'poll')
    for (const place of found) {
      if (place < fds.length) indices.push(asked[place]!)
      else set?.collect(indices)
    }
  }
}

const watchOne = (
  object: Waitable,
  fd: number,
  settle: () => void,
  fail: (error: unknown) => void,
): (() => void) => {
  if (object instanceof Connection) return object.stream.whenReadable(settle, fail)
  if (object instanceof Listener) return object.reception.whenReadable(settle, fail)
  if (isServer(object)) return watchEvents(object, ['connection', 'close'], settle)
  if (isSocket(object)) return watchEvents(object, ['readable', 'end', 'close'], settle)
  return watchDescriptor(fd, settle)
}

const watchEvents = (
  emitter: Pick<EventEmitter, 'on' | 'off'>,
  signs: readonly string[],
  settle: () => void,
): (() => void) => {
  for (const sign of signs) emitter.on(sign, settle)
  return () => {
    for (const sign of signs) emitter.off(sign, settle)
  }
}

const watchDescriptor = (fd: number, settle: () => void): (() => void) => {
  // A copy, as the descriptor is somebody else's, who may close it meanwhile.
  const copy = checked(native.duplicateDescriptor(fd), 'dup')
  const watcher = new Watcher(copy, settle)
  watcher.want(READABLE)
  return () => {
    watcher.close()
    native.closeDescriptor(copy)
  }
}

/**
 * Waits until one of the objects is ready: a message or the end for a Connection, somebody to accept for a
 * Listener, bytes or the end for a socket, somebody who connects for a server, the end of the process for a
 * sentinel.
 *
 * A list of many connections that is waited for again is waited for faster: those that are idle cost next
 * to nothing.
 *
 * @returns All that are ready, in the order given; none after the timeout.
 * @throws TypeError for what cannot be waited for; OSError for what is closed, also while it is waited
 * for; the signal's reason.
 *
 * Mirrors `multiprocessing.connection.wait`.
 */
export const wait = async <T extends Waitable>(
  objects: Iterable<T>,
  options: WaitOptions = {},
): Promise<T[]> => {
  checkedWait(options)
  const waiting = new Waiting(objects)
  try {
    const left = clock(milliseconds(options.timeout))
    for (;;) {
      const now = waiting.ready(0, false)
      const time = left()
      if (now.length > 0 || time === 0) return now
      const timely = await untilSome(waiting, { ...options, timeout: time < 0 ? null : time })
      if (!timely) return waiting.ready(0, false)
    }
  } finally {
    waiting.end()
  }
}

const untilSome = async (waiting: Waiting<Waitable>, options: WaitOptions): Promise<boolean> => {
  const callOff: (() => void)[] = []
  try {
    return await new Promise<boolean>((resolve, reject) => {
      callOff.push(endEarly(options, reject, () => resolve(false)))
      callOff.push(waiting.watch(() => resolve(true), reject))
    })
  } finally {
    for (const call of callOff) call()
  }
}

/**
 * The same, blocking. A socket or server of `node:net` is ready when there is something that Node will read
 * from it, or somebody whom it will accept, as soon as the event loop turns.
 */
export const waitSync = <T extends Waitable>(
  objects: Iterable<T>,
  { timeout }: TimeoutOptions = {},
): T[] => {
  const left = clock(milliseconds(timeout))
  const slice = atOnce(left)
  const waiting = new Waiting(objects)
  try {
    for (;;) {
      const found = waiting.ready(slice(), true)
      if (found.length > 0 || left() === 0) return found
    }
  } finally {
    waiting.end()
  }
}
