/**
 * Locks. Mirrors `multiprocessing.Lock`.
 * @module
 */
import { inspect } from 'node:util'
import {
  type AcquireOptions,
  type AcquireSyncOptions,
  acquireSyncTime,
  acquireTime,
  hold,
  holdSync,
  runExclusive,
} from './acquiring.js'
import { registerReducer } from './codec/index.js'
import { type Block, reduceBlock } from './heap.js'
import type { Held } from './held.js'
import { LOCK_SIZE, LockWord } from './lock-word.js'
import { isObjectOf, rebuildOver } from './same-object.js'
import { FOREVER, type TimeoutOptions, type WaitOptions } from './waiting.js'

/**
 * A lock that one thread of one process holds at a time. Whoever has it may send it on: over a connection,
 * through a queue, as an argument of a process; all have the same lock then.
 *
 * Like the reference's it may be released by anybody, not only by whoever holds it, and acquiring it again
 * in the thread that holds it waits for ever; see {@link RLock} for one that may be.
 *
 * A process that dies while it holds the lock, in whatever way, does not keep it: the next one who waits
 * takes it over, within some 50 milliseconds, and then {@link Lock.abandoned} is true. Those who were asleep
 * when somebody was killed are served at the latest after that time, too. Nobody waits for ever while others
 * take turns: one who has waited for more than a millisecond is served before those who come later.
 *
 * Mirrors `multiprocessing.Lock`; see "Synchronization between processes" in the reference's manual.
 */
export class Lock {
  readonly #word: LockWord

  /** @throws OSError when no memory or no descriptor can be had. */
  constructor()
  /** @internal The lock of a block. */
  constructor(block: Block)
  constructor(block?: Block) {
    this.#word = new LockWord(block)
    if (block === undefined) isObjectOf(this.#word.block, this)
  }

  /**
   * Takes the lock, waiting for it if need be. Those of a thread who wait in this form are served first
   * come, first served; a wait keeps the event loop alive, and blocks nothing.
   *
   * @param options - `timeout` in milliseconds; with `block: false` it is taken only if it is free now, and
   * the timeout is ignored.
   * @returns Whether it was taken: false when the time was over.
   * @throws TypeError for options of a wrong type; the signal's reason, and then it is not taken.
   */
  async acquire(options: AcquireOptions = {}): Promise<boolean> {
    return await this.#word.acquire(acquireTime(options), options.signal)
  }

  /**
   * The same, blocking the thread.
   *
   * @throws KeyboardInterrupt when SIGINT comes to the main thread of a program that listens for it.
   */
  acquireSync(options?: AcquireSyncOptions): boolean {
    if (options === undefined && this.#word.tryFresh()) return true
    return this.#word.acquireSync(options === undefined ? FOREVER : acquireSyncTime(options))
  }

  /**
   * Frees the lock, whoever holds it. Does not block.
   *
   * @throws ValueError "semaphore or lock released too many times" when nobody holds it.
   */
  release(): void {
    this.#word.release()
  }

  /** Whether anybody holds it. */
  locked(): boolean {
    return this.#word.owner !== 0
  }

  /**
   * Whether it was taken over from a process or thread that died while it held it. What it guards may be
   * half done then. It is so until the lock is released.
   */
  get abandoned(): boolean {
    return this.#word.abandoned
  }

  /**
   * Takes the lock for the rest of a block: `using held = await lock.hold()`.
   *
   * @throws TimeoutError when the time is over; the signal's reason.
   */
  async hold(options: WaitOptions = {}): Promise<Held> {
    return await hold(this, options)
  }

  /** The same, blocking the thread; what {@link Lock.acquireSync} throws, and TimeoutError. */
  holdSync(options: TimeoutOptions = {}): Held {
    return holdSync(this, options)
  }

  /**
   * Runs a function while holding the lock, and waits until it has settled.
   *
   * @returns What the function returns.
   * @throws What the function throws; TypeError when it is none; what {@link Lock.hold} throws.
   */
  async runExclusive<T>(run: () => T | Promise<T>, options: WaitOptions = {}): Promise<T> {
    return await runExclusive(this, run, options)
  }

  /** As the reference shows it: `<Lock(owner=MainProcess)>`. */
  toString(): string {
    return `<${this.constructor.name}(owner=${this.#word.ownerName.name})>`
  }

  /** The same, in the console. */
  [inspect.custom](): string {
    return this.toString()
  }

  /** @internal */
  get word(): LockWord {
    return this.#word
  }

  /** @internal Gives the lock up for a condition's wait; what is returned takes it back. */
  letGo(): Regain {
    this.#word.release()
    return {
      now: () => this.#word.regainSync(),
      later: async () => void (await this.#word.acquire(FOREVER, undefined)),
    }
  }
}

/** How what was given up for a wait is taken back. */
export interface Regain {
  now(): void
  later(): Promise<void>
}

registerReducer(Lock, {
  name: 'synchronize.Lock',
  trustedOnly: true,
  reduce: (lock, context) => reduceBlock(lock.word.block, context),
  rebuild: (state, context) => rebuildOver(state, context, LOCK_SIZE, (block) => new Lock(block)),
})
