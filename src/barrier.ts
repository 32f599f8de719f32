/**
 * Barriers. Mirrors `multiprocessing.Barrier`.
 * @module
 */
import { inspect } from 'node:util'
import { registerReducer } from './codec/index.js'
import { BrokenBarrierError, UnpicklingError, ValueError } from './errors.js'
import { Finalize } from './finalize.js'
import { allocate, type Block, reduceBlock } from './heap.js'
import { sleepSync } from './interruptible.js'
import { native } from './native.js'
import { BUSY, checked, DONE, NOT_HELD, NOT_YET } from './native-status.js'
import { isObjectOf, rebuildOver } from './same-object.js'
import { copies, untilChanged } from './waiter.js'
import {
  type Clock,
  checkedWait,
  clock,
  FOREVER,
  milliseconds,
  show,
  type TimeoutOptions,
  type WaitOptions,
  waitOptions,
} from './waiting.js'

const ROUND = 5
const SIZE = 2048

/** How a {@link Barrier} is made. */
export interface BarrierOptions {
  /**
   * Called by one of the parties, when all are there and before they go on. If it throws, the barrier is
   * broken. To be sent, the barrier needs a function that can travel. It may return a Promise when the
   * parties wait in the Promise form.
   */
  action?: (() => unknown) | null | undefined
  /** Milliseconds that a wait takes at most when it is not told; null or nothing waits for ever. */
  timeout?: number | null | undefined
}

/**
 * A place where a number of parties wait until all are there, over and over. It travels as {@link Lock}
 * does.
 *
 * A party that dies will not come, so nobody is to wait for it: when a process or thread that was sent the
 * barrier, or has waited at it, is killed, the barrier breaks for all who wait, within some 50 milliseconds.
 * One that ends by itself is not missed.
 *
 * Mirrors `multiprocessing.Barrier`.
 */
export class Barrier {
  readonly #block: Block
  readonly #parties: number
  readonly #action: (() => unknown) | null
  readonly #timeout: number | null
  #joined = -1

