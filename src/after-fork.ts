/**
 * What a forked child does first.
 * @module
 */
import { show } from './waiting.js'

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

/** Calls what was registered, in order. */
export const runAfterForkers = (): void => {
  for (const { object, run } of afterFork.values()) {
    const target = object.deref()
    if (target !== undefined) run(target)
  }
}
