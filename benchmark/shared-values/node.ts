/** What Node offers: Atomics between threads, and plain typed arrays. @module */
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import type { Duration } from '../timing.js'
import { type Counted, millionsPerSecond, repeatFor } from '../until.js'
import { readAll } from './reading.js'

/** Two threads add to one number: how many million times a second. */
export const addTogether = async ({ warmup, duration }: Duration): Promise<number> => {
  const words = new Int32Array(new SharedArrayBuffer(4))
  const worker = new Worker(new URL('./node-thread.js', import.meta.url), { workerData: words })
  await once(worker, 'online')
  const run = async (milliseconds: number): Promise<Counted> => {
    worker.postMessage(milliseconds)
    const begin = performance.now()
    const mine = repeatFor(milliseconds, () => void Atomics.add(words, 0, 1))
    const [theirs] = (await once(worker, 'message')) as [number]
    return { total: mine + theirs, time: performance.now() - begin }
  }
  await run(warmup)
  words[0] = 0
  const counted = await run(duration)
  await worker.terminate()
  return millionsPerSecond(counted, words[0])
}

interface Reading extends Duration {
  readonly count: number
}

/** Reads a typed array with memory of its own, in nanoseconds an element. */
export const readPlain = ({ count, ...duration }: Reading): number =>
  readAll(duration, new Float64Array(count))

/** Reads one that threads share. */
export const readBetweenThreads = ({ count, ...duration }: Reading): number =>
  readAll(duration, new Float64Array(new SharedArrayBuffer(count * 8)))
