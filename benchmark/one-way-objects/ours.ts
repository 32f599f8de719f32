/** Ours, over a Pipe. @module */
import { startPair } from '../child-pair.js'
import { smallMessage } from '../message.js'
import { batches, messagesPerSecond } from '../rate.js'
import { addUp, addUpSync } from './children.js'
import { verifySum } from './sum.js'

interface Amounts {
  readonly warmup: number
  readonly count: number
}

/** Both sides block. */
export const sendObjectsSync = async (amounts: Amounts): Promise<number> => {
  const sizes = batches(amounts)
  const { connection, end } = startPair(addUpSync, sizes)
  const rate = await messagesPerSecond(sizes, (count) => {
    for (let id = 0; id < count; id++) connection.sendSync(smallMessage(id))
    verifySum(connection.recvSync(), count)
  })
  await end()
  return rate
}

/** Both sides await. */
export const sendObjects = async (amounts: Amounts): Promise<number> => {
  const sizes = batches(amounts)
  const { connection, end } = startPair(addUp, sizes)
  const rate = await messagesPerSecond(sizes, async (count) => {
    for (let id = 0; id < count; id++) await connection.send(smallMessage(id))
    verifySum(await connection.recv(), count)
  })
  await end()
  return rate
}
