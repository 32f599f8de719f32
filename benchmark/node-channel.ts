/**
 * What Node offers for exchanging messages, behind one interface: the channel of a forked process, the
 * port of a worker, and a MessageChannel of which a worker holds the other port.
 * @module
 */
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { MessageChannel, type MessagePort, type Transferable, Worker } from 'node:worker_threads'

/** The ways. `fork-json` and `fork-advanced` are child_process with its two serializations. */
export type Transport = 'fork-json' | 'fork-advanced' | 'worker' | 'message-channel'

/** One end of a way to exchange messages. */
export interface Channel {
  send(message: unknown, transfer?: readonly Transferable[]): void
  /** Sets who is called with each message. */
  onMessage(receive: (message: unknown) => void): void
  /** Ends the other side, or leaves it. */
  close(): void
}

const overPort = (port: MessagePort | Worker, close: () => void): Channel => ({
  send: (message, transfer = []) => port.postMessage(message, transfer),
  onMessage: (receive) => {
    port.removeAllListeners('message')
    port.on('message', receive)
  },
  close,
})

const forkProcess = (module: URL, serialization: 'json' | 'advanced'): Channel => {
  const child = fork(fileURLToPath(module), { serialization })
  return {
    send: (message) => {
      child.send(message as never)
    },
    onMessage: (receive) => {
      child.removeAllListeners('message')
      child.on('message', receive)
    },
    close: () => {
      child.disconnect()
    },
  }
}

/** Starts `module` as the other side; it gets its end from `node-channel-child.ts`. */
export const openChannel = (transport: Transport, module: URL): Channel => {
  if (transport === 'fork-json') return forkProcess(module, 'json')
  if (transport === 'fork-advanced') return forkProcess(module, 'advanced')
  if (transport === 'worker') {
    const worker = new Worker(module)
    return overPort(worker, () => void worker.terminate())
  }
  const { port1, port2 } = new MessageChannel()
  const worker = new Worker(module, { workerData: port2, transferList: [port2] })
  return overPort(port1, () => {
    port1.close()
    void worker.terminate()
  })
}

/** The next message to arrive. */
export const nextMessage = (channel: Channel): Promise<unknown> =>
  new Promise((resolve) => channel.onMessage(resolve))
