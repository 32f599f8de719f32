/**
 * What a thread prints. Node passes it on to the main thread, which writes it when its event loop turns:
 * not while it waits in a Sync form, and not any more when it ends. A process of ours writes for itself, and
 * so do our threads.
 * @module
 */
import { writeSync } from 'node:fs'
import type { Writable } from 'node:stream'
import { native } from './native.js'
import { atOnce, ENDLESS } from './waiting.js'

/** What Node's stream of a thread is given to write. */
interface Chunk {
  readonly chunk: string | Uint8Array
  readonly encoding: BufferEncoding
}

type Done = (error?: Error | null) => void

/** Makes `process.stdout` and `process.stderr` of this thread write at once. */
export const writeDirectly = (): void => {
  directTo(process.stdout, 1)
  directTo(process.stderr, 2)
}

/** Node itself tells these streams what becomes of them, so they stay, and only the way out is another. */
const directTo = (stream: Writable, fd: number): void => {
  stream._writev = (chunks: Chunk[], done: Done) => {
    try {
      for (const { chunk, encoding } of chunks) {
        writeAll(fd, typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk)
      }
      done()
    } catch (error) {
      done(error as Error)
    }
  }
}

/** The descriptor may be one that does not block, and full. */
const writeAll = (fd: number, bytes: Uint8Array): void => {
  for (let written = 0; written < bytes.length; ) {
    try {
      written += writeSync(fd, bytes, written)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error
      native.waitReady([], [fd], atOnce(ENDLESS)())
    }
  }
}
