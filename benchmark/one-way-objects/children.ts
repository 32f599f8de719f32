/** Children that add up the identifiers of a batch and acknowledge it with the sum. @module */
import type { Connection } from 'node-multiprocessing'
import type { SmallMessage } from '../message.js'

/** With its thread blocked while it waits. */
export function addUpSync(connection: Connection, batches: readonly number[]): void {
  for (const count of batches) {
    let sum = 0
    for (let i = 0; i < count; i++) sum += (connection.recvSync() as SmallMessage)[0]
    connection.sendSync(sum)
  }
}

/** With its event loop running while it waits. */
export async function addUp(connection: Connection, batches: readonly number[]): Promise<void> {
  for (const count of batches) {
    let sum = 0
    for (let i = 0; i < count; i++) sum += ((await connection.recv()) as SmallMessage)[0]
    await connection.send(sum)
  }
}
