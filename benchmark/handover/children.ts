/** What the other process does. @module */
import type { Connection } from 'node-multiprocessing'
import { endsOf } from './both-ends.js'

/** Looks at both ends of each array it gets, until it gets null. */
export function lookAtBothEnds(connection: Connection): void {
  for (;;) {
    const bytes = connection.recvSync() as Uint8Array | null
    if (bytes === null) return
    connection.sendSync(endsOf(bytes))
  }
}
