/**
 * Those in a thread who wait for a place in a queue in the Promise form: first come, first served.
 * @module
 */
import { native } from './native.js'
import { DONE, errorOf, NOT_HELD, NOT_YET } from './native-status.js'
import type { QueueChannel } from './queue-channel.js'
import { clearWhenCopied, forgetWait, whenOver } from './waiter.js'
import { endEarly, FOREVER } from './waiting.js'

/** One who waits. */
interface Waiting {
  readonly room: number
  /** Tries to put it in: a status. */
  attempt(): number
  settle(done: boolean): void
  fail(reason: unknown): void
}

/** Those who wait for a place, or room. */
export class PutLine {
  readonly #channel: QueueChannel
  #line: Waiting[] = []
  #ticket: number | undefined

  constructor(channel: QueueChannel) {
    this.#channel = channel
    clearWhenCopied(this)
  }

  /** Whether nobody waits. */
  get isEmpty(): boolean {
    return this.#line.length === 0
  }

  /** Waits at the end of the line, and puts in the message: whether there was a place in time. */
  wait(
    parts: Uint8Array[],
    descriptors: number[],
    room: number,
    time: number,
    signal: AbortSignal | undefined,
  ): Promise<boolean> {
    const { handle, direct } = this.#channel
    return this.#enter(time, signal, {
      room,
      attempt: () => native.queuePutParts(handle, parts, descriptors, direct, false),
    })
  }

  /** Waits until nothing of this process is on its way. */
  untilSettled(): Promise<boolean> {
    const { handle } = this.#channel
    return this.#enter(FOREVER, undefined, {
      room: ANY,
      attempt: () => (native.queuePending(handle) === 0 ? DONE : NOT_YET),
    })
  }

  #enter(
    time: number,
    signal: AbortSignal | undefined,
    what: Pick<Waiting, 'room' | 'attempt'>,
  ): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const stop = endEarly(
        { timeout: time === FOREVER ? null : time, signal },
        (reason) => this.#giveUp(waiting, reason),
        () => OUT_OF_TIME,
      )
      const waiting: Waiting = {
        ...what,
        settle(done) {
          stop()
          resolve(done)
        },
        fail(reason) {
          stop()
          if (reason === OUT_OF_TIME) resolve(false)
          else reject(reason)
        },
      }
      this.#line.push(waiting)
      if (this.#line.length === 1) this.#advance()
    })
  }

  /** Nobody waits: those who did were another process's. */
  clear(): void {
    this.#line = []
    this.#ticket = undefined
  }

  #advance(): void {
    const { handle, maxsize, longest } = this.#channel
    for (;;) {
      const first = this.#line[0]
      if (first === undefined || this.#ticket !== undefined) return
      const status = first.attempt()
      if (status === NOT_HELD || status === NOT_YET) {
        const room = Math.min(first.room, longest)
        const atMost = first.room === ANY ? GLANCE : FOREVER
        const ticket = native.queueRoomLater(handle, room, maxsize > 0, atMost)
        // There is room, but something is in the way that nobody tells the end of.
        if (ticket === DONE) setTimeout(() => this.#advance(), 1)
        else if (ticket < 0) this.#line.shift()!.fail(errorOf(ticket, 'futex'))
        else this.#sleep(ticket)
        if (ticket === DONE || ticket >= 0) return
      } else {
        this.#line.shift()
        if (status === DONE) first.settle(true)
        else first.fail(errorOf(status, 'put'))
      }
    }
  }

  #sleep(ticket: number): void {
    this.#ticket = ticket
    whenOver(ticket, () => {
      this.#ticket = undefined
      this.#advance()
    })
  }

  #giveUp(waiting: Waiting, reason: unknown): void {
    const place = this.#line.indexOf(waiting)
    if (place === -1) return
    this.#line.splice(place, 1)
    waiting.fail(reason)
    if (place > 0) return
    if (this.#ticket !== undefined) forgetWait(this.#ticket)
    this.#ticket = undefined
    this.#advance()
  }
}

/** How much room one wants who waits for something else. */
const ANY = -1

/** How often one looks who waits for something else, in milliseconds. */
const GLANCE = 10

/** Why somebody gives up whose time is over. */
const OUT_OF_TIME = Symbol('out of time')
