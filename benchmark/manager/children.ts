/** What children do in the measurements of managers. @module */
import type { Connection } from 'node-multiprocessing'
import type { DictProxy } from 'node-multiprocessing/managers'

/** Gets a value as often as each batch says, when told to. */
export const getOften = (
  connection: Connection,
  dict: DictProxy<string, number>,
  sizes: readonly number[],
): void => {
  dict.getSync('key')
  connection.sendSync('here')
  for (const size of sizes) {
    connection.recvSync()
    for (let i = 0; i < size; i++) dict.getSync('key')
    connection.sendSync('done')
  }
}
