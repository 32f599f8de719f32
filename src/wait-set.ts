/**
 * Waiting for many connections again and again: the kernel keeps the list of them from one time to the
 * next, so those that are idle cost next to nothing.
 * @module
 */
import { Connection } from './connection.js'
import { OSError } from './errors.js'
import type { MessageStream } from './message-stream.js'
import { native } from './native.js'
import { errorOf } from './native-status.js'
import { whenCopied } from './waiter.js'
import { READABLE, Watcher } from './watcher.js'

/** So many connections are worth a set. */
export const MANY = 16

/** How many sets are kept for later, and for how long, in milliseconds. */
const KEPT = 2
const KEPT_FOR = 1000

/** A place in the kernel's list. */
interface Place {
  readonly stream: MessageStream
  readonly number: number
  /** Where in the list that is waited for. */
  index: number
  readonly leave: () => void
}

/** Those that nobody uses now, the latest last. */
const idle: WaitSet[] = []
const existing = new Set<WaitSet>()
let timer: NodeJS.Timeout | undefined

whenCopied(() => {
  for (const set of existing) set.disown()
  existing.clear()
  idle.length = 0
  timer = undefined
})

/** The connections of a list, in the kernel's hands, and the indices of all else in it. */
export class WaitSet {
  readonly #set: number
  readonly fd: number
  readonly #places = new Map<MessageStream, Place>()
  readonly #byNumber: (Place | undefined)[] = []
  readonly #free: number[] = []
  #list: readonly unknown[] = []
  #others: readonly number[] = []
  #watcher: Watcher | undefined
  #settle: (() => void) | undefined
  #fail: ((error: unknown) => void) | undefined

  constructor(set: number) {
    this.#set = set
    this.fd = native.waitSetDescriptor(set)
    existing.add(this)
  }

  /** The indices of what is no connection. */
  get others(): readonly number[] {
    return this.#others
  }

  /** Whether it stands for this very list. */
  standsFor(list: readonly unknown[]): boolean {
    const own = this.#list
    if (own.length !== list.length) return false
    for (let index = 0; index < list.length; index++) if (own[index] !== list[index]) return false
    return true
  }

  /** Makes it stand for a list; false when it cannot. */
  take(list: readonly unknown[]): boolean {
    const others: number[] = []
    const wanted = new Map<MessageStream, number>()
    for (const [index, object] of list.entries()) {
      if (!(object instanceof Connection)) others.push(index)
      else if (wanted.has(object.stream)) return false
      else wanted.set(object.stream, index)
    }
    for (const [stream, place] of this.#places) if (!wanted.has(stream)) this.#remove(place)
    const fds: number[] = []
    const numbers: number[] = []
    for (const [stream, index] of wanted) {
      const place = this.#places.get(stream)
      if (place !== undefined) place.index = index
      else {
        fds.push(stream.fd)
        numbers.push(this.#add(stream, index))
      }
    }
    if (fds.length > 0 && native.addToWaitSet(this.#set, fds, numbers) < 0) return false
    this.#list = [...list]
    this.#others = others
    return true
  }

  /** Adds the indices of the connections that are readable now. */
  collect(indices: number[]): void {
    const numbers = native.readyInWaitSet(this.#set, this.#places.size)
    for (const number of numbers) {
      if (number < 0) throw errorOf(number, 'epoll_wait')
      const place = this.#byNumber[number]
      if (place !== undefined) indices.push(place.index)
    }
  }

  /** Calls one of the two when one of them is readable, or closed here; what is returned calls it off. */
  whenReadable(settle: () => void, fail: (error: unknown) => void): () => void {
    this.#settle = settle
    this.#fail = fail
    this.#watcher ??= new Watcher(this.fd, () => this.#settle?.())
    this.#watcher.want(READABLE)
    return () => {
      this.#settle = undefined
      this.#fail = undefined
      this.#watcher?.want(0)
    }
  }

  /** Lets go of everything. */
  close(): void {
    if (!existing.delete(this)) return
    this.disown()
  }

  /** The same in a copy of the process, where the kernel's list is the original's. */
  disown(): void {
    this.#watcher?.close()
    this.#watcher = undefined
    for (const { stream, leave } of this.#places.values()) stream.beforeClosing.delete(leave)
    this.#places.clear()
    this.#list = []
    native.closeWaitSet(this.#set)
  }

  #add(stream: MessageStream, index: number): number {
    const number = this.#free.pop() ?? this.#byNumber.length
    const leave = (): void => {
      this.#remove(place)
      this.#fail?.(new OSError('handle is closed'))
    }
    const place: Place = { stream, number, index, leave }
    this.#byNumber[number] = place
    this.#places.set(stream, place)
    stream.beforeClosing.add(leave)
    return number
  }

  #remove({ stream, number, leave }: Place): void {
    stream.beforeClosing.delete(leave)
    this.#places.delete(stream)
    this.#byNumber[number] = undefined
    this.#free.push(number)
    this.#list = []
    native.removeFromWaitSet(this.#set, [stream.fd])
    if (this.#places.size > 0) return
    const place = idle.indexOf(this)
    if (place < 0) return
    idle.splice(place, 1)
    this.close()
  }
}

/** A set for a list, or nothing where it is not worth one or cannot have one; {@link putBack} it. */
export const setFor = (list: readonly unknown[]): WaitSet | undefined => {
  if (list.length < MANY) return undefined
  for (let place = idle.length - 1; place >= 0; place--) {
    const set = idle[place]!
    if (set.standsFor(list)) {
      idle.splice(place, 1)
      return set
    }
  }
  let connections = 0
  for (const object of list) if (object instanceof Connection) connections++
  if (connections < MANY) return undefined
  const set = idle.pop() ?? newSet()
  if (set === undefined) return undefined
  let taken = false
  try {
    // One of them may be closed already, which is an error.
    taken = set.take(list)
  } finally {
    if (!taken) set.close()
  }
  return taken ? set : undefined
}

const newSet = (): WaitSet | undefined => {
  const set = native.newWaitSet()
  return set < 0 ? undefined : new WaitSet(set)
}

/** Keeps a set for the next time. */
export const putBack = (set: WaitSet): void => {
  idle.push(set)
  if (idle.length > KEPT) idle.shift()!.close()
  // Whatever it holds must not be held for ever.
  if (timer === undefined) timer = setTimeout(letGo, KEPT_FOR).unref()
  else timer.refresh()
}

const letGo = (): void => {
  timer = undefined
  for (const set of idle.splice(0)) set.close()
}
