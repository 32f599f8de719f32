/** The other thread of what Node offers. @module */
import { parentPort } from 'node:worker_threads'
import { endsOf } from './both-ends.js'

parentPort!.on('message', (bytes: Uint8Array) => parentPort!.postMessage(endsOf(bytes)))
