/**
 * Pieces of shared memory, and how they travel: by handle. Mirrors `multiprocessing.heap`.
 * @module
 */
import { constants } from 'node:buffer'
import { canFork } from './can-fork.js'
import {
  type BufferTransport,
  type DecodeContext,
  type EncodeContext,
  registerBufferTransport,
  useBufferTransport,
} from './codec/index.js'
import { PicklingError, UnpicklingError, ValueError } from './errors.js'
import { native } from './native.js'
import { checked, errorOf } from './native-status.js'
import { show } from './waiting.js'

/** A piece of memory that other processes can see. It lives as long as its buffer does, here or elsewhere. */
export interface Block {
  /** Its bytes, zeroed at first. */
  readonly buffer: ArrayBuffer
  /** The engine's number of it. */
  readonly handle: number
  /** The number of its segment in this process, and where in it the block is. */
  readonly segment: number
  readonly offset: number
  /**
   * The number of this thread among those that use the block's segment, from 1 to 2^29 - 1. It is another
   * one in a process that was forked, so it is asked for each time.
   *
   * @throws OSError `EMFILE` when it is asked for the first time and no descriptor can be had for it.
   */
  readonly tag: number
  /** The object that is made over it, if there is one. It lives as long as the buffer does. */
  object: object | undefined
}

/** Counts the forks that have led to this process. */
let forks = 0

/** @internal This process is a copy, and has no tags yet. */
export const forgetTags = (): void => {
  forks++
}

/**
 * Whether a block may come in that this thread has not sent: a copy of this process has all that it has. Those
 * that cannot be copied need not note down each block.
 */
const mayBeCopied = canFork()

/** In another thread nobody would know how much there is of what V8 does not count. */
const keepInThread = (buffer: ArrayBuffer): void =>
  process.getBuiltinModule('node:worker_threads').markAsUntransferable(buffer)

class HeapBlock implements Block {
  readonly buffer: ArrayBuffer
  readonly handle: number
  readonly segment: number
  readonly offset: number
  #tag = 0
  #tagOf = -1
  /** How many bytes it has, also when its buffer has them no more. */
  readonly size: number
  /** Whether it may come in, and is to be this one then. */
  isKnown: boolean
  object: object | undefined

  constructor(
    buffer: ArrayBuffer,
    handle: number,
    segment: number,
    offset: number,
    isKnown: boolean,
  ) {
    this.buffer = buffer
    this.handle = handle
    this.segment = segment
    this.offset = offset
    this.isKnown = isKnown
    this.size = buffer.byteLength
    blocks.set(buffer, this)
    if (mayBeCopied) this.know()
    if (this.size > native.LARGEST_COUNTED) keepInThread(buffer)
    if (buffer.byteLength === 0) emptyBlocks.register(buffer, handle)
    useBufferTransport(transport)
  }

  /** Notes down that the block may come in, and is to be this one then. */
  know(): void {
    if (this.isKnown) return
    this.isKnown = true
    native.knowBlock(this.handle, this.buffer)
  }

  get tag(): number {
    if (this.#tagOf !== forks) {
      this.#tag = checked(native.blockTag(this.handle), 'open')
      this.#tagOf = forks
    }
    return this.#tag
  }
}

const blocks = new WeakMap<ArrayBufferLike, HeapBlock>()

/** A buffer without bytes is none of the engine's, so it cannot give the block back. */
const emptyBlocks = new FinalizationRegistry((handle: number) => native.releaseBlock(handle))

/**
 * Makes a block of zeros.
 *
 * @param size - How many bytes it has; it may be none.
 * @throws ValueError for what is no size; OSError `ENOMEM`, `EFBIG` (more than `RLIMIT_FSIZE` allows) or
 *   `EMFILE`.
 */
export const allocate = (size: number): Block => {
  if (!Number.isSafeInteger(size) || size < 0) {
    throw new ValueError(`a size in bytes is wanted, not ${show(size)}`)
  }
  if (size > constants.MAX_LENGTH) {
    throw new ValueError(`a block cannot have ${size} bytes; the most is ${constants.MAX_LENGTH}`)
  }
  const made = native.allocateBlock(size)
  if (typeof made === 'number') throw errorOf(made, 'allocate')
  const [handle, segment, offset, buffer] = made
  return new HeapBlock(buffer ?? new ArrayBuffer(0), handle, segment, offset, false)
}

/** The block a buffer is the memory of, if it is. */
export const blockOf = (buffer: ArrayBufferLike): Block | undefined => blocks.get(buffer)

/** What of a block travels: its segment's descriptor, where in it the block is, and its size. */
type BlockState = readonly [index: number, offset: number, size: number]

/**
 * What of a block travels. The message keeps it in use until it is received.
 *
 * @throws PicklingError when another buffer has its memory now; OSError `EMFILE` when no descriptor can be had
 *   for the message.
 */
export const reduceBlock = (block: Block, context: EncodeContext): unknown => {
  const { handle, segment, offset, size, buffer } = block as HeapBlock
  if (buffer.byteLength !== size) {
    throw new PicklingError('the memory of a shared object was moved to another buffer')
  }
  ;(block as HeapBlock).know()
  const { fd, index } = context.own(`segment ${segment}`, () => openLease(handle))
  checked(native.leaseBlock(handle, fd), 'fcntl')
  const state: BlockState = [index, offset, size]
  return state
}

const openLease = (handle: number): { fd: number; close(): void } => {
  const fd = checked(native.openLease(handle), 'open')
  return { fd, close: () => native.closeDescriptor(fd) }
}

/**
 * The block that was sent. The same memory rebuilt twice in one thread is one Block.
 *
 * @throws UnpicklingError for what is no block; OSError when it cannot be had.
 */
export const rebuildBlock = (state: unknown, context: DecodeContext): Block => {
  if (!isBlockState(state)) throw new UnpicklingError('a block is malformed')
  const [index, offset, size] = state
  const attached = attach(context.borrow(index), offset, size)
  if (typeof attached === 'number') throw errorOf(attached, 'mmap')
  const [handle, segment, buffer] = attached
  const known = buffer && blocks.get(buffer)
  if (known !== undefined) return known
  const isKnown = buffer !== undefined
  const block = new HeapBlock(buffer ?? new ArrayBuffer(0), handle, segment, offset, isKnown)
  block.know()
  return block
}

const attach = (fd: number, offset: number, size: number) => {
  try {
    return native.attachBlock(fd, offset, size)
  } catch (cause) {
    throw new UnpicklingError(`no shared memory of ours: ${(cause as Error).message}`, { cause })
  }
}

const isBlockState = (state: unknown): state is BlockState =>
  Array.isArray(state) &&
  state.length === 3 &&
  state.every((number) => Number.isSafeInteger(number) && number >= 0) &&
  state[2] <= constants.MAX_LENGTH

/** Whether a buffer is a block, so that others see what is written to it here, and the other way round. */
export const isBlock = (buffer: ArrayBufferLike): boolean => blocks.has(buffer)

const transport: BufferTransport = {
  name: 'heap.Block',
  has: (buffer) => blocks.has(buffer),
  reduce: (buffer, context) => reduceBlock(blocks.get(buffer)!, context),
  rebuild: (state, context) => rebuildBlock(state, context).buffer,
}
registerBufferTransport(transport)
