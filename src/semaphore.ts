/**
 * Semaphores. Mirrors `multiprocessing.Semaphore` and `multiprocessing.BoundedSemaphore`.
 * @module
 */
import { constants } from 'node:os'
import { inspect } from 'node:util'
import {
  type AcquireOptions,
  type AcquireSyncOptions,
  acquireSyncTime,
  acquireTime,
  type Gate,
  hold,
  holdSync,
  runExclusive,
  SEM_VALUE_MAX,
  takeSync,
  WaitingLine,
} from './acquiring.js'
import { registerReducer } from './codec/index.js'
import { OSError, UnpicklingError, ValueError } from './errors.js'
import { allocate, type Block, reduceBlock } from './heap.js'
import type { Held } from './held.js'
import { native } from './native.js'
import { DONE, NOT_HELD } from './native-status.js'
import { isObjectOf, rebuildOver } from './same-object.js'
import { FOREVER, show, type TimeoutOptions, type WaitOptions } from './waiting.js'

const VALUE = 0
const WAITING = 1
const SIZE = 12

/** The part of the word that is the value; the rest says that somebody has waited long. */
const COUNT = SEM_VALUE_MAX

/** The words of a semaphore as a thread has them. */
class SemaphoreWords implements Gate {
  readonly block: Block
  readonly most: number
  readonly #words: Int32Array
  #line: WaitingLine | undefined

  constructor(block: Block, most: number) {
    this.block = block
    this.most = most
    this.#words = new Int32Array(block.buffer)
  }

  static of(value: number, most: number): SemaphoreWords {
    const block = allocate(SIZE)
    Atomics.store(new Int32Array(block.buffer), VALUE, value)
    return new SemaphoreWords(block, most)
  }

