/**
 * The last words of a process.
 * @module
 */
import { writeSync } from 'node:fs'

/** Writes to stderr, whatever has become of it. */
export const writeError = (text: string): void => {
  try {
    writeSync(2, text)
  } catch {
    // There is nobody to tell.
  }
}
