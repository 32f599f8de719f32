/** What Node offers: a lock made of Atomics, for the threads of one process. @module */
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { type Duration, meanTimeSync } from '../timing.js'
import { type Counted, millionsPerSecond, repeatFor } from '../until.js'
import {
  acquire,
  clearNumber,
  increment,
  lockAndNumber,
  numberOf,
  release,
} from './atomics-lock.js'

const TURNS = 10_000

/** Takes a lock and frees it, in nanoseconds. */
export const takeAndFree = (duration: Duration): number => {
  const words = lockAndNumber()
  const time = meanTimeSync(duration, () => {
    for (let i = 0; i < TURNS; i++) {
      acquire(words)
      release(words)
    }
  })
  return (time * 1e6) / TURNS
}

/** Two threads add to one number under a lock: how many million times a second. */
export const incrementTogether = async ({ warmup, duration }: Duration): Promise<number> => {
  const words = lockAndNumber()
  const worker = new Worker(new URL('./node-thread.js', import.meta.url), { workerData: words })
  await once(worker, 'online')
  const run = async (milliseconds: number): Promise<Counted> => {
    worker.postMessage(milliseconds)
    const begin = performance.now()
    const mine = repeatFor(milliseconds, () => increment(words))
    const [theirs] = (await once(worker, 'message')) as [number]
    return { total: mine + theirs, time: performance.now() - begin }
  }
  await run(warmup)
  clearNumber(words)
  const counted = await run(duration)
  await worker.terminate()
  return millionsPerSecond(counted, numberOf(words))
}
