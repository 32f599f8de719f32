/**
 * Memory with a name, which any process of the same user can use, those of Python among them. Mirrors
 * `multiprocessing.shared_memory`.
 * @module
 */
import { constants } from 'node:buffer'
import { inspect } from 'node:util'
import { registerReducer } from './codec/index.js'
import { FileExistsError, ValueError } from './errors.js'
import { native } from './native.js'
import { fileError } from './native-status.js'
import { register, unregister } from './resource-tracker.js'
import { show } from './waiting.js'

export { Float, float, ShareableList, type ShareableValue } from './shareable-list.js'

/** What a {@link SharedMemory} is made from. */
export interface SharedMemoryOptions {
  /** The name of the block, without the slash that the system puts before it; null for a new one. */
  name?: string | null | undefined
  /** Whether the block is to be made, rather than attached to. */
  create?: boolean | undefined
  /** How many bytes a new block has. */
  size?: number | undefined
  /**
   * Whether the resource tracker looks after the block, and removes it when the program has ended and
   * nobody has; true if not given. A program that only attaches to another's block is to say false.
   */
  track?: boolean | undefined
}

const TYPE = 'shared_memory'

/**
 * A block of memory with a name. Whoever knows the name attaches to the same memory: other processes of the
 * program, other programs, those of Python with `multiprocessing.shared_memory`.
 *
 * A block is there until somebody calls {@link SharedMemory.unlink}; what is in use then stays until it is
 * closed. What is left when the program ends is removed by the resource tracker, unless another program
 * uses it.
 *
 * Sent to another process, it attaches there to the same block. Nothing of it blocks.
 *
 * Mirrors `multiprocessing.shared_memory.SharedMemory`.
 */
export class SharedMemory {
  /** The block's name. */
  readonly name: string
  /** How many bytes it has. */
  readonly size: number
  /** Whether the resource tracker looks after it. */
  readonly track: boolean
  #memory: ArrayBuffer
  #buffer: Buffer | null

