/** The lock that one writes for worker threads: three states, and Atomics.wait. @module */

const FREE = 0
const HELD = 1
const WAITED_FOR = 2

/** Where the lock is, and where the number that it guards. */
const LOCK = 0
const NUMBER = 16

/** A lock and a number, on cache lines of their own. */
export const lockAndNumber = (): Int32Array => new Int32Array(new SharedArrayBuffer(128))

/** The number. */
export const numberOf = (words: Int32Array): number => words[NUMBER]!

/** Sets the number to zero. */
export const clearNumber = (words: Int32Array): void => {
  words[NUMBER] = 0
}

/** Takes the lock, blocking. */
export const acquire = (words: Int32Array): void => {
  if (Atomics.compareExchange(words, LOCK, FREE, HELD) === FREE) return
  while (Atomics.exchange(words, LOCK, WAITED_FOR) !== FREE) Atomics.wait(words, LOCK, WAITED_FOR)
}

/** Frees the lock. */
export const release = (words: Int32Array): void => {
  if (Atomics.exchange(words, LOCK, FREE) === WAITED_FOR) Atomics.notify(words, LOCK, 1)
}

/** Adds one while the lock is held. */
export const increment = (words: Int32Array): void => {
  acquire(words)
  words[NUMBER] = words[NUMBER]! + 1
  release(words)
}
