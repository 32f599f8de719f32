/**
 * How locks and semaphores are waited for.
 * @module
 */
import { TimeoutError } from './errors.js'
import { type Held, heldUntil } from './held.js'
import { isInterruptible } from './interruptible.js'
import { DONE, errorOf, NOT_YET, TAKEN_OVER } from './native-status.js'
import { clearWhenCopied, forgetWait, whenOver } from './waiter.js'
import {
  atOnce,
  checkedWait,
  clock,
  endEarly,
  FOREVER,
  milliseconds,
  show,
  type TimeoutOptions,
  type WaitOptions,
} from './waiting.js'

/** The largest value of a semaphore. Mirrors `multiprocessing.synchronize.SEM_VALUE_MAX`. */
export const SEM_VALUE_MAX = 2 ** 31 - 1

/** Options of the Sync forms that acquire. */
export interface AcquireSyncOptions extends TimeoutOptions {
  /** False to take it only if that can be done at once, whatever the timeout; true if not given. */
  block?: boolean
}

/** Options of the Promise forms that acquire. */
export interface AcquireOptions extends AcquireSyncOptions, WaitOptions {}

/** What is waited for: how the engine is asked for it. */
export interface Gate {
  /**
   * Takes it, waiting at most so many milliseconds, after having waited for so many: `DONE`,
   * `TAKEN_OVER`, or another status.
   */
  take(timeout: number, waited: number, interruptible: boolean): number
  /** The same without blocking; from 0 on the number of a wait. */
  takeLater(waited: number, atMost: number): number
  /** Who has waited goes without. */
  leave(): void
}

/** One who waits in the Promise form. */
interface Waiting {
  readonly since: number
  readonly left: () => number
  settle(status: number): void
  fail(reason: unknown): void
}

/** Those in this thread who wait for the same gate in the Promise form: first come, first served. */
export class WaitingLine {
  readonly #gate: Gate
  #line: Waiting[] = []
  #ticket: number | undefined
  #kicked = false

  constructor(gate: Gate) {
    this.#gate = gate
    clearWhenCopied(this)
  }

  /** Whether nobody waits. */
  get isEmpty(): boolean {
    return this.#line.length === 0
  }

  /** Waits at the end of the line: `DONE` or `TAKEN_OVER`, or `NOT_YET` when the time is over. */
  wait(timeout: number, signal: AbortSignal | undefined): Promise<number> {
    return new Promise((resolve, reject) => {
      const stop = endEarly(
        { timeout: timeout === FOREVER ? null : timeout, signal },
        (reason) => this.#giveUp(waiting, reason),
        () => OUT_OF_TIME,
      )
      const waiting: Waiting = {
        since: performance.now(),
        left: clock(timeout),
        settle(status) {
          stop()
          resolve(status)
        },
        fail(reason) {
          stop()
          if (reason === OUT_OF_TIME) resolve(NOT_YET)
          else reject(reason)
        },
      }
      this.#line.push(waiting)
      if (this.#line.length === 1) this.#advance(true)
    })
  }

  /** It was released in this thread: whoever is first may try before the engine says so. */
  kick(): void {
    if (this.#kicked || this.isEmpty) return
    this.#kicked = true
    queueMicrotask(() => {
      this.#kicked = false
      if (this.#ticket !== undefined) forgetWait(this.#ticket)
      this.#ticket = undefined
      this.#advance(true)
    })
  }

  /** Nobody waits: those who did were another process's. */
  clear(): void {
    this.#line = []
    this.#ticket = undefined
    this.#kicked = false
  }

  /** Serves those who can be; `fresh` says not to claim what is reserved for those who have waited. */
  #advance(fresh: boolean): void {
    for (let first = this.#line[0]; first !== undefined; first = this.#line[0]) {
      const waited = fresh ? 0 : Math.max(performance.now() - first.since, 0.001)
      const status = this.#gate.takeLater(waited, first.left())
      if (status >= 0) {
        this.#ticket = status
        whenOver(status, () => {
          this.#ticket = undefined
          this.#advance(false)
        })
        return
      }
      this.#line.shift()
      if (status === DONE || status === TAKEN_OVER) first.settle(status)
      else first.fail(errorOf(status, 'futex'))
      fresh = true
    }
  }

  #giveUp(waiting: Waiting, reason: unknown): void {
    const place = this.#line.indexOf(waiting)
    if (place === -1) return
    if (place > 0) {
      this.#line.splice(place, 1)
      waiting.fail(reason)
      return
    }
    if (this.#ticket !== undefined) forgetWait(this.#ticket)
    this.#ticket = undefined
    const waited = performance.now() - waiting.since
    // What comes at the last moment is not refused.
    const status = reason === OUT_OF_TIME ? this.#gate.take(0, waited, false) : NOT_YET
    this.#line.shift()
    if (status === NOT_YET) {
      this.#gate.leave()
      waiting.fail(reason)
    } else {
      waiting.settle(status)
    }
    this.#advance(true)
  }
}

/** Why somebody gives up whose time is over; those who wait are told in another way. */
const OUT_OF_TIME = Symbol('out of time')

/** The time that a call which acquires may take, once its options are known to be right. */
export const acquireTime = (options: AcquireOptions): number => {
  const { block = true } = options
  if (typeof block !== 'boolean') throw new TypeError(`block must be a boolean, not ${show(block)}`)
  const time = checkedWait(options)
  return block ? time : 0
}

/** The same for the Sync form. */
export const acquireSyncTime = ({ block = true, timeout }: AcquireSyncOptions): number => {
  if (typeof block !== 'boolean') throw new TypeError(`block must be a boolean, not ${show(block)}`)
  const time = milliseconds(timeout)
  return block ? time : 0
}

/**
 * Takes it, blocking: `DONE`, `TAKEN_OVER`, or `NOT_YET` when the time is over.
 *
 * @throws KeyboardInterrupt; what the system refuses.
 */
export const takeSync = (
  gate: Gate,
  timeout: number,
  interruptible = timeout !== 0 && isInterruptible(),
): number => {
  const left = clock(timeout)
  const piece = atOnce(left)
  const since = performance.now()
  let waited = 0
  for (;;) {
    const status = gate.take(piece(), waited, interruptible)
    if (status === DONE || status === TAKEN_OVER) return status
    if (status !== NOT_YET) throw errorOf(status, 'futex')
    if (left() === 0) return NOT_YET
    waited = performance.now() - since
  }
}

/** What can be acquired and released. */
export interface Acquirable {
  acquire(options?: AcquireOptions): Promise<boolean>
  acquireSync(options?: AcquireSyncOptions): boolean
  release(): void
}

/** Acquires, for `using`. */
export const hold = async (lock: Acquirable, options: WaitOptions): Promise<Held> => {
  if (!(await lock.acquire(options))) throw new TimeoutError()
  return heldUntil(() => lock.release())
}

/** The same, blocking. */
export const holdSync = (lock: Acquirable, options: TimeoutOptions): Held => {
  if (!lock.acquireSync(options)) throw new TimeoutError()
  return heldUntil(() => lock.release())
}

/** Runs a function while holding. */
export const runExclusive = async <T>(
  lock: Acquirable,
  run: () => T | Promise<T>,
  options: WaitOptions,
): Promise<T> => {
  checkFunction(run)
  const held = await hold(lock, options)
  try {
    return await run()
  } finally {
    held.release()
  }
}

/** Refuses what cannot be called. */
export const checkFunction = (run: unknown): void => {
  if (typeof run !== 'function') throw new TypeError(`a function is wanted, not ${show(run)}`)
}
