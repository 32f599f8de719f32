/**
 * A manager of blocks of shared memory.
 * @module
 */
import { ProcessError, ValueError } from '../errors.js'
import { ensureRunning } from '../resource-tracker.js'
import { ShareableList, type ShareableValue, SharedMemory } from '../shared-memory.js'
import { BaseManager, type StartOptions } from './base-manager.js'
import type { ServerKind } from './server-process.js'

/**
 * A manager that removes the blocks of shared memory which were made by it when it is shut down.
 *
 * Mirrors `managers.SharedMemoryManager`.
 */
export class SharedMemoryManager extends BaseManager {
  /** As {@link BaseManager.start}. */
  override async start(options?: StartOptions): Promise<void> {
    ensureRunning()
    await super.start(options)
  }

  /** The same, blocking. */
  override startSync(options?: StartOptions): void {
    ensureRunning()
    super.startSync(options)
  }

  /**
   * Makes a block of so many bytes. Blocks until the server knows of it.
   *
   * @throws ValueError when the manager is not started, and for a size below one; OSError without memory.
   */
  SharedMemory(size: number): SharedMemory {
    this.#checkStarted()
    const block = new SharedMemory({ create: true, size })
    this.#track(block)
    return block
  }

  /**
   * Makes a list with these values, in a block of its own. Blocks until the server knows of it.
   *
   * @throws ValueError when the manager is not started; what {@link ShareableList} throws.
   */
  ShareableList<T extends ShareableValue>(values: Iterable<T>): ShareableList<T> {
    this.#checkStarted()
    const list = new ShareableList<T>(values)
    this.#track(list.shm)
    return list
  }

  protected override serverKind(): ServerKind {
    return 'shared memory'
  }

  #track(block: SharedMemory): void {
    try {
      this._controlSync('track_segment', [block.name])
    } catch (error) {
      block.close()
      block.unlink()
      throw error
    }
  }

  #checkStarted(): void {
    try {
      this._controlSync('dummy')
    } catch (error) {
      if (!(error instanceof ProcessError)) throw error
      throw new ValueError(`the manager is not started: ${error.message}`)
    }
  }
}
