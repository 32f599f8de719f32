/** Children that receive batches of large buffers and acknowledge each batch. @module */
import type { Connection } from 'node-multiprocessing'
import { verifyContents } from './contents.js'

const acknowledgeBatches = (
  connection: Connection,
  batches: readonly number[],
  receive: () => void,
): void => {
  for (const count of batches) {
    for (let i = 0; i < count; i++) receive()
    connection.sendSync(count)
  }
}

/** Each into a buffer of its own. */
export function receiveBytesSync(
  connection: Connection,
  batches: readonly number[],
  size: number,
): void {
  acknowledgeBatches(connection, batches, () => verifyContents(connection.recvBytesSync(), size))
}

/** All into the same buffer. */
export function receiveBytesIntoSync(
  connection: Connection,
  batches: readonly number[],
  size: number,
): void {
  const buffer = new Uint8Array(size)
  acknowledgeBatches(connection, batches, () => {
    const count = connection.recvBytesIntoSync(buffer)
    verifyContents(buffer.subarray(0, count), size)
  })
}

/** As objects. */
export function receiveArraysSync(
  connection: Connection,
  batches: readonly number[],
  size: number,
): void {
  acknowledgeBatches(connection, batches, () => verifyContents(connection.recvSync(), size))
}

/** Each into a buffer of its own, with the event loop running. */
export async function receiveBytes(
  connection: Connection,
  batches: readonly number[],
  size: number,
): Promise<void> {
  for (const count of batches) {
    for (let i = 0; i < count; i++) verifyContents(await connection.recvBytes(), size)
    await connection.send(count)
  }
}
