/**
 * Locks and semaphores in a manager's server, as Python's `threading` has them. Who holds one is a client:
 * a thread of a process.
 * @module
 */
import { RuntimeError, ValueError } from '../errors.js'
import { Line, numberOf, secondsLeft } from './line.js'
import { currentCall, type Holdable, type Session } from './session.js'

/** How long one may wait, as `acquire(blocking, timeout)` has it: 0 for not at all, null for ever. */
const patience = (blocking: unknown, timeout: unknown): number | null => {
  const unlimited = timeout === null || timeout === undefined || numberOf(timeout) === -1
  if (!blocking) {
    if (!unlimited) throw new ValueError("can't specify a timeout for a non-blocking call")
    return 0
  }
  if (unlimited) return null
  const seconds = numberOf(timeout)
  if (Number.isNaN(seconds)) throw new TypeError('a timeout is a number of seconds')
  if (seconds < 0) throw new ValueError('timeout value must be a non-negative number')
  return secondsLeft(seconds)
}

/** What a condition needs of its lock. */
export interface ConditionLock {
  acquire(blocking?: unknown, timeout?: unknown): boolean | Promise<boolean>
  release(): void
  locked(): boolean
  /** Whether a client may wait and notify. */
  isOwnedBy(session: Session): boolean
  /** Gives it up whole; what is returned takes it back. */
  giveUp(session: Session): () => Promise<unknown> | unknown
}

/** A lock that one client at a time holds, and anybody may release. */
export class LockReferent implements Holdable, ConditionLock {
  #locked = false
  #owner: Session | undefined
  readonly #line = new Line()

  acquire(blocking: unknown = true, timeout: unknown = -1): boolean | Promise<boolean> {
    const seconds = patience(blocking, timeout)
    if (!this.#locked) {
      this.#take(currentCall().session)
      return true
    }
    return seconds === 0 ? false : this.#line.wait(seconds)
  }

  release(): void {
    if (!this.#locked) throw new RuntimeError('release unlocked lock')
    this.#pass()
  }

  locked(): boolean {
    return this.#locked
  }

  abandonedBy(session: Session): void {
    if (this.#owner === session) this.#pass()
  }

  leftBy(session: Session): void {
    if (this.#owner === session) this.#owner = undefined
  }

  isOwnedBy(): boolean {
    return this.#locked
  }

  giveUp(session: Session): () => Promise<unknown> | unknown {
    this.release()
    return () => {
      if (session.ended) return
      if (!this.#locked) return this.#take(session)
      return this.#line.wait(null)
    }
  }

  toString(): string {
    return `<${this.#locked ? 'locked' : 'unlocked'} Lock>`
  }

  #take(session: Session): void {
    this.#locked = true
    this.#owner = session
    session.holds(this)
  }

  #pass(): void {
    this.#owner?.released(this)
    this.#owner = undefined
    const { first } = this.#line
    if (first === undefined) {
      this.#locked = false
      return
    }
    this.#take(first.session)
    first.settle(true)
  }
}

/** A lock that the client which holds it may take again. */
export class RLockReferent implements Holdable, ConditionLock {
  #owner: Session | undefined
  #count = 0
  readonly #line = new Line()

  acquire(blocking: unknown = true, timeout: unknown = -1): boolean | Promise<boolean> {
    const seconds = patience(blocking, timeout)
    const { session } = currentCall()
    if (this.#owner === undefined || this.#owner === session) {
      this.#take(session, this.#count + 1)
      return true
    }
    return seconds === 0 ? false : this.#line.wait(seconds)
  }

  release(): void {
    if (this.#owner !== currentCall().session || this.#count === 0) {
      throw new RuntimeError('cannot release un-acquired lock')
    }
    if (--this.#count === 0) this.#pass()
  }

  locked(): boolean {
    return this.#count > 0
  }

  abandonedBy(session: Session): void {
    if (this.#owner === session) this.#pass()
  }

  /** Nobody else could ever release it. */
  leftBy(session: Session): void {
    this.abandonedBy(session)
  }

  isOwnedBy(session: Session): boolean {
    return this.#owner === session
  }

  giveUp(session: Session): () => Promise<unknown> | unknown {
    const count = this.#count
    this.#pass()
    return () => {
      if (session.ended) return
      if (this.#owner === undefined) return this.#take(session, count)
      return this.#line.wait(null).then((served) => {
        if (served) this.#count = count
      })
    }
  }

  toString(): string {
    return `<${this.#count > 0 ? 'locked' : 'unlocked'} RLock count=${this.#count}>`
  }

  #take(session: Session, count: number): void {
    this.#owner = session
    this.#count = count
    session.holds(this)
  }

  #pass(): void {
    this.#owner?.released(this)
    this.#owner = undefined
    this.#count = 0
    const { first } = this.#line
    if (first === undefined) return
    this.#take(first.session, 1)
    first.settle(true)
  }
}

/** So many may hold it at a time. */
export class SemaphoreReferent implements Holdable {
  protected value: number
  readonly #line = new Line()
  readonly #holders = new Map<Session, number>()

  constructor(value: unknown = 1) {
    if (typeof value !== 'number' || !Number.isInteger(value)) {
      throw new TypeError(`the value of a semaphore is a whole number, not ${String(value)}`)
    }
    if (value < 0) throw new ValueError('semaphore initial value must be >= 0')
    this.value = value
  }

  acquire(blocking: unknown = true, timeout: unknown = null): boolean | Promise<boolean> {
    const seconds = patience(blocking, timeout)
    if (this.value > 0) {
      this.value--
      this.#give(currentCall().session)
      return true
    }
    return seconds === 0 ? false : this.#line.wait(seconds)
  }

  release(n: unknown = 1): void {
    if (typeof n !== 'number' || !Number.isInteger(n) || n < 1)
      throw new ValueError('n must be one or more')
    this.#forget(currentCall().session, n)
    this.#free(n)
  }

  abandonedBy(session: Session): void {
    const count = this.#holders.get(session) ?? 0
    this.#holders.delete(session)
    this.#free(count)
  }

  leftBy(session: Session): void {
    this.#holders.delete(session)
  }

  toString(): string {
    return `<${this.constructor.name.replace('Referent', '')} value=${this.value}>`
  }

  #give(session: Session): void {
    this.#holders.set(session, (this.#holders.get(session) ?? 0) + 1)
    session.holds(this)
  }

  /** What is released was held by whoever releases it, or else by another. */
  #forget(session: Session, n: number): void {
    let left = n
    for (const holder of [session, ...this.#holders.keys()]) {
      const count = this.#holders.get(holder) ?? 0
      const taken = Math.min(left, count)
      if (taken === 0) continue
      left -= taken
      if (count > taken) this.#holders.set(holder, count - taken)
      else {
        this.#holders.delete(holder)
        holder.released(this)
      }
    }
  }

  #free(n: number): void {
    this.value += n
    while (this.value > 0) {
      const { first } = this.#line
      if (first === undefined) return
      this.value--
      this.#give(first.session)
      first.settle(true)
    }
  }
}

/** The same; it cannot be released more often than it was taken. */
export class BoundedSemaphoreReferent extends SemaphoreReferent {
  readonly #bound: number

  constructor(value: unknown = 1) {
    super(value)
    this.#bound = this.value
  }

  override release(n: unknown = 1): void {
    if (this.value + Number(n) > this.#bound) {
      throw new ValueError('Semaphore released too many times')
    }
    super.release(n)
  }
}
