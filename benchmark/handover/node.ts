/** What Node offers: a SharedArrayBuffer for another thread. @module */
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { medianOfRepeats } from '../timing.js'
import { mark, verify } from './both-ends.js'

interface Amounts {
  readonly size: number
  readonly repeats: number
}

/** Hands an array over, until the other thread has looked at it; in milliseconds. */
export const handOver = async ({ size, repeats }: Amounts): Promise<number> => {
  const worker = new Worker(new URL('./node-thread.js', import.meta.url))
  const array = new Uint8Array(new SharedArrayBuffer(size))
  mark(array)
  const time = await medianOfRepeats(repeats, async () => {
    worker.postMessage(array)
    const [ends] = await once(worker, 'message')
    verify(ends)
  })
  await worker.terminate()
  return time
}
