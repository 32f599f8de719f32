/** The other thread of what Node offers. @module */
import { parentPort, workerData } from 'node:worker_threads'
import { repeatFor } from '../until.js'
import { increment } from './atomics-lock.js'

parentPort!.on('message', (duration: number) => {
  parentPort!.postMessage(repeatFor(duration, () => increment(workerData as Int32Array)))
})
