/**
 * What a thread and the one that started it say to each other without an event loop: words of shared memory.
 *
 * | Word | |
 * |---|---|
 * | 0 | whose the descriptors are that the thread is started with: the parent's, until either takes them |
 * | 1 | the exit code; {@link RUNNING} until somebody has said one, and then that stays |
 * | 2 | whether the thread is not to be terminated just now, as what it is about would be left half done |
 * @module
 */

const OWNER = 0
const EXITCODE = 1
const BUSY = 2
const WORDS = 3

const NOBODY = 0
const SOMEBODY = 1

/** No exit code. */
export const RUNNING = -(2 ** 31)

/** The words of a thread that has not begun. */
export const makeWords = (): Int32Array => {
  const words = new Int32Array(new SharedArrayBuffer(WORDS * Int32Array.BYTES_PER_ELEMENT))
  words[EXITCODE] = RUNNING
  return words
}

/** Whether the descriptors belong to the caller from now on: to the first one who asks, be it to close them. */
export const takeDescriptorsOf = (words: Int32Array): boolean =>
  Atomics.compareExchange(words, OWNER, NOBODY, SOMEBODY) === NOBODY

/** Whether they are the parent's yet. */
export const isUntaken = (words: Int32Array): boolean => Atomics.load(words, OWNER) === NOBODY

/** Says how the thread ends, unless that has been said. */
export const sayExitcode = (words: Int32Array, exitcode: number): void => {
  Atomics.compareExchange(words, EXITCODE, RUNNING, exitcode)
}

/** How the thread ends, or {@link RUNNING}. */
export const exitcodeIn = (words: Int32Array): number => Atomics.load(words, EXITCODE)

/**
 * Whether the thread ends by itself, once it may. Whoever wants to end it says the exit code first, and then
 * asks: so either this is seen, or the thread sees the exit code.
 */
export const isBusy = (words: Int32Array): boolean => Atomics.load(words, BUSY) === 1

/** Says, in the thread, whether it is; ends it if that is wanted. */
export const setBusy = (words: Int32Array, busy: boolean): void => {
  Atomics.store(words, BUSY, busy ? 1 : 0)
  if (exitcodeIn(words) !== RUNNING) process.exit()
}
