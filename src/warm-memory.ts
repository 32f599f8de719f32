/**
 * Memory for very large contents that is used again: it is warm, and copying into it is far quicker than into
 * memory that nobody has touched.
 * @module
 */
import { registerAfterFork } from './after-fork.js'
import { canFork } from './can-fork.js'
import { native } from './native.js'

/** So many bytes a buffer has at least that is worth it: the C library then maps memory for it alone. */
export const LARGE = 33 * 2 ** 20

/**
 * Puts warm memory in the place of a buffer's, if it is large enough and there is any; the content is lost.
 * Says whether it has; it does not in a process that can be copied, as the copy would see what is written to it.
 */
export const placeWarm = (buffer: Uint8Array): boolean => {
  if (buffer.length < LARGE || canFork() || !native.placeWarm(buffer)) return false
  trimLater()
  return true
}

/** How long memory that has come back is kept, in milliseconds. */
const KEPT = 1000

const trimming = { isPlanned: false }

/** Has memory given back when it was not used for a while. */
export const trimLater = (): void => {
  if (trimming.isPlanned) return
  trimming.isPlanned = true
  setTimeout(() => {
    trimming.isPlanned = false
    if (native.trimHanded()) trimLater()
  }, KEPT).unref()
}

// A copy of the process has neither the timer nor the memory.
registerAfterFork(trimming, () => {
  trimming.isPlanned = false
})
