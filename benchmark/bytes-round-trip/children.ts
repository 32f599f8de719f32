/** Children that send back the bytes they get, until they get none. @module */
import type { Connection } from 'node-multiprocessing'

/** With its thread blocked while it waits. */
export function echoBytesSync(connection: Connection): void {
  for (;;) {
    const bytes = connection.recvBytesSync()
    if (bytes.length === 0) return
    connection.sendBytesSync(bytes)
  }
}

/** With its event loop running while it waits. */
export async function echoBytes(connection: Connection): Promise<void> {
  for (;;) {
    const bytes = await connection.recvBytes()
    if (bytes.length === 0) return
    await connection.sendBytes(bytes)
  }
}
