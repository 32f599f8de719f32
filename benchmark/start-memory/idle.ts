/** A child that waits for something to do. @module */
import type { Connection } from 'node-multiprocessing'

/** Says that it is there, and waits until it is told to end. */
export async function idle(connection: Connection): Promise<void> {
  await connection.send('ready')
  await connection.recv()
}
