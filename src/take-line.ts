/**
 * Those in a thread who wait for a queue's items in the Promise form: first come, first served.
 * @module
 */
import { Empty } from './errors.js'
import type { FrameParts } from './large-message.js'
import { native } from './native.js'
import { BUSY, DONE, errorOf, LARGE, NOT_YET } from './native-status.js'
import { objectFrom, objectFromSync } from './objects.js'
import type { QueueChannel } from './queue-channel.js'
import { clearWhenCopied, forgetWait, whenOver } from './waiter.js'
import { endEarly, FOREVER } from './waiting.js'

/** One who waits. */
interface Waiting {
  settle(item: unknown): void
  fail(reason: unknown): void
}

/** A message that nobody waits for any more. */
interface Kept {
  readonly parts: FrameParts
  readonly descriptors: number[]
}

/** After a wait that brought nothing, because others were faster, the next look is later: up to this. */
const LONGEST_NAP = 4000
const SHORTEST_NAP = 50

/** Those who wait for items. */
export class TakeLine {
  readonly #channel: QueueChannel
  #line: Waiting[] = []
  #ticket: number | undefined
  /** A message in pieces is being taken by a thread of the engine's: the number of that wait. */
  #reading: number | undefined
  #kept: Kept[] = []
  #nap = SHORTEST_NAP

  constructor(channel: QueueChannel) {
    this.#channel = channel
    clearWhenCopied(this)
  }

  /** Whether nobody waits, and nothing is kept: an item may be taken by whoever comes. */
  get isIdle(): boolean {
    return this.#line.length === 0 && this.#kept.length === 0 && this.#reading === undefined
  }

  /** How many items have been taken that nobody has been given. */
  get arrived(): number {
    return this.#kept.length
  }

  /** Waits for an item. @throws Empty when the time is over; the signal's reason. */
  wait(time: number, signal: AbortSignal | undefined): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const stop = endEarly(
        { timeout: time === FOREVER ? null : time, signal },
        (reason) => this.#giveUp(waiting, reason),
        () => OUT_OF_TIME,
      )
      const waiting: Waiting = {
        settle(item) {
          stop()
          resolve(item)
        },
        fail(reason) {
          stop()
          reject(reason === OUT_OF_TIME ? new Empty() : reason)
        },
      }
      this.#line.push(waiting)
      if (this.#line.length === 1) this.#advance()
    })
  }

  /** For the Sync form: an item that is kept, or being taken by a thread of the engine's; or nothing. */
  keptSync(): { item: unknown } | undefined {
    while (this.#reading !== undefined && this.#line.length === 0) {
      if (this.#collect(this.#reading)) break
      Atomics.wait(PAUSE, 0, 0, 1)
    }
    const kept = this.#line.length === 0 ? this.#kept.shift() : undefined
    return kept && { item: objectFromSync(LARGE, partsOf(kept)) }
  }

  /** Nobody waits: those who did were another process's. */
  clear(): void {
    this.#line = []
    this.#kept = []
    this.#ticket = undefined
    this.#reading = undefined
  }

  /** Everybody who waits is told so. */
  failAll(reason: () => unknown): void {
    const all = this.#line
    this.#line = []
    this.#stopWaiting()
    for (const waiting of all) waiting.fail(reason())
  }

  #advance(): void {
    for (;;) {
      const first = this.#line[0]
      if (first === undefined || this.#reading !== undefined || this.#ticket !== undefined) return
      const kept = this.#kept.shift()
      if (kept !== undefined) {
        this.#give(() => objectFrom(LARGE, partsOf(kept)))
        continue
      }
      const status = this.#channel.tryTake()
      if (status >= 0 || status === LARGE) {
        this.#nap = SHORTEST_NAP
        this.#give(() => this.#channel.object(status))
      } else if (status === BUSY) {
        this.#read()
      } else if (status === NOT_YET) {
        if (!this.#sleep()) return
      } else {
        this.#line.shift()
        first.fail(errorOf(status, 'get'))
      }
    }
  }

  #give(object: () => unknown): void {
    const first = this.#line.shift()!
    try {
      first.settle(object())
    } catch (error) {
      first.fail(error)
    }
  }

  /** Whether to look again at once. */
  #sleep(): boolean {
    const { handle } = this.#channel
    const ticket = native.queueItemsLater(handle, this.#nap, FOREVER)
    if (ticket === DONE) return true
    if (ticket < 0) {
      this.#line.shift()?.fail(errorOf(ticket, 'futex'))
      return true
    }
    this.#ticket = ticket
    whenOver(ticket, () => {
      this.#ticket = undefined
      this.#nap = Math.min(this.#nap * 2, LONGEST_NAP)
      native.queueItemsOver(handle, this.#line.length === 0)
      this.#advance()
    })
    return false
  }

  /** Has a thread of the engine's take a message in pieces. */
  #read(): void {
    const ticket = native.queueReadLater(this.#channel.handle)
    if (ticket < 0) {
      this.#line.shift()?.fail(errorOf(ticket, 'get'))
      return
    }
    this.#reading = ticket
    whenOver(ticket, () => {
      if (this.#reading === ticket) this.#collect(ticket)
      this.#advance()
    })
  }

  /** Takes over what the thread has taken; false while it is still at it. */
  #collect(ticket: number): boolean {
    const { handle } = this.#channel
    const status = native.queueTakeRead(handle, ticket)
    if (status === BUSY) return false
    this.#reading = undefined
    forgetWait(ticket)
    if (status === LARGE) {
      const taken = this.#channel.takeDescriptors()
      const [graph, descriptors, ...buffers] = native.queueLarge(handle)
      const parts = { graph: new Uint8Array(graph), buffers, descriptors }
      this.#kept.push({ parts, descriptors: taken })
    } else if (status !== NOT_YET) {
      this.#line.shift()?.fail(errorOf(status, 'get'))
    }
    return true
  }

  #giveUp(waiting: Waiting, reason: unknown): void {
    const place = this.#line.indexOf(waiting)
    if (place === -1) return
    if (place === 0 && reason === OUT_OF_TIME && this.#reading === undefined) {
      // What comes at the last moment is not refused.
      this.#stopWaiting()
      this.#advance()
      if (this.#line[0] !== waiting) return
    }
    this.#line.splice(this.#line.indexOf(waiting), 1)
    waiting.fail(reason)
    if (this.#line.length === 0) this.#stopWaiting()
  }

  #stopWaiting(): void {
    if (this.#ticket === undefined) return
    forgetWait(this.#ticket)
    this.#ticket = undefined
    native.queueItemsOver(this.#channel.handle, true)
  }
}

const PAUSE = new Int32Array(new SharedArrayBuffer(4))

const partsOf = ({ parts, descriptors }: Kept) => ({
  frame: () => parts,
  takeDescriptors: () => descriptors,
})

/** Why somebody gives up whose time is over. */
const OUT_OF_TIME = Symbol('out of time')