  get value(): number {
    return Atomics.load(this.#words, VALUE) & COUNT
  }

  /** Takes one if there is one for those who have not waited. */
  tryFresh(): boolean {
    const words = this.#words
    const value = Atomics.load(words, VALUE)
    return value > 0 && Atomics.compareExchange(words, VALUE, value, value - 1) === value
  }

  acquireSync(time: number): boolean {
    return takeSync(this, time) === DONE
  }

  async acquire(time: number, signal: AbortSignal | undefined): Promise<boolean> {
    if (time === 0) return this.acquireSync(0)
    if ((this.#line === undefined || this.#line.isEmpty) && this.tryFresh()) return true
    this.#line ??= new WaitingLine(this)
    return (await this.#line.wait(time, signal)) === DONE
  }

  release(): void {
    const words = this.#words
    const value = Atomics.load(words, VALUE)
    if (
      value >= 0 &&
      value < this.most &&
      Atomics.compareExchange(words, VALUE, value, value + 1) === value
    ) {
      if (Atomics.load(words, WAITING) !== 0) native.semaphoreWake(this.block.handle)
    } else if (native.semaphoreRelease(this.block.handle, this.most) === NOT_HELD) {
      throw new ValueError('semaphore or lock released too many times')
    }
    this.#line?.kick()
  }

  take(timeout: number, waited: number, interruptible: boolean): number {
    return native.semaphoreAcquire(this.block.handle, timeout, waited, interruptible)
  }

  takeLater(waited: number, atMost: number): number {
    return native.semaphoreAcquireLater(this.block.handle, waited, atMost)
  }

  leave(): void {
    native.semaphoreLeave(this.block.handle)
  }
}

/** An initial value, or what is wrong with it. */
const checkedValue = (value: unknown): number => {
  if (typeof value !== 'number' || !Number.isInteger(value)) {
    throw new TypeError(`the value of a semaphore is a whole number, not ${show(value)}`)
  }
  if (value < 0) {
    throw new OSError(`EINVAL: invalid argument, the value ${value} is below 0`, {
      code: 'EINVAL',
      errno: -constants.errno.EINVAL,
      syscall: 'sem_open',
    })
  }
  if (value > SEM_VALUE_MAX) {
    throw new ValueError(`the value ${value} is more than ${SEM_VALUE_MAX}`)
  }
  return value
}

/**
 * A number that can be taken from and added to, by any process that has the semaphore, and that does not
 * fall below zero: who takes waits for who adds. It travels as {@link Lock} does.
 *
 * Nobody owns what was taken: if a process dies that has taken one, nobody else knows whether it would have
 * given it back, so it is lost, as in the reference. Use a lock where that must not be. Whoever dies while
 * it waits takes nothing with it. One who has waited for more than a millisecond is served before those who
 * come later.
 *
 * Mirrors `multiprocessing.Semaphore`.
 */
export class Semaphore {
  readonly #words: SemaphoreWords

  /**
   * @param value - What it begins with, 0 to 2147483647; 1 if not given.
   * @throws OSError `EINVAL` for less than 0, ValueError for more than there can be, TypeError for what is
   * no whole number; OSError when no memory can be had.
   */
  constructor(value?: number)
  /** @internal The semaphore of a block. */
  constructor(value: number, most: number, block?: Block)
  constructor(value = 1, most = SEM_VALUE_MAX, block?: Block) {
    this.#words =
      block === undefined
        ? SemaphoreWords.of(checkedValue(value), most)
        : new SemaphoreWords(block, most)
    if (block === undefined) isObjectOf(this.#words.block, this)
  }

  /**
   * Takes one, waiting until there is one. Those of a thread who wait in this form are served first come,
   * first served; a wait keeps the event loop alive, and blocks nothing.
   *
   * @param options - `timeout` in milliseconds; with `block: false` one is taken only if there is one now,
   * and the timeout is ignored.
   * @returns Whether one was taken: false when the time was over.
   * @throws TypeError for options of a wrong type; the signal's reason, and then none is taken.
   */
  async acquire(options: AcquireOptions = {}): Promise<boolean> {
    return await this.#words.acquire(acquireTime(options), options.signal)
  }

  /**
   * The same, blocking the thread.
   *
   * @throws KeyboardInterrupt when SIGINT comes to the main thread of a program that listens for it.
   */
  acquireSync(options?: AcquireSyncOptions): boolean {
    if (options === undefined && this.#words.tryFresh()) return true
    return this.#words.acquireSync(options === undefined ? FOREVER : acquireSyncTime(options))
  }

  /**
   * Adds one, whether or not this process has taken any. Does not block.
   *
   * @throws ValueError "semaphore or lock released too many times" when the value would be too large.
   */
  release(): void {
    this.#words.release()
  }

  /**
   * The value as it is now. Others may change it before it can be used.
   *
   * Mirrors `Semaphore.get_value`.
   */
  getValue(): number {
    return this.#words.value
  }

  /** Whether there is none to take. */
  locked(): boolean {
    return this.#words.value === 0
  }

  /**
   * Takes one for the rest of a block: `using held = await semaphore.hold()`.
   *
   * @throws TimeoutError when the time is over; the signal's reason.
   */
  async hold(options: WaitOptions = {}): Promise<Held> {
    return await hold(this, options)
  }

  /** The same, blocking the thread; what {@link Semaphore.acquireSync} throws, and TimeoutError. */
  holdSync(options: TimeoutOptions = {}): Held {
    return holdSync(this, options)
  }

  /**
   * Takes one while a function runs, and until what it returns has settled.
   *
   * @returns What the function returns.
   * @throws What the function throws; TypeError when it is none; what {@link Semaphore.hold} throws.
   */
  async runExclusive<T>(run: () => T | Promise<T>, options: WaitOptions = {}): Promise<T> {
    return await runExclusive(this, run, options)
  }

  /** As the reference shows it: `<Semaphore(value=1)>`. */
  toString(): string {
    return `<${this.constructor.name}(value=${this.getValue()})>`
  }

  /** The same, in the console. */
  [inspect.custom](): string {
    return this.toString()
  }

  /** @internal */
  get words(): { readonly block: Block; readonly most: number } {
    return this.#words
  }
}

/**
 * A semaphore that refuses to become larger than it was in the beginning: who releases more often than was
 * acquired has a fault.
 *
 * Mirrors `multiprocessing.BoundedSemaphore`.
 */
export class BoundedSemaphore extends Semaphore {
  /**
   * @param value - What it begins with, and the most it can have; 1 if not given.
   * @throws As {@link Semaphore}.
   */
  constructor(value?: number)
  /** @internal The semaphore of a block. */
  constructor(value: number, most: number, block?: Block)
  constructor(value = 1, most = value, block?: Block) {
    super(value, most, block)
  }

  /** As the reference shows it: `<BoundedSemaphore(value=1, maxvalue=2)>`. */
  override toString(): string {
    return `<${this.constructor.name}(value=${this.getValue()}, maxvalue=${this.words.most})>`
  }
}

registerReducer(Semaphore, {
  name: 'synchronize.Semaphore',
  trustedOnly: true,
  reduce: ({ words }, context) => reduceBlock(words.block, context),
  rebuild: (state, context) =>
    rebuildOver(state, context, SIZE, (block) => new Semaphore(0, SEM_VALUE_MAX, block)),
})

registerReducer(BoundedSemaphore, {
  name: 'synchronize.BoundedSemaphore',
  trustedOnly: true,
  reduce: ({ words }, context) => [reduceBlock(words.block, context), words.most],
  rebuild: (state, context) => {
    const [sent, most] = Array.isArray(state) ? state : []
    if (!Number.isInteger(most)) throw new UnpicklingError('a semaphore is malformed')
    return rebuildOver(sent, context, SIZE, (block) => new BoundedSemaphore(0, most, block))
  },
})
