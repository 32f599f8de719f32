/** Node's own ways, for small buffers. @module */
import { filling } from '../large-buffers/contents.js'
import { nextMessage, openChannel, type Transport } from '../node-channel.js'
import { batches, messagesPerSecond } from '../rate.js'

interface Amounts {
  readonly size: number
  readonly warmup: number
  readonly count: number
  readonly transport: Transport
}

/** Sends without waiting in between, as these interfaces are used. */
export const sendSmallBuffers = async (amounts: Amounts): Promise<number> => {
  const sizes = batches(amounts)
  const channel = openChannel(amounts.transport, new URL('./node-child.js', import.meta.url))
  channel.send(sizes)
  const buffer = new Uint8Array(amounts.size).fill(filling)
  const rate = await messagesPerSecond(sizes, async (count) => {
    const acknowledged = nextMessage(channel)
    for (let i = 0; i < count; i++) channel.send(buffer)
    if ((await acknowledged) !== count * amounts.size) throw new Error('bytes were lost')
  })
  channel.close()
  return rate
}