  /**
   * @param parties - How many have to be there, from 1 on.
   * @throws ValueError for a number below 1, TypeError for what is no whole number, and for an action that
   * is no function; OSError when no memory can be had.
   */
  constructor(parties: number, options?: BarrierOptions)
  /** @internal The barrier of a block. */
  constructor(parties: number, options: BarrierOptions, block: Block)
  constructor(parties: number, { action, timeout }: BarrierOptions = {}, block?: Block) {
    if (typeof parties !== 'number' || !Number.isInteger(parties)) {
      throw new TypeError(`parties must be a whole number, not ${show(parties)}`)
    }
    if (parties < 1 || parties > 0x7fff_ffff) throw new ValueError('parties must be > 0')
    if (action !== undefined && action !== null && typeof action !== 'function') {
      throw new TypeError(`action must be a function, not ${show(action)}`)
    }
    milliseconds(timeout)
    this.#parties = parties
    this.#action = action ?? null
    this.#timeout = timeout ?? null
    this.#block = block ?? allocate(SIZE)
    if (block === undefined) {
      native.barrierCreate(this.#block.handle, parties)
      isObjectOf(this.#block, this)
    } else {
      this.#join()
    }
  }

  /** How many have to be there. */
  get parties(): number {
    return this.#parties
  }

  /** How many wait now. */
  get nWaiting(): number {
    return native.barrierState(this.#block.handle)[0] ?? 0
  }

  /** Whether it is broken. */
  get broken(): boolean {
    return native.barrierState(this.#block.handle)[1] === 1
  }

  /**
   * Waits until all parties are there.
   *
   * @param options - Milliseconds to wait at most, the barrier's own timeout if not given; or options.
   * @returns The how manieth this party was, from 0 to `parties - 1`: each number comes once.
   * @throws BrokenBarrierError when the barrier is broken, or breaks: because somebody, this one maybe, had
   * no more time or died, the action failed, or somebody called `abort` or `reset`. What the action throws
   * is thrown in the one that ran it. The signal's reason: then this party is not there any more, and the
   * barrier is not broken by that.
   */
  async wait(options: number | null | WaitOptions = {}): Promise<number> {
    const wanted = waitOptions(options)
    checkedWait(wanted)
    const { signal } = wanted
    const left = this.#clock(wanted)
    for (;;) {
      const { what, round, index } = this.#arrive()
      if (what === DONE) {
        await this.#act(round)
        return index
      }
      for (let first = true; ; first = false) {
        const found = this.#look(what, round, left, first)
        if (found === DONE) return index
        if (found === BUSY) break
        if (signal?.aborted) {
          if (this.#leave(what, round)) return index
          throw signal.reason
        }
        await untilChanged(this.#block, ROUND, round, pause(left), signal)
      }
    }
  }

  /**
   * The same, blocking the thread.
   *
   * @throws TypeError when the action returns a Promise, which breaks the barrier; KeyboardInterrupt when
   * SIGINT comes to the main thread of a program that listens for it, which does not.
   */
  waitSync(options: number | null | TimeoutOptions = {}): number {
    const left = this.#clock(waitOptions(options))
    for (;;) {
      const { what, round, index } = this.#arrive()
      if (what === DONE) {
        this.#actSync(round)
        return index
      }
      for (let first = true; ; first = false) {
        const found = this.#look(what, round, left, first)
        if (found === DONE) return index
        if (found === BUSY) break
        try {
          sleepSync(this.#block, ROUND, round, pause(left))
        } catch (error) {
          if (this.#leave(what, round)) return index
          throw error
        }
      }
    }
  }

  /** Makes the barrier as new; those who wait get a {@link BrokenBarrierError}. */
  reset(): void {
    native.barrierReset(this.#block.handle, this.#block.tag)
  }

  /** Breaks the barrier, until it is reset: all who wait, or come, get a {@link BrokenBarrierError}. */
  abort(): void {
    native.barrierAbort(this.#block.handle, this.#block.tag)
  }

  /** `<Barrier at 0x7: 2 of 3 wait>`, with a number that is the object's own. */
  toString(): string {
    const state = this.broken ? 'broken' : `waiters=${this.nWaiting}/${this.#parties}`
    return `<${this.constructor.name} at 0x${this.#block.handle.toString(16)}: ${state}>`
  }

  /** The same, in the console. */
  [inspect.custom](): string {
    return this.toString()
  }

  /** @internal */
  get parts(): { readonly block: Block; readonly options: BarrierOptions } {
    return { block: this.#block, options: { action: this.#action, timeout: this.#timeout } }
  }

  #clock({ timeout = this.#timeout }: TimeoutOptions): Clock {
    return clock(milliseconds(timeout))
  }

  /** This thread will be missed if it dies from now on, but not if it ends by itself. */
  #join(): void {
    if (this.#joined === copies.count) return
    this.#joined = copies.count
    const { handle, tag } = this.#block
    native.barrierJoin(handle, tag)
    // The block has to be there still, and what is kept for it must not keep its buffer.
    const use = checked(native.useBlock(handle), 'mmap')
    new Finalize(this, part, { args: [use, tag], exitpriority: 0 })
  }

  #arrive(): { what: number; round: number; index: number } {
    this.#join()
    const { handle, tag } = this.#block
    const [what, round, index] = native.barrierArrive(handle, tag) as [number, number, number]
    if (what === NOT_HELD) throw new BrokenBarrierError()
    return { what, round, index }
  }

  /**
   * What there is to do for one who waits for a round's end: `NOT_YET` to go on waiting, `DONE` when it has
   * passed, `BUSY` when it has to arrive now.
   */
  #look(what: number, round: number, left: Clock, first: boolean): number {
    const { handle, tag } = this.#block
    let found = native.barrierLook(handle, round, tag, !first)
    // The round of those who have to come again is not theirs.
    if (what === BUSY) return found === NOT_YET ? NOT_YET : BUSY
    if (found === NOT_YET && left() === 0) found = native.barrierGiveUp(handle, round, tag)
    if (found === NOT_HELD) throw new BrokenBarrierError()
    return found
  }

  /** Goes before the round has ended; true when it has just passed. */
  #leave(what: number, round: number): boolean {
    if (what === BUSY) return false
    const { handle, tag } = this.#block
    return native.barrierLeave(handle, round, tag) === DONE
  }

  async #act(round: number): Promise<void> {
    try {
      await this.#action?.()
    } catch (error) {
      this.abort()
      throw error
    }
    this.#pass(round)
  }

  #actSync(round: number): void {
    try {
      const result = this.#action?.()
      if (typeof (result as PromiseLike<unknown> | undefined)?.then === 'function') {
        throw new TypeError('the action returns a Promise, for which waitSync cannot wait')
      }
    } catch (error) {
      this.abort()
      throw error
    }
    this.#pass(round)
  }

  #pass(round: number): void {
    const { handle, tag } = this.#block
    if (native.barrierPass(handle, round, tag) !== DONE) throw new BrokenBarrierError()
  }
}

/** Who has no more time may have to wait all the same, for the action to end. */
const pause =
  (left: Clock): Clock =>
  () => {
    const time = left()
    return time === 0 ? FOREVER : time
  }

const part = (use: number, tag: number): void => {
  native.barrierPart(use, tag)
  native.releaseBlock(use)
}

registerReducer(Barrier, {
  name: 'synchronize.Barrier',
  trustedOnly: true,
  reduce: (barrier, context) => {
    const { block, options } = barrier.parts
    return [barrier.parties, options.action, options.timeout, reduceBlock(block, context)]
  },
  rebuild: (state, context) => {
    if (!Array.isArray(state)) throw new UnpicklingError('a barrier is malformed')
    const [parties, action, timeout, sent] = state
    return rebuildOver(
      sent,
      context,
      SIZE,
      (block) => new Barrier(parties, { action, timeout }, block),
    )
  },
})
