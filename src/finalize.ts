/**
 * Callbacks that run once, when something goes or when the process ends.
 * @module
 */
import { ValueError } from './errors.js'
import { checkObject, show } from './waiting.js'

/** What a {@link Finalize} calls its callback with, and when. */
export interface FinalizeOptions {
  /** The callback's arguments; none if not given. */
  args?: Iterable<unknown>
  /** Passed to the callback as one last argument. */
  kwargs?: object
  /**
   * When given, the callback is also run at the process's end, those with higher numbers first, and
   * among equals the latest first. Those from 0 on run before children are ended and joined, those
   * below 0 after it.
   */
  exitpriority?: number
}

let created = 0
const registry = new Map<number, Finalize<any>>()
const collected = new FinalizationRegistry((key: number) => registry.get(key)?.call())

/**
 * A callback that is run once: when {@link Finalize.call} is called, when an object is collected, or at
 * the process's end, whichever comes first. It must not refer to that object itself.
 *
 * Mirrors `multiprocessing.util.Finalize`.
 */
export class Finalize<R = unknown> {
  readonly #key = created++
  readonly #exitpriority: number | undefined
  #run: (() => R) | undefined

  /**
   * @param obj - The object whose collection runs the callback, or null.
   * @param callback - What to run.
   * @throws TypeError for a callback that is none and a priority that is no whole number; ValueError
   * when there is neither an object nor a priority, as nothing would ever run it.
   */
  constructor(
    obj: object | null,
    callback: (...args: any[]) => R,
    { args = [], kwargs, exitpriority }: FinalizeOptions = {},
  ) {
    if (typeof callback !== 'function')
      throw new TypeError(`callback must be a function, not ${show(callback)}`)
    if (exitpriority !== undefined && !Number.isInteger(exitpriority)) {
      throw new TypeError(`exitpriority must be a whole number, not ${show(exitpriority)}`)
    }
    if (obj === null && exitpriority === undefined) {
      throw new ValueError('without an object, an exitpriority is needed')
    }
    if (obj !== null) checkObject(obj, 'obj')
    const all = kwargs === undefined ? [...args] : [...args, kwargs]
    this.#run = () => callback(...all)
    this.#exitpriority = exitpriority
    registry.set(this.#key, this)
    if (obj !== null) collected.register(obj, this.#key, this)
  }

  /** Its priority at the process's end, if it has one. */
  get exitpriority(): number | undefined {
    return this.#exitpriority
  }

  /** Runs the callback now, unless it was run or cancelled before; returns what it returns. */
  call(): R | undefined {
    const run = this.#run
    this.cancel()
    return run?.()
  }

  /** The callback will not be run. */
  cancel(): void {
    this.#run = undefined
    registry.delete(this.#key)
    collected.unregister(this)
  }

  /** Whether the callback may still be run. */
  stillActive(): boolean {
    return this.#run !== undefined
  }

  /** The same as {@link Finalize.call}, for `using`. */
  [Symbol.dispose](): void {
    this.call()
  }
}

/** Runs finalizers that have a priority of at least so much, the higher first, the later first. */
export const runFinalizers = (minimum: number): void => {
  for (;;) {
    // A callback may register another one, so each is looked for anew.
    let next: Finalize | undefined
    for (const candidate of registry.values()) {
      const priority = candidate.exitpriority
      if (priority === undefined || priority < minimum) continue
      if (next === undefined || priority >= next.exitpriority!) next = candidate
    }
    if (next === undefined) return
    try {
      next.call()
    } catch (error) {
      process.stderr.write(`${error instanceof Error ? error.stack : show(error)}\n`)
    }
  }
}

/** Forgets all that were not run: they were for another process. */
export const clearFinalizers = (): void => registry.clear()
