/**
 * Conditions. Mirrors `multiprocessing.Condition`.
 * @module
 */
import { inspect } from 'node:util'
import type { AcquireOptions, AcquireSyncOptions } from './acquiring.js'
import { checkFunction } from './acquiring.js'
import { registerReducer } from './codec/index.js'
import { UnpicklingError } from './errors.js'
import { allocate, type Block, reduceBlock } from './heap.js'
import type { Held } from './held.js'
import { sleepSync } from './interruptible.js'
import { Lock } from './lock.js'
import { assertMine } from './lock-word.js'
import { native } from './native.js'
import { DONE, NOT_YET } from './native-status.js'
import { RLock } from './recursive-lock.js'
import { isObjectOf, rebuildOver } from './same-object.js'
import { untilChanged } from './waiter.js'
import {
  checkedWait,
  clock,
  milliseconds,
  show,
  type TimeoutOptions,
  type WaitOptions,
  waitOptions,
} from './waiting.js'

const SEQUENCE = 0
const WAITING = 4
const SIZE = 20

/** Everybody. */
const ALL = 2 ** 32 - 1

/**
 * A lock, and a way to wait until whoever holds it says that something has changed. It travels as
 * {@link Lock} does.
 *
 * Notifying never waits for those who are notified; so one that was killed holds nobody up. At worst
 * another one wakes up who was not notified, once for each that was killed: look again at what you have
 * waited for, as {@link Condition.waitFor} does. A notification that was meant for one that was killed goes
 * to another one who waits, within some 50 milliseconds.
 *
 * Mirrors `multiprocessing.Condition`.
 */
export class Condition {
  readonly #lock: Lock | RLock
  readonly #block: Block
  readonly #words: Int32Array

