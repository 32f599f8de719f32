/**
 * Whether SIGINT ends a wait that blocks.
 * @module
 */

import type { Block } from './heap.js'
import { native } from './native.js'
import { DONE, errorOf, NOT_YET } from './native-status.js'
import { atOnce, type Clock } from './waiting.js'

/**
 * Whether SIGINT ends a wait of this thread: on the main thread, when the program listens for it. Without
 * listeners it ends the process anyway.
 */
export const isInterruptible = (): boolean =>
  process.listenerCount('SIGINT') > 0 && native.isMainThread()

/**
 * Blocks until a word of a block may not have a value any more, and a short while at most: whoever waits
 * looks again.
 *
 * @throws KeyboardInterrupt
 */
export const sleepSync = (block: Block, index: number, expected: number, left: Clock): void => {
  const time = atOnce(left)()
  const slept = native.wordWait(block.handle, index, expected, time, isInterruptible())
  if (slept !== DONE && slept !== NOT_YET) throw errorOf(slept, 'futex')
}