  /**
   * Makes a block, or attaches to one. A new block is all zero, and all its memory is taken at once: when
   * there is not enough, that is an error here and not later.
   *
   * @param options - What block; a plain string is the name of one to attach to.
   * @throws ValueError for a size that is negative, or 0 for a new block, a name that holds a NUL, and none
   * where there has to be one; FileExistsError when the name of a new block is taken; FileNotFoundError when
   * there is no block of that name; OSError `ENOSPC` or `ENOMEM` when there is not enough memory, `EFBIG`
   * for more than a process may have in a file, `EACCES` for another user's block, `EINVAL` for a name with
   * a slash; TypeError for options of the wrong type.
   */
  constructor(options: SharedMemoryOptions | string = {}) {
    const { name, create = false, size = 0, track = true } = optionsOf(options)
    if (!(size >= 0)) throw new ValueError("'size' must be a positive integer")
    if (create && size === 0) {
      throw new ValueError("'size' must be a positive number different from zero")
    }
    this.track = Boolean(track)
    if (name === null || name === undefined) {
      if (!create) throw new ValueError("'name' can only be None if create=True")
      ;[this.name, this.#memory] = createUnnamed(new.target, size, this.track)
    } else {
      this.name = name
      this.#memory = create ? made(name, size) : attached(name)
      if (this.track) this.#register(create)
    }
    this.size = this.#memory.byteLength
    this.#buffer = Buffer.from(this.#memory)
  }

  /**
   * A name for a block that was given none. Subclasses may have other ideas of a good one; one that is taken
   * is not used, but asked for again.
   */
  protected static makeName(): string {
    const number = Math.floor(Math.random() * 2 ** 32)
    return `psm_${number.toString(16).padStart(8, '0')}`
  }

  /** A block that cannot be looked after is not left behind. */
  #register(created: boolean): void {
    try {
      register(posixName(this.name), TYPE)
    } catch (error) {
      native.closeSharedMemory(this.#memory)
      if (created) native.unlinkSharedMemory(posixName(this.name))
      throw error
    }
  }

  /**
   * The memory; null once it is closed. Typed arrays over `buf.buffer` see the same memory.
   *
   * What other processes write while it is read may be seen in part: it takes locks, or `Atomics`, to agree.
   */
  get buf(): Buffer | null {
    return this.#buffer
  }

  /**
   * Lets go of the memory, in this process; others keep theirs. Views of it have no bytes from now on. May
   * be called again. Do not close while an asynchronous operation of Node reads or writes the memory.
   */
  close(): void {
    if (this.#buffer === null) return
    this.#buffer = null
    const status = native.closeSharedMemory(this.#memory)
    if (status < 0) throw fileError(status, 'mmap', show(this.name))
  }

  /**
   * Removes the block: nobody can attach to it any more, and its memory goes when all have closed it. To be
   * called once, by any of those who use it, before or after it is closed.
   *
   * @throws FileNotFoundError when somebody has done so already.
   */
  unlink(): void {
    const name = posixName(this.name)
    const status = native.unlinkSharedMemory(name)
    if (status < 0) throw fileError(status, 'shm_unlink', show(name))
    if (this.track) unregister(name, TYPE)
  }

  /** The same as {@link SharedMemory.close}, for `using`. */
  [Symbol.dispose](): void {
    this.close()
  }

  toString(): string {
    return `${this.constructor.name}('${this.name}', size=${this.size})`
  }

  [inspect.custom](): string {
    return this.toString()
  }
}

const optionsOf = (given: unknown): SharedMemoryOptions => {
  if (typeof given === 'string') return { name: given }
  if (typeof given !== 'object' || given === null) {
    throw new TypeError(`options are an object, not ${show(given)}`)
  }
  const { name, size, create, track } = given as SharedMemoryOptions
  if (name !== undefined && name !== null && typeof name !== 'string') {
    throw new TypeError(`name must be a string or null, not ${show(name)}`)
  }
  if (size !== undefined && !Number.isInteger(size)) {
    throw new TypeError(`size must be a whole number, not ${show(size)}`)
  }
  for (const [key, value] of Object.entries({ create, track })) {
    if (value !== undefined && typeof value !== 'boolean') {
      throw new TypeError(`${key} must be a boolean, not ${show(value)}`)
    }
  }
  return given as SharedMemoryOptions
}

/** The name as the system has it. */
const posixName = (name: string): string => {
  if (name.includes('\0')) throw new ValueError('embedded null character')
  return `/${name}`
}

const made = (name: string, size: number): ArrayBuffer => {
  if (size > constants.MAX_LENGTH) {
    throw new ValueError(`'size' must be at most ${constants.MAX_LENGTH}`)
  }
  return memoryOf(native.createSharedMemory(posixName(name), size), name)
}

const attached = (name: string): ArrayBuffer =>
  memoryOf(native.openSharedMemory(posixName(name), constants.MAX_LENGTH), name)

const memoryOf = (result: ArrayBuffer | number, name: string): ArrayBuffer => {
  if (typeof result === 'number') throw fileError(result, 'shm_open', show(`/${name}`))
  return result
}

interface WithNames {
  makeName(): string
}

/**
 * The name is registered first, so that there is no moment at which a process that is killed leaves the
 * block behind; so it has to be one that nobody has.
 */
const createUnnamed = (type: unknown, size: number, track: boolean): [string, ArrayBuffer] => {
  for (;;) {
    const name = (type as WithNames).makeName()
    const full = posixName(name)
    if (native.sharedMemoryExists(full)) continue
    if (track) register(full, TYPE)
    try {
      return [name, made(name, size)]
    } catch (error) {
      if (track) unregister(full, TYPE)
      if (!(error instanceof FileExistsError)) throw error
    }
  }
}

registerReducer(SharedMemory, {
  name: 'shared_memory.SharedMemory',
  trustedOnly: true,
  reduce: ({ name, track }) => ({ name, track }),
  rebuild: (state) => new SharedMemory(state as SharedMemoryOptions),
})
