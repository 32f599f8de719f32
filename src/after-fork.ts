/**
 * What a child does before it runs.
 * @module
 */
import { checkObject, show } from './waiting.js'

const afterFork = new Map<number, { object: WeakRef<object>; run: (object: any) => void }>()

let registered = 0

/** After so many registrations those of objects that are gone are forgotten. */
const SWEEP = 100

const forgetCollected = (): void => {
  for (const [key, { object }] of afterFork) if (object.deref() === undefined) afterFork.delete(key)
}

/**
 * Calls a function with an object in every child that has it, before `run()`, if the object is still
 * there: in one that inherits both by a fork, and in one that was started afresh, if a module that it
 * imports registers them.
 *
 * @throws TypeError for an object or a function that is none.
 *
 * Mirrors `multiprocessing.util.register_after_fork`.
 */
export const registerAfterFork = <T extends object>(obj: T, run: (obj: T) => void): void => {
  if (typeof run !== 'function') throw new TypeError(`a function is wanted, not ${show(run)}`)
  checkObject(obj, 'obj')
  if (++registered % SWEEP === 0) forgetCollected()
  afterFork.set(registered, { object: new WeakRef(obj), run })
}

/** Calls what was registered, in order. */
export const runAfterForkers = (): void => {
  for (const { object, run } of afterFork.values()) {
    const target = object.deref()
    if (target !== undefined) run(target)
  }
}
