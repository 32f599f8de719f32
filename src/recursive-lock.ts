/**
 * Locks that their owner may acquire again. Mirrors `multiprocessing.RLock`.
 * @module
 */
import { inspect } from 'node:util'
import {
  type AcquireOptions,
  type AcquireSyncOptions,
  acquireSyncTime,
  acquireTime,
  checkFunction,
  holdSync,
} from './acquiring.js'
import { registerReducer } from './codec/index.js'
import { TimeoutError } from './errors.js'
import { type Block, reduceBlock } from './heap.js'
import { type Held, heldUntil } from './held.js'
import type { Regain } from './lock.js'
import { assertMine, LOCK_SIZE, LockWord } from './lock-word.js'
import { isObjectOf, rebuildOver } from './same-object.js'
import { TaskLock, type Turn } from './tasks.js'
import { checkedWait, FOREVER, type TimeoutOptions, type WaitOptions } from './waiting.js'

/**
 * A lock that its owner, a thread of a process, may acquire again; it is free when it has been released as
 * often. It travels as {@link Lock} does, and is taken over from the dead in the same way.
 *
 * To `acquire` all tasks of a thread are the same owner, as in the reference: two functions that are both
 * under way may both be in. {@link RLock.runExclusive} and {@link RLock.hold} let one of them in at a time;
 * within `runExclusive`, what the function calls and waits for may acquire again in every form.
 *
 * Mirrors `multiprocessing.RLock`.
 */
export class RLock {
  readonly #word: LockWord
  readonly #tasks = new TaskLock()

  /** @throws OSError when no memory or no descriptor can be had. */
  constructor()
  /** @internal The lock of a block. */
  constructor(block: Block)
  constructor(block?: Block) {
    this.#word = new LockWord(block)
    if (block === undefined) isObjectOf(this.#word.block, this)
  }

  /**
   * Takes the lock, or takes it once more when this thread holds it already.
   *
   * @param options - `timeout` in milliseconds; with `block: false` it is taken only if that can be done
   * now, and the timeout is ignored.
   * @returns Whether it was taken: false when the time was over.
   * @throws TypeError for options of a wrong type; the signal's reason, and then it is not taken.
   */
  async acquire(options: AcquireOptions = {}): Promise<boolean> {
    const time = acquireTime(options)
    if (this.#again()) return true
    return await this.#word.acquire(time, options.signal)
  }

  /**
   * The same, blocking the thread.
   *
   * @throws KeyboardInterrupt when SIGINT comes to the main thread of a program that listens for it.
   */
  acquireSync(options?: AcquireSyncOptions): boolean {
    const time = options === undefined ? FOREVER : acquireSyncTime(options)
    if (this.#again()) return true
    if (!this.#word.tryFresh()) return this.#word.acquireSync(time)
    this.#word.count = 1
    return true
  }

  /**
   * Releases it once. Does not block.
   *
   * @throws AssertionError "attempt to release recursive lock not owned by thread" when this thread does
   * not hold it.
   */
  release(): void {
    const word = this.#word
    assertMine(word, 'attempt to release recursive lock not owned by thread')
    const { count } = word
    if (count > 1) word.count = count - 1
    else word.release()
  }

  /** Whether anybody holds it. */
  locked(): boolean {
    return this.#word.owner !== 0
  }

  /**
   * Whether it was taken over from a process or thread that died while it held it. What it guards may be
   * half done then. It is so until the lock is free again.
   */
  get abandoned(): boolean {
    return this.#word.abandoned
  }

  /**
   * Takes the lock for the rest of a block: `using held = await lock.hold()`. Other tasks of this thread
   * that come by `hold` or `runExclusive` wait until it is released. Within `runExclusive` it is taken once
   * more; but one `hold` within another, outside of that, waits for itself.
   *
   * @throws TimeoutError when the time is over; the signal's reason.
   */
  async hold(options: WaitOptions = {}): Promise<Held> {
    checkedWait(options)
    if (this.#tasks.current !== undefined) {
      await this.#acquireOr(options)
      return heldUntil(() => this.release())
    }
    const turn = await this.#enter(options)
    return heldUntil(() => this.#exit(turn))
  }

  /** As {@link RLock.acquireSync}, for the rest of a block; TimeoutError when the time is over. */
  holdSync(options: TimeoutOptions = {}): Held {
    return holdSync(this, options)
  }

  /**
   * Runs a function while holding the lock, and waits until it has settled. Tasks of this thread exclude
   * each other, and whatever runs within the function belongs to its task.
   *
   * @returns What the function returns.
   * @throws What the function throws; TypeError when it is none; what {@link RLock.hold} throws.
   */
  async runExclusive<T>(run: () => T | Promise<T>, options: WaitOptions = {}): Promise<T> {
    checkFunction(run)
    checkedWait(options)
    if (this.#tasks.current !== undefined) {
      await this.#acquireOr(options)
      try {
        return await run()
      } finally {
        this.release()
      }
    }
    const turn = await this.#enter(options)
    try {
      return await this.#tasks.run(turn, run)
    } finally {
      this.#exit(turn)
    }
  }

  /** As the reference shows it: `<RLock(MainProcess, 1)>`. */
  toString(): string {
    const { name, isMine } = this.#word.ownerName
    const count = isMine ? this.#word.count : name === 'None' ? 0 : 'nonzero'
    return `<${this.constructor.name}(${name}, ${count})>`
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
    const word = this.#word
    const { count } = word
    const turn = this.#tasks.current
    word.release()
    if (turn !== undefined) this.#tasks.leave(turn)
    const back = (): void => {
      word.count += count - 1
    }
    return {
      now: () => {
        word.regainSync()
        back()
      },
      later: async () => {
        if (turn !== undefined) await this.#tasks.reenter(turn)
        // Another task of this thread that holds it has to be done first.
        await word.acquire(FOREVER, undefined)
        back()
      },
    }
  }

  /** Takes it once more, if this thread holds it. */
  #again(): boolean {
    if (!this.#word.isMine) return false
    this.#word.count++
    return true
  }

  async #acquireOr(options: WaitOptions): Promise<void> {
    if (!(await this.acquire(options))) throw new TimeoutError()
  }

  async #enter(options: WaitOptions): Promise<Turn> {
    const [turn, rest] = await this.#tasks.enter(options)
    try {
      await this.#acquireOr(rest)
    } catch (error) {
      this.#tasks.leave(turn)
      throw error
    }
    return turn
  }

  #exit(turn: Turn): void {
    try {
      this.release()
    } finally {
      this.#tasks.leave(turn)
    }
  }
}

registerReducer(RLock, {
  name: 'synchronize.RLock',
  trustedOnly: true,
  reduce: (lock, context) => reduceBlock(lock.word.block, context),
  rebuild: (state, context) => rebuildOver(state, context, LOCK_SIZE, (block) => new RLock(block)),
})
