/** Ours, over a Pipe. @module */
import type { Connection } from 'node-multiprocessing'
import { startPair } from '../child-pair.js'
import { batches, messagesPerSecond } from '../rate.js'
import {
  receiveArraysSync,
  receiveBytes,
  receiveBytesIntoSync,
  receiveBytesSync,
} from './children.js'
import { filling } from './contents.js'

interface Amounts {
  readonly size: number
  readonly warmup: number
  readonly count: number
}

type Receive = (connection: Connection, batches: readonly number[], size: number) => unknown
type Send = (connection: Connection, bytes: Uint8Array) => void | Promise<void>

const gigabytesPerSecond = async (
  amounts: Amounts,
  receive: Receive,
  send: Send,
): Promise<number> => {
  const sizes = batches(amounts)
  const { connection, end } = startPair(receive, sizes, amounts.size)
  const bytes = new Uint8Array(amounts.size).fill(filling)
  const rate = await messagesPerSecond(sizes, async (count) => {
    for (let i = 0; i < count; i++) await send(connection, bytes)
    if ((await connection.recv()) !== count) throw new Error('buffers were lost')
  })
  await end()
  return (rate * amounts.size) / 1e9
}

/** `sendBytesSync` to `recvBytesSync`. */
export const sendBytesSync = (amounts: Amounts): Promise<number> =>
  gigabytesPerSecond(amounts, receiveBytesSync, (connection, bytes) =>
    connection.sendBytesSync(bytes),
  )

/** `sendBytesSync` to `recvBytesIntoSync`. */
export const sendBytesIntoSync = (amounts: Amounts): Promise<number> =>
  gigabytesPerSecond(amounts, receiveBytesIntoSync, (connection, bytes) =>
    connection.sendBytesSync(bytes),
  )

/** `sendSync` to `recvSync`, of a Float64Array. */
export const sendArraySync = (amounts: Amounts): Promise<number> =>
  gigabytesPerSecond(amounts, receiveArraysSync, (connection, bytes) =>
    connection.sendSync(new Float64Array(bytes.buffer)),
  )

/** `sendBytes` to `recvBytes`, with both event loops running. */
export const sendBytes = (amounts: Amounts): Promise<number> =>
  gigabytesPerSecond(amounts, receiveBytes, (connection, bytes) => connection.sendBytes(bytes))
