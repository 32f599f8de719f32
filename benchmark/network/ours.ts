/** Ours, over a listener and a client. @module */
import type { Connection } from 'node-multiprocessing'
import { type Address, Listener } from 'node-multiprocessing/connection'
import { type Pair, startPair } from '../child-pair.js'
import { filling } from '../large-buffers/contents.js'
import { batches, messagesPerSecond } from '../rate.js'
import { type Duration, meanTimeSync } from '../timing.js'
import { echoSync, receiveSync } from './children.js'

interface Where {
  readonly family: 'AF_INET' | 'AF_UNIX'
  readonly size: number
}

/** Tells a child where to connect, and waits until it has. */
const connected = async ({ connection }: Pair, { family }: Where): Promise<Connection> => {
  const address: Address | null = family === 'AF_INET' ? ['127.0.0.1', 0] : null
  using listener = new Listener(address, { family })
  connection.sendSync(listener.address)
  return await listener.accept()
}

/** Both sides block. */
export const roundTripSync = async (amounts: Where & Duration): Promise<number> => {
  const pair = startPair(echoSync)
  using connection = await connected(pair, amounts)
  const bytes = Buffer.alloc(amounts.size, 1)
  const mean = meanTimeSync(amounts, () => {
    connection.sendBytesSync(bytes)
    const back = connection.recvBytesSync()
    if (back.length !== bytes.length) throw new Error('other bytes came back')
  })
  connection.sendBytesSync(Buffer.alloc(0))
  await pair.end()
  return mean * 1e3
}

/** Large buffers one way, both sides block. */
export const oneWaySync = async (
  amounts: Where & { warmup: number; count: number },
): Promise<number> => {
  const sizes = batches(amounts)
  const pair = startPair(receiveSync, sizes, amounts.size)
  using connection = await connected(pair, amounts)
  const bytes = new Uint8Array(amounts.size).fill(filling)
  const rate = await messagesPerSecond(sizes, (count) => {
    for (let i = 0; i < count; i++) connection.sendBytesSync(bytes)
    if (connection.recvSync() !== count) throw new Error('buffers were lost')
  })
  await pair.end()
  return (rate * amounts.size) / 1e9
}
