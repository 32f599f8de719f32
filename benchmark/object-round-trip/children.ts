/** Children that send back what they get, until they get null. @module */
import type { Connection } from 'node-multiprocessing'

/** With its thread blocked while it waits. */
export function echoObjectsSync(connection: Connection): void {
  for (;;) {
    const message = connection.recvSync()
    if (message === null) return
    connection.sendSync(message)
  }
}

/** With its event loop running while it waits. */
export async function echoObjects(connection: Connection): Promise<void> {
  for (;;) {
    const message = await connection.recv()
    if (message === null) return
    await connection.send(message)
  }
}
