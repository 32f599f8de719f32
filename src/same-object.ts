/**
 * One object for one piece of shared memory, however often it comes in.
 * @module
 */
import type { DecodeContext } from './codec/index.js'
import { UnpicklingError } from './errors.js'
import { type Block, rebuildBlock } from './heap.js'

/**
 * The object over a block that came in: the one that this thread has, or the one that `make` makes.
 *
 * @param size - How many bytes the block has to have.
 * @throws UnpicklingError for what is no such block.
 */
export const rebuildOver = <T extends object>(
  state: unknown,
  context: DecodeContext,
  size: number,
  make: (block: Block) => T,
): T => {
  const block = rebuildBlock(state, context)
  if (block.buffer.byteLength !== size) throw new UnpicklingError('a block has the wrong size')
  const known = block.object
  if (known !== undefined) return known as T
  const made = make(block)
  isObjectOf(block, made)
  return made
}

/** An object was made over a block: it is the one that comes back when it is sent. */
export const isObjectOf = (block: Block, object: object): void => {
  block.object = object
}
