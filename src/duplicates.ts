/**
 * Descriptors of the same open files.
 * @module
 */
import { native } from './native.js'
import { checked } from './native-status.js'

/** Copies of descriptors: all of them, or none. */
export const duplicates = (descriptors: readonly number[]): number[] => {
  const copies: number[] = []
  try {
    for (const fd of descriptors) copies.push(checked(native.duplicateDescriptor(fd), 'dup'))
    return copies
  } catch (error) {
    for (const fd of copies) native.closeDescriptor(fd)
    throw error
  }
}
