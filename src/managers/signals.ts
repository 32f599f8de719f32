/**
 * Events, conditions and barriers in a manager's server, as Python's `threading` has them.
 * @module
 */
import { BrokenBarrierError, RuntimeError, ValueError } from '../errors.js'
import { Line, secondsLeft } from './line.js'
import { behind } from './local.js'
import { type ConditionLock, RLockReferent } from './locks.js'
import { currentCall, during } from './session.js'

/** A flag to wait for. */
export class EventReferent {
  #flag = false
  readonly #line = new Line()

  is_set(): boolean {
    return this.#flag
  }

  set(): void {
    this.#flag = true
    this.#line.serveAll()
  }

  clear(): void {
    this.#flag = false
  }

  wait(timeout: unknown = null): boolean | Promise<boolean> {
    return this.#flag ? true : this.#line.wait(secondsLeft(timeout))
  }

  toString(): string {
    return `<threading.Event: ${this.#flag ? 'set' : 'unset'}>`
  }
}

/** A lock with those who wait, without it, until they are told. */
export class ConditionReferent {
  readonly #lock: ConditionLock
  readonly #line = new Line()

  constructor(lock: unknown = null) {
    this.#lock = (behind(lock) as ConditionLock | null) ?? new RLockReferent()
    if (typeof this.#lock.giveUp !== 'function') {
      throw new TypeError('the lock of a condition is a Lock or an RLock of the same manager')
    }
  }

  acquire(blocking?: unknown, timeout?: unknown): boolean | Promise<boolean> {
    return this.#lock.acquire(blocking, timeout)
  }

  release(): void {
    this.#lock.release()
  }

  locked(): boolean {
    return this.#lock.locked()
  }

  async wait(timeout: unknown = null): Promise<boolean> {
    const { session } = currentCall()
    if (!this.#lock.isOwnedBy(session)) throw new RuntimeError('cannot wait on un-acquired lock')
    const seconds = secondsLeft(timeout)
    const call = currentCall()
    const waiting = this.#line.wait(seconds)
    const takeBack = this.#lock.giveUp(session)
    const told = await waiting
    await during(call, takeBack)
    return told
  }

  notify(n: unknown = 1): void {
    if (!this.#lock.isOwnedBy(currentCall().session)) {
      throw new RuntimeError('cannot notify on un-acquired lock')
    }
    for (let left = Number(n); left > 0 && this.#line.length > 0; left--) this.#line.serveFirst()
  }

  notify_all(): void {
    this.notify(this.#line.length)
  }

  toString(): string {
    return `<Condition(${this.#lock}, ${this.#line.length})>`
  }
}

/** So many have to come before anybody goes on. */
export class BarrierReferent {
  readonly parties: number
  readonly #action: (() => unknown) | null
  readonly #timeout: unknown
  #line = new Line()
  #broken = false

  constructor(parties: unknown, action: unknown = null, timeout: unknown = null) {
    if (typeof parties !== 'number' || !Number.isInteger(parties)) {
      throw new TypeError(`the parties of a barrier are a whole number, not ${String(parties)}`)
    }
    if (parties < 1) throw new ValueError('parties must be >= 1')
    if (action !== null && typeof action !== 'function') {
      throw new TypeError('the action of a barrier is a function')
    }
    this.parties = parties
    this.#action = action as (() => unknown) | null
    this.#timeout = timeout
    secondsLeft(timeout)
  }

  async wait(timeout: unknown = null): Promise<number> {
    if (this.#broken) throw new BrokenBarrierError()
    const seconds = secondsLeft(timeout ?? this.#timeout)
    const index = this.#line.length
    if (index + 1 === this.parties) {
      await this.#open()
      return index
    }
    // Who leaves, for whatever reason, cannot come any more.
    const line = this.#line
    const served = await line.wait(seconds, () => this.#break(line))
    if (!served || brokenLines.has(line)) throw new BrokenBarrierError()
    return index
  }

  reset(): void {
    const waiting = this.#line
    this.#line = new Line()
    this.#broken = false
    brokenLines.add(waiting)
    waiting.serveAll()
  }

  abort(): void {
    this.#break(this.#line)
  }

  get n_waiting(): number {
    return this.#line.length
  }

  get broken(): boolean {
    return this.#broken
  }

  /** Reads an attribute: how a proxy does. */
  __getattribute__(name: unknown): unknown {
    if (name === 'parties' || name === 'n_waiting' || name === 'broken') return this[name]
    throw new TypeError(`a barrier has no attribute ${String(name)}`)
  }

  toString(): string {
    const state = this.#broken ? 'broken' : `waiters=${this.n_waiting}/${this.parties}`
    return `<threading.Barrier: ${state}>`
  }

  async #open(): Promise<void> {
    const line = this.#line
    this.#line = new Line()
    try {
      await this.#action?.()
    } catch (error) {
      this.#break(line)
      throw error
    }
    line.serveAll()
  }

  #break(line: Line): void {
    if (line === this.#line) this.#broken = true
    else if (line.length > 0) this.#broken = true
    brokenLines.add(line)
    line.serveAll()
  }
}

/** Those whose waiters go on only to hear that it was in vain. */
const brokenLines = new WeakSet<Line>()
