/**
 * Something held, for `using`.
 * @module
 */

/** Says that something is held, a lock for instance, until it is released or disposed of. */
export interface Held extends Disposable {
  /** Releases what is held; doing it again does nothing. */
  release(): void
}

/** Calls `release` once. */
export const heldUntil = (release: () => void): Held => {
  let held = true
  const end = (): void => {
    if (!held) return
    held = false
    release()
  }
  return { release: end, [Symbol.dispose]: end }
}
