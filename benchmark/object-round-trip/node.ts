/** Node's own ways. @module */
import { type SmallMessage, smallMessage } from '../message.js'
import { openChannel, type Transport } from '../node-channel.js'
import { type Duration, meanTime } from '../timing.js'

interface Amounts extends Duration {
  readonly transport: Transport
}

/** Sends one message and waits for it to come back. */
export const roundTrip = async (amounts: Amounts): Promise<number> => {
  const channel = openChannel(amounts.transport, new URL('./node-child.js', import.meta.url))
  let arrived: (message: unknown) => void = () => {}
  // One listener for all messages: adding and removing one each time would be measured as well.
  channel.onMessage((message) => arrived(message))
  let id = 0
  const mean = await meanTime(
    amounts,
    () =>
      new Promise<void>((resolve, reject) => {
        arrived = (message) => {
          if ((message as SmallMessage)[0] === id) resolve()
          else reject(new Error(`message ${id} came back as another`))
        }
        channel.send(smallMessage(++id))
      }),
  )
  channel.close()
  return mean * 1e3
}
