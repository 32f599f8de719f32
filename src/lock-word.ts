/**
 * The word of a lock, which says who holds it. What nobody waits for is taken and freed here, without the
 * engine; `crates/sync/src/lock.rs` has the rest.
 * @module
 */
import { type Gate, takeSync, WaitingLine } from './acquiring.js'
import { AssertionError, ValueError } from './errors.js'
import { allocate, type Block } from './heap.js'
import { native } from './native.js'
import { DONE, NOT_HELD, NOT_YET, TAKEN_OVER } from './native-status.js'
import { currentProcess, currentThread, isThread } from './process-state.js'
import { copies } from './waiter.js'
import { FOREVER } from './waiting.js'

const WORD = 0
const ABANDONED = 1
/** How many times the owner of a recursive lock holds it; nobody else looks. */
const COUNT = 2
/** Whether the thread that has it biased holds it; nobody else writes that. See `crates/sync/src/bias.rs`. */
const INSIDE = 3
/** How many bytes a lock has. */
export const LOCK_SIZE = 16

/** Set in the word of a lock that is biased. */
const BIASED = 2 ** 29
/** The part of the word that is the owner's tag. */
const TAG = BIASED - 1

/** After how many times that nobody else was there its maker has a lock biased. */
const OFTEN = 64

/** A lock as a thread has it. */
export class LockWord implements Gate {
  readonly block: Block
  readonly #words: Int32Array
  #tag = 0
  #copy = -1
  #line: WaitingLine | undefined
  /** The copy of the process that has it biased, if this thread has. */
  #biasedIn = -1
  /** The copy of the process that made it: of all who have it, one thread may have it biased, and once. */
  readonly #madeIn: number
  /** How often it is still to be freed before that; 0 for never. */
  #untilBiased: number
  #tried = OFTEN

  /** The one of a block that came; or a new one. */
  constructor(block?: Block) {
    this.#madeIn = copies.count
    this.#untilBiased = block === undefined ? OFTEN : 0
    this.block = block ?? allocate(LOCK_SIZE)
    this.#words = new Int32Array(this.block.buffer)
    this.#tag = this.block.tag
    this.#copy = copies.count
  }

  /** This thread's tag. */
  get tag(): number {
    if (this.#copy !== copies.count) {
      this.#tag = this.block.tag
      this.#copy = copies.count
    }
    return this.#tag
  }

