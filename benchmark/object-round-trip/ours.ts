/** Ours, over a Pipe. @module */
import { startPair } from '../child-pair.js'
import { type SmallMessage, smallMessage } from '../message.js'
import { type Duration, meanTime, meanTimeSync } from '../timing.js'
import { echoObjects, echoObjectsSync } from './children.js'

const verify = (message: unknown, id: number): void => {
  if ((message as SmallMessage)[0] !== id) throw new Error(`message ${id} came back as another`)
}

/** Both sides block. */
export const roundTripSync = async (duration: Duration): Promise<number> => {
  const { connection, end } = startPair(echoObjectsSync)
  let id = 0
  const mean = meanTimeSync(duration, () => {
    connection.sendSync(smallMessage(++id))
    verify(connection.recvSync(), id)
  })
  connection.sendSync(null)
  await end()
  return mean * 1e3
}

/** Both sides await. */
export const roundTrip = async (duration: Duration): Promise<number> => {
  const { connection, end } = startPair(echoObjects)
  let id = 0
  const mean = await meanTime(duration, async () => {
    await connection.send(smallMessage(++id))
    verify(await connection.recv(), id)
  })
  await connection.send(null)
  await end()
  return mean * 1e3
}
