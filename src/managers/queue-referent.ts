/**
 * Queues in a manager's server, as Python's `queue.Queue`.
 * @module
 */
import { Empty, Full, RuntimeError, ValueError } from '../errors.js'
import { Line, numberOf, secondsLeft } from './line.js'
import { currentCall, during } from './session.js'

/** The queue is shut down: nothing more goes in, and when it is empty nothing comes out. */
export class ShutDown extends RuntimeError {
  constructor(message = 'the queue is shut down', options?: ErrorOptions) {
    super(message, options, 'ERR_SHUT_DOWN')
  }
}

/** How long one may wait, as `get(block, timeout)` has it: 0 for not at all, null for ever. */
const patience = (block: unknown, timeout: unknown): number | null => {
  if (!block) return 0
  if (timeout !== null && numberOf(timeout) < 0) {
    throw new ValueError("'timeout' must be a non-negative number")
  }
  return secondsLeft(timeout)
}

/** A queue. */
export class QueueReferent {
  readonly #maxsize: number
  /** The items from `#first` on. */
  #items: unknown[] = []
  #first = 0
  readonly #getters = new Line()
  readonly #putters = new Line()
  readonly #joiners = new Line()
  #unfinished = 0
  #shutDown = false

  constructor(maxsize: unknown = 0) {
    if (typeof maxsize !== 'number' || !Number.isInteger(maxsize)) {
      throw new TypeError(`maxsize is a whole number, not ${String(maxsize)}`)
    }
    this.#maxsize = maxsize
  }

  qsize(): number {
    return this.#items.length - this.#first
  }

  empty(): boolean {
    return this.qsize() === 0
  }

  full(): boolean {
    return this.#maxsize > 0 && this.qsize() >= this.#maxsize
  }

  put(item: unknown, block: unknown = true, timeout: unknown = null): void | Promise<void> {
    const seconds = patience(block, timeout)
    this.#checkOpen()
    if (!this.full() && this.#putters.length === 0) return this.#add(item)
    if (seconds === 0) throw new Full()
    return this.#putters.wait(seconds).then((served) => {
      this.#checkOpen()
      if (!served) throw new Full()
      this.#add(item)
      this.#makeRoom()
    })
  }

  put_nowait(item: unknown): void | Promise<void> {
    return this.put(item, false)
  }

  get(block: unknown = true, timeout: unknown = null): unknown {
    const seconds = patience(block, timeout)
    if (!this.empty()) return this.#take()
    if (this.#shutDown) throw new ShutDown()
    if (seconds === 0) throw new Empty()
    return this.#wait(seconds)
  }

  get_nowait(): unknown {
    return this.get(false)
  }

  task_done(): void {
    if (this.#unfinished <= 0) throw new ValueError('task_done() called too many times')
    if (--this.#unfinished === 0) this.#joiners.serveAll()
  }

  join(): undefined | Promise<undefined> {
    return this.#unfinished === 0 ? undefined : this.#joiners.wait(null).then(() => undefined)
  }

  shutdown(immediate: unknown = false): void {
    this.#shutDown = true
    if (immediate) {
      this.#unfinished -= Math.min(this.qsize(), this.#unfinished)
      this.#items = []
      this.#first = 0
      if (this.#unfinished === 0) this.#joiners.serveAll()
    }
    this.#getters.serveAll()
    this.#putters.serveAll()
  }

  toString(): string {
    return `<queue.Queue object with ${this.qsize()} items>`
  }

  /** Somebody who is served may find that another was quicker; what was for a client that is gone is not lost. */
  async #wait(seconds: number | null): Promise<unknown> {
    const call = currentCall()
    const end = seconds === null ? null : performance.now() + seconds * 1000
    for (;;) {
      const left = end === null ? null : Math.max(0, (end - performance.now()) / 1000)
      const served = await during(call, () => this.#getters.wait(left))
      if (served && call.session.ended) this.#getters.serveFirst()
      else if (served && !this.empty()) return this.#take()
      if (this.#shutDown) throw new ShutDown()
      if (!served) throw new Empty()
    }
  }

  #add(item: unknown): void {
    this.#items.push(item)
    this.#unfinished++
    this.#getters.serveFirst()
  }

  #take(): unknown {
    const item = this.#items[this.#first]
    this.#items[this.#first++] = undefined
    if (this.#first > 64 && this.#first * 2 > this.#items.length) {
      this.#items.splice(0, this.#first)
      this.#first = 0
    }
    this.#makeRoom()
    return item
  }

  #makeRoom(): void {
    if (!this.full()) this.#putters.serveFirst()
  }

  #checkOpen(): void {
    if (this.#shutDown) throw new ShutDown()
  }
}
