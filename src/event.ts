/**
 * Events. Mirrors `multiprocessing.Event`.
 * @module
 */
import { inspect } from 'node:util'
import { registerReducer } from './codec/index.js'
import { allocate, type Block, reduceBlock } from './heap.js'
import { sleepSync } from './interruptible.js'
import { native } from './native.js'
import { DONE } from './native-status.js'
import { isObjectOf, rebuildOver } from './same-object.js'
import { untilChanged } from './waiter.js'
import {
  type Clock,
  checkedWait,
  clock,
  milliseconds,
  type TimeoutOptions,
  type WaitOptions,
  waitOptions,
} from './waiting.js'

const WORD = 0
const SIZE = 8

/** The part of the word that is the flag. */
const FLAG = 1

/**
 * A flag that processes set, clear and wait for. It travels as {@link Lock} does. Nobody holds it, so it
 * does not matter who dies.
 *
 * Mirrors `multiprocessing.Event`.
 */
export class Event {
  readonly #block: Block
  readonly #words: Int32Array

  /** @throws OSError when no memory can be had. */
  constructor()
  /** @internal The event of a block. */
  constructor(block: Block)
  constructor(block?: Block) {
    this.#block = block ?? allocate(SIZE)
    this.#words = new Int32Array(this.#block.buffer)
    if (block === undefined) isObjectOf(this.#block, this)
  }

  /** Whether it is set. */
  isSet(): boolean {
    return (Atomics.load(this.#words, WORD) & FLAG) !== 0
  }

  /** Sets it, and wakes all who wait for it. Does not block. */
  set(): void {
    native.eventSet(this.#block.handle)
  }

  /** Clears it. Does not block. */
  clear(): void {
    native.eventClear(this.#block.handle)
  }

  /**
   * Waits until it is set. Who has begun to wait also learns of it when it is cleared again at once.
   *
   * @param options - Milliseconds to wait at most; or options.
   * @returns Whether it was set: false when the time was over.
   * @throws TypeError for options of a wrong type; the signal's reason.
   */
  async wait(options: number | null | WaitOptions = {}): Promise<boolean> {
    const wanted = waitOptions(options)
    const left = clock(checkedWait(wanted))
    const { signal } = wanted
    const begun = this.#begin()
    for (;;) {
      const found = this.#look(begun)
      if (found === DONE) return true
      signal?.throwIfAborted()
      if (left() === 0) return false
      await untilChanged(this.#block, WORD, found, left, signal)
    }
  }

  /**
   * The same, blocking the thread.
   *
   * @throws KeyboardInterrupt when SIGINT comes to the main thread of a program that listens for it.
   */
  waitSync(options: number | null | TimeoutOptions = {}): boolean {
    const left: Clock = clock(milliseconds(waitOptions(options).timeout))
    const begun = this.#begin()
    for (;;) {
      const found = this.#look(begun)
      if (found === DONE) return true
      if (left() === 0) return false
      sleepSync(this.#block, WORD, found, left)
    }
  }

  /** As the reference shows it: `<Event at 0x7 set>`, with a number that is the object's own. */
  toString(): string {
    const place = this.#block.handle.toString(16)
    return `<${this.constructor.name} at 0x${place} ${this.isSet() ? 'set' : 'unset'}>`
  }

  /** The same, in the console. */
  [inspect.custom](): string {
    return this.toString()
  }

  /** @internal */
  get block(): Block {
    return this.#block
  }

  #begin(): number {
    return Atomics.load(this.#words, WORD) >>> 0
  }

  #look(begun: number): number {
    return this.isSet() ? DONE : native.eventLook(this.#block.handle, begun)
  }
}

registerReducer(Event, {
  name: 'synchronize.Event',
  trustedOnly: true,
  reduce: ({ block }, context) => reduceBlock(block, context),
  rebuild: (state, context) => rebuildOver(state, context, SIZE, (block) => new Event(block)),
})
