/** Node's own ways. @module */
import { smallMessage } from '../message.js'
import { nextMessage, openChannel, type Transport } from '../node-channel.js'
import { batches, messagesPerSecond } from '../rate.js'
import { verifySum } from './sum.js'

interface Amounts {
  readonly warmup: number
  readonly count: number
  readonly transport: Transport
}

/** Sends without waiting in between, as these interfaces are used. */
export const sendObjects = async (amounts: Amounts): Promise<number> => {
  const sizes = batches(amounts)
  const channel = openChannel(amounts.transport, new URL('./node-child.js', import.meta.url))
  channel.send(sizes)
  const rate = await messagesPerSecond(sizes, async (count) => {
    const acknowledged = nextMessage(channel)
    for (let id = 0; id < count; id++) channel.send(smallMessage(id))
    verifySum(await acknowledged, count)
  })
  channel.close()
  return rate
}
