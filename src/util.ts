/**
 * What has to happen when objects go and when the process ends. Mirrors `multiprocessing.util`.
 * @module
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ValueError } from './errors.js'
import { native } from './native.js'
import { show } from './waiting.js'

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
const runFinalizers = (minimum: number): void => {
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

let exiting = false

/** Whether the process has begun to end. */
export const isExiting = (): boolean => exiting

let endChildren: () => void = () => {}

/** @internal Says how the process's children are ended and joined; `process.ts` does. */
export const atExitEndChildren = (end: () => void): void => {
  endChildren = end
}

process.on('exit', () => {
  if (exiting) return
  exiting = true
  native.processIsExiting()
  runFinalizers(0)
  endChildren()
  runFinalizers(Number.NEGATIVE_INFINITY)
})

const afterFork = new Map<number, { object: WeakRef<object>; run: (object: any) => void }>()

/**
 * Calls a function with an object in every child that inherits it by a fork, if the object is still
 * there. Children that are started afresh inherit nothing, and call nothing.
 *
 * Mirrors `multiprocessing.util.register_after_fork`.
 */
export const registerAfterFork = <T extends object>(obj: T, run: (obj: T) => void): void => {
  if (typeof run !== 'function') throw new TypeError(`a function is wanted, not ${show(run)}`)
  afterFork.set(afterFork.size, { object: new WeakRef(obj), run })
}

/** @internal Calls what was registered, in order. */
export const runAfterForkers = (): void => {
  for (const { object, run } of afterFork.values()) {
    const target = object.deref()
    if (target !== undefined) run(target)
  }
}

let tempDir: string | undefined

/**
 * A directory of this process's own, made when first asked for (mode 0700) and removed with all that is
 * in it when the process ends.
 *
 * Mirrors `multiprocessing.util.get_temp_dir`.
 */
export const getTempDir = (): string => {
  if (tempDir === undefined) {
    const made = mkdtempSync(join(tmpdir(), 'pymp-'))
    tempDir = made
    new Finalize(null, () => rmSync(made, { recursive: true, force: true }), { exitpriority: -100 })
  }
  return tempDir
}