  /**
   * @param lock - The lock, a {@link Lock} or an {@link RLock}; a new RLock if not given.
   * @throws TypeError for what is no lock; OSError when no memory or no descriptor can be had.
   */
  constructor(lock?: Lock | RLock | null)
  /** @internal The condition of a block. */
  constructor(lock: Lock | RLock, block: Block)
  constructor(lock?: Lock | RLock | null, block?: Block) {
    const given = lock ?? new RLock()
    if (!(given instanceof Lock || given instanceof RLock)) {
      throw new TypeError(`a Lock or an RLock is wanted, not ${show(given)}`)
    }
    this.#lock = given
    this.#block = block ?? allocate(SIZE)
    this.#words = new Int32Array(this.#block.buffer)
    if (block === undefined) isObjectOf(this.#block, this)
  }

  /** Takes the lock: as {@link Lock.acquire} or {@link RLock.acquire}. */
  async acquire(options: AcquireOptions = {}): Promise<boolean> {
    return await this.#lock.acquire(options)
  }

  /** Takes the lock, blocking the thread: as {@link Lock.acquireSync} or {@link RLock.acquireSync}. */
  acquireSync(options?: AcquireSyncOptions): boolean {
    return this.#lock.acquireSync(options)
  }

  /** Releases the lock: as {@link Lock.release} or {@link RLock.release}. */
  release(): void {
    this.#lock.release()
  }

  /** Whether anybody holds the lock. */
  locked(): boolean {
    return this.#lock.locked()
  }

  /** Takes the lock for the rest of a block: as {@link Lock.hold} or {@link RLock.hold}. */
  async hold(options: WaitOptions = {}): Promise<Held> {
    return await this.#lock.hold(options)
  }

  /** The same, blocking the thread. */
  holdSync(options: TimeoutOptions = {}): Held {
    return this.#lock.holdSync(options)
  }

  /** Runs a function while holding the lock: as {@link Lock.runExclusive} or {@link RLock.runExclusive}. */
  async runExclusive<T>(run: () => T | Promise<T>, options: WaitOptions = {}): Promise<T> {
    return await this.#lock.runExclusive(run, options)
  }

  /**
   * Releases the lock, however often this thread has acquired it, waits to be notified, and takes the lock
   * again, as often; that it does in any case, however long it takes.
   *
   * @param options - Milliseconds to wait at most; or options.
   * @returns Whether it was notified: false when the time was over.
   * @throws AssertionError "must acquire() condition before using wait()"; the signal's reason, holding the
   * lock.
   */
  async wait(options: number | null | WaitOptions = {}): Promise<boolean> {
    const wanted = waitOptions(options)
    const left = clock(checkedWait(wanted))
    const { signal } = wanted
    this.#assertMine()
    let [number, seen] = native.conditionEnter(this.#block.handle) as [number, number]
    for (;;) {
      const regain = this.#lock.letGo()
      await untilChanged(this.#block, SEQUENCE, seen, left, signal)
      await regain.later()
      const last = left() === 0 || signal?.aborted === true
      const found = native.conditionLook(this.#block.handle, number, last)
      if (found === DONE) return true
      if (found === NOT_YET) {
        signal?.throwIfAborted()
        return false
      }
      seen = found
    }
  }

  /**
   * The same, blocking the thread.
   *
   * @throws KeyboardInterrupt, holding the lock, when SIGINT comes to the main thread of a program that
   * listens for it.
   */
  waitSync(options: number | null | TimeoutOptions = {}): boolean {
    const left = clock(milliseconds(waitOptions(options).timeout))
    this.#assertMine()
    let [number, seen] = native.conditionEnter(this.#block.handle) as [number, number]
    for (;;) {
      const regain = this.#lock.letGo()
      const interrupt = thrownBy(() => sleepSync(this.#block, SEQUENCE, seen, left))
      regain.now()
      const last = left() === 0 || interrupt !== undefined
      const found = native.conditionLook(this.#block.handle, number, last)
      if (found === DONE) return true
      if (interrupt !== undefined) throw interrupt
      if (found === NOT_YET) return false
      seen = found
    }
  }

  /**
   * Waits until a function says so, which is called with the lock held: now, and after each notification.
   *
   * @param predicate - What it returns ends the wait when it is truthy; it may return a Promise.
   * @param options - Milliseconds to wait at most; or options.
   * @returns What the function has returned last, which is falsy when the time was over.
   * @throws What {@link Condition.wait} throws, if it has to wait; what the function throws.
   */
  async waitFor<T>(
    predicate: () => T | Promise<T>,
    options: number | null | WaitOptions = {},
  ): Promise<T> {
    checkFunction(predicate)
    const wanted = waitOptions(options)
    const left = clock(checkedWait(wanted))
    let result = await predicate()
    while (!result) {
      const timeout = left()
      if (timeout === 0) break
      await this.wait({ timeout: timeout < 0 ? null : timeout, signal: wanted.signal })
      result = await predicate()
    }
    return result
  }

  /** The same, blocking the thread; the function must not return a Promise. */
  waitForSync<T>(predicate: () => T, options: number | null | TimeoutOptions = {}): T {
    checkFunction(predicate)
    const left = clock(milliseconds(waitOptions(options).timeout))
    let result = predicate()
    while (!result) {
      const timeout = left()
      if (timeout === 0) break
      this.waitSync(timeout < 0 ? null : timeout)
      result = predicate()
    }
    return result
  }

  /**
   * Lets some of those who wait go on, those first who have slept longest, once the lock is released. Does
   * not block.
   *
   * @param n - How many at most; 1 if not given.
   * @throws AssertionError "lock is not owned"; TypeError for what is no whole number.
   */
  notify(n = 1): void {
    if (typeof n !== 'number' || !(Number.isInteger(n) || n === Number.POSITIVE_INFINITY)) {
      throw new TypeError(`n must be a whole number, not ${show(n)}`)
    }
    assertMine(this.#lock.word, 'lock is not owned')
    if (n > 0) native.conditionNotify(this.#block.handle, Math.min(n, ALL))
  }

  /** Lets all go on who wait; as {@link Condition.notify}. */
  notifyAll(): void {
    this.notify(ALL)
  }

  /** As the reference shows it: `<Condition(<RLock(None, 0)>, 0)>`, with how many wait. */
  toString(): string {
    const waiting = Atomics.load(this.#words, WAITING)
    return `<${this.constructor.name}(${this.#lock}, ${waiting})>`
  }

  /** The same, in the console. */
  [inspect.custom](): string {
    return this.toString()
  }

  /** @internal */
  get parts(): { readonly lock: Lock | RLock; readonly block: Block } {
    return { lock: this.#lock, block: this.#block }
  }

  #assertMine(): void {
    assertMine(this.#lock.word, 'must acquire() condition before using wait()')
  }
}

const thrownBy = (work: () => void): unknown => {
  try {
    work()
    return undefined
  } catch (error) {
    return error
  }
}

registerReducer(Condition, {
  name: 'synchronize.Condition',
  trustedOnly: true,
  reduce: ({ parts: { lock, block } }, context) => [lock, reduceBlock(block, context)],
  rebuild: (state, context) => {
    const [lock, sent] = Array.isArray(state) ? state : []
    if (!(lock instanceof Lock || lock instanceof RLock)) {
      throw new UnpicklingError('a condition is malformed')
    }
    return rebuildOver(sent, context, SIZE, (block) => new Condition(lock, block))
  },
})
