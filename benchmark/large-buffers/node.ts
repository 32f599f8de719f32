/** Node's own ways. @module */
import { nextMessage, openChannel, type Transport } from '../node-channel.js'
import { batches, messagesPerSecond } from '../rate.js'
import { filling } from './contents.js'

interface Amounts {
  readonly size: number
  readonly warmup: number
  readonly count: number
  readonly transport: Transport
  readonly transfer: boolean
}

/** Sends without waiting in between, as these interfaces are used. */
export const sendBuffers = async (amounts: Amounts): Promise<number> => {
  const sizes = batches(amounts)
  const channel = openChannel(amounts.transport, new URL('./node-child.js', import.meta.url))
  const make = () => new Uint8Array(amounts.size).fill(filling)
  const shared = make()
  // What is transferred is gone afterwards: those that will be needed are made before the clock runs.
  const ready = amounts.transfer ? Array.from({ length: sizes[0] + sizes[1] }, make) : []
  channel.send({ sizes, size: amounts.size })
  const rate = await messagesPerSecond(sizes, async (count) => {
    const acknowledged = nextMessage(channel)
    for (let i = 0; i < count; i++) {
      const buffer = ready.pop() ?? shared
      channel.send(buffer, amounts.transfer ? [buffer.buffer] : [])
    }
    if ((await acknowledged) !== count) throw new Error('buffers were lost')
  })
  channel.close()
  return (rate * amounts.size) / 1e9
}
