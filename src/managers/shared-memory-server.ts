/**
 * The server of a manager of shared memory.
 * @module
 */

import { FileNotFoundError } from '../errors.js'
import { SharedMemory } from '../shared-memory.js'
import { Server } from './server.js'

/** A server that knows the blocks it has to remove in the end. */
export class SharedMemoryServer extends Server {
  readonly #segments = new Set<string>()

  protected override moreControls(): ReturnType<Server['moreControls']> {
    return {
      ...super.moreControls(),
      track_segment: (_call, name: string) => void this.#segments.add(name),
      release_segment: (_call, name: string) => {
        this.#segments.delete(name)
        remove(name)
      },
      list_segments: () => [...this.#segments],
    }
  }

  override stop(): void {
    for (const name of this.#segments) remove(name)
    this.#segments.clear()
    super.stop()
  }
}

const remove = (name: string): void => {
  try {
    const block = new SharedMemory({ name })
    block.close()
    block.unlink()
  } catch (error) {
    if (!(error instanceof FileNotFoundError)) throw error
  }
}
