/** What the other process does. @module */
import type { Connection, Lock, RLock } from 'node-multiprocessing'
import type { c_int } from 'node-multiprocessing/ctypes'
import { repeatFor } from '../until.js'

/** Takes a lock and frees it. */
export const takeOnce = (lock: Lock | RLock): void => {
  lock.acquireSync()
  lock.release()
}

/** Adds one while the lock is held. */
export const increment = (lock: Lock, number: c_int): void => {
  lock.acquireSync()
  number.value += 1
  lock.release()
}

/** Adds to a number for as long as it is told, and answers how often it did, until it is told null. */
export function incrementWhenTold(connection: Connection, lock: Lock, number: c_int): void {
  for (;;) {
    const duration = connection.recvSync() as number | null
    if (duration === null) return
    connection.sendSync(repeatFor(duration, () => increment(lock, number)))
  }
}
