/** Children that connect to a listener of the parent's. @module */
import type * as mp from 'node-multiprocessing'
import { type Address, ClientSync } from 'node-multiprocessing/connection'
import { verifyContents } from '../large-buffers/contents.js'

/** Sends back the bytes it gets, until it gets none. */
export function echoSync(pipe: mp.Connection): void {
  const connection = ClientSync(pipe.recvSync<Address>())
  for (;;) {
    const bytes = connection.recvBytesSync()
    if (bytes.length === 0) break
    connection.sendBytesSync(bytes)
  }
  connection.close()
}

/** Receives batches of large buffers and acknowledges each. */
export function receiveSync(pipe: mp.Connection, batches: readonly number[], size: number): void {
  const connection = ClientSync(pipe.recvSync<Address>())
  for (const count of batches) {
    for (let i = 0; i < count; i++) verifyContents(connection.recvBytesSync(), size)
    connection.sendSync(count)
  }
  connection.close()
}