  /** The tag of whoever holds it, 0 for nobody. */
  get owner(): number {
    const word = Atomics.load(this.#words, WORD)
    return (word & BIASED) !== 0 && Atomics.load(this.#words, INSIDE) === 0 ? 0 : word & TAG
  }

  /** Whether this thread holds it. */
  get isMine(): boolean {
    const words = this.#words
    if (this.#biasedIn === copies.count && words[WORD] === (BIASED | this.#tag)) {
      return words[INSIDE] !== 0
    }
    return this.owner === this.tag
  }

  /** Whether it was taken over from an owner that had died, and not released since. */
  get abandoned(): boolean {
    return Atomics.load(this.#words, ABANDONED) !== 0
  }

  /** How many times the owner holds it; only the owner may ask, and say. */
  get count(): number {
    return this.#words[COUNT]!
  }

  set count(count: number) {
    this.#words[COUNT] = count
  }

  /** Takes it if nobody holds it or waits for it. */
  tryFresh(): boolean {
    const words = this.#words
    if (this.#biasedIn === copies.count) {
      if (words[INSIDE] !== 0) return false
      // Whoever comes now makes a barrier between these two; see `crates/sync/src/bias.rs`.
      words[INSIDE] = 1
      if (words[WORD] === (BIASED | this.#tag)) return true
      if (this.#unbias()) return true
    }
    const tag = this.#copy === copies.count ? this.#tag : this.tag
    return Atomics.compareExchange(words, WORD, 0, tag) === 0
  }

  /** It is like any other from now on: whether this thread holds it. */
  #unbias(): boolean {
    native.lockUnbias(this.block.handle)
    this.#biasedIn = -1
    return this.owner === this.tag
  }

  /** Nobody else was there for a while: this thread has it to itself, until somebody comes. */
  #bias(): void {
    if (this.#madeIn !== copies.count) return
    if (!native.lockMayBeBiased()) {
      this.#tried = Math.min(this.#tried * 2, MOST)
      this.#untilBiased = this.#tried
      return
    }
    this.#words[INSIDE] = 0
    if (Atomics.compareExchange(this.#words, WORD, 0, BIASED | this.tag) === 0) {
      this.#biasedIn = copies.count
    }
  }

  /** Takes it, blocking: whether the time sufficed. */
  acquireSync(time: number): boolean {
    if (this.#biasedIn === copies.count && this.tryFresh()) {
      this.count = 1
      return true
    }
    return this.#had(takeSync(this, time))
  }

  /** Takes it back, blocking, whatever comes. */
  regainSync(): void {
    this.#had(takeSync(this, FOREVER, false))
  }

  /** Takes it: whether the time sufficed. */
  async acquire(time: number, signal: AbortSignal | undefined): Promise<boolean> {
    // What can be had now is had, when there is no time to wait for one's turn.
    if (time === 0) return this.acquireSync(0)
    if ((this.#line === undefined || this.#line.isEmpty) && this.tryFresh()) {
      this.count = 1
      return true
    }
    this.#line ??= new WaitingLine(this)
    return this.#had(await this.#line.wait(time, signal))
  }

  /**
   * Frees it, whoever holds it.
   *
   * @throws ValueError when it is free.
   */
  release(): void {
    const words = this.#words
    if (this.#biasedIn === copies.count && words[INSIDE] === 1) {
      const biased = BIASED | this.#tag
      if (words[WORD] === biased) {
        words[INSIDE] = 0
        // As in `tryFresh`. If somebody has come just now, it may be free, and it may not.
        if (words[WORD] !== biased && this.#unbias()) this.#releaseSlowly()
        return
      }
      this.#unbias()
    }
    const tag = this.#copy === copies.count ? this.#tag : this.tag
    if (Atomics.compareExchange(words, WORD, tag, 0) !== tag) this.#releaseSlowly()
    else if (this.#untilBiased > 0 && --this.#untilBiased === 0) this.#bias()
  }

  #releaseSlowly(): void {
    if (native.lockRelease(this.block.handle) === NOT_HELD) {
      throw new ValueError('semaphore or lock released too many times')
    }
    this.#line?.kick()
  }

  take(timeout: number, waited: number, interruptible: boolean): number {
    const { handle } = this.block
    if (this.#biasedIn === copies.count) this.#unbias()
    return this.#taken(native.lockAcquire(handle, this.tag, timeout, waited, interruptible))
  }

  takeLater(waited: number, atMost: number): number {
    if (this.#biasedIn === copies.count) this.#unbias()
    return this.#taken(native.lockAcquireLater(this.block.handle, this.tag, waited, atMost))
  }

  /** Nothing may come between taking it and saying how often it is held. */
  #taken(status: number): number {
    if (status === DONE || status === TAKEN_OVER) this.count = 1
    return status
  }

  leave(): void {
    native.lockLeave(this.block.handle)
  }

  #had(status: number): boolean {
    if (status === TAKEN_OVER) warn()
    return status === DONE || status !== NOT_YET
  }

  /** Who holds it, as the reference's representations say it, and whether that can be counted. */
  get ownerName(): { name: string; isMine: boolean } {
    const { owner } = this
    if (owner === 0) return { name: 'None', isMine: false }
    if (owner === this.tag) return { name: ownName(), isMine: true }
    const here = native.tagIsOfThisProcess(this.block.handle, owner)
    return { name: here ? 'SomeOtherThread' : 'SomeOtherProcess', isMine: false }
  }
}

/** At the latest after so many times it is tried again to have a lock biased. */
const MOST = 2 ** 20

const ownName = (): string => {
  const { name } = currentProcess()
  if (native.isMainThread()) return name
  const thread = currentThread()
  if (isThread(thread)) return `${name}|${thread.name}`
  const threads = process.getBuiltinModule('node:worker_threads')
  const { threadName } = threads as { threadName?: string }
  return `${name}|${threadName || `Thread-${threads.threadId}`}`
}

let warned = false

/** Once: a program that goes on with what a dead process has left half done should look at `abandoned`. */
const warn = (): void => {
  if (warned) return
  warned = true
  process.emitWarning(
    'a process or thread died while it held a lock, which another one has taken over; what the lock ' +
      'guards may be half done (see lock.abandoned)',
    { code: 'ERR_MULTIPROCESSING_ABANDONED_LOCK', type: 'MultiprocessingWarning' },
  )
}

/** @throws AssertionError when this thread does not hold it. */
export const assertMine = (word: LockWord, message: string): void => {
  if (!word.isMine) throw new AssertionError(message)
}
