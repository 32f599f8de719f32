/** The other end of what `node-channel.ts` opens. @module */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import type { Channel } from './node-channel.js'

const overPort = (port: MessagePort): Channel => ({
  send: (message, transfer = []) => port.postMessage(message, transfer),
  onMessage: (receive) => {
    port.on('message', receive)
  },
  close: () => port.close(),
})

const overProcess: Channel = {
  send: (message) => {
    process.send!(message)
  },
  onMessage: (receive) => {
    process.on('message', receive)
  },
  close: () => process.disconnect(),
}

/** The channel to whoever started this process or thread. */
export const channelToParent = (): Channel => {
  if (parentPort === null) return overProcess
  return overPort((workerData as MessagePort | null) ?? parentPort)
}
