/** What the other process does. @module */
import type { Connection, Synchronized } from 'node-multiprocessing'
import type { c_int } from 'node-multiprocessing/ctypes'
import { repeatFor } from '../until.js'

/** Adds to a number for as long as it is told, and answers how often it did, until it is told null. */
export function addWhenTold(connection: Connection, counter: Synchronized<c_int>): void {
  for (;;) {
    const duration = connection.recvSync() as number | null
    if (duration === null) return
    connection.sendSync(repeatFor(duration, () => void counter.add(1)))
  }
}
