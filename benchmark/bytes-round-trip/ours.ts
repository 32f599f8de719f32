/** Ours, over a Pipe. @module */
import { startPair } from '../child-pair.js'
import { type Duration, meanTime, meanTimeSync } from '../timing.js'
import { echoBytes, echoBytesSync } from './children.js'

interface Amounts extends Duration {
  readonly size: number
}

const verify = (bytes: Uint8Array, size: number): void => {
  if (bytes.length !== size) throw new Error(`${size} bytes came back as ${bytes.length}`)
}

/** Both sides block. */
export const roundTripSync = async (amounts: Amounts): Promise<number> => {
  const { connection, end } = startPair(echoBytesSync)
  const bytes = Buffer.alloc(amounts.size, 1)
  const mean = meanTimeSync(amounts, () => {
    connection.sendBytesSync(bytes)
    verify(connection.recvBytesSync(), amounts.size)
  })
  connection.sendBytesSync(Buffer.alloc(0))
  await end()
  return mean * 1e3
}

/** Both sides await. */
export const roundTrip = async (amounts: Amounts): Promise<number> => {
  const { connection, end } = startPair(echoBytes)
  const bytes = Buffer.alloc(amounts.size, 1)
  const mean = await meanTime(amounts, async () => {
    await connection.sendBytes(bytes)
    verify(await connection.recvBytes(), amounts.size)
  })
  await connection.sendBytes(Buffer.alloc(0))
  await end()
  return mean * 1e3
}
