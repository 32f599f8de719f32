/** The other thread of what Node offers. @module */
import { parentPort, workerData } from 'node:worker_threads'
import { repeatFor } from '../until.js'

const words = workerData as Int32Array
parentPort!.on('message', (duration: number) => {
  parentPort!.postMessage(repeatFor(duration, () => void Atomics.add(words, 0, 1)))
})
