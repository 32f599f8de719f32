/** Ours: an array in shared memory that another process has not seen before. @module */
import * as mp from 'node-multiprocessing'
import { startPair } from '../child-pair.js'
import { medianOfRepeats } from '../timing.js'
import { mark, verify } from './both-ends.js'
import { lookAtBothEnds } from './children.js'

interface Amounts {
  readonly size: number
  readonly repeats: number
}

/** Hands arrays over, each a new one, until the other side has looked at them; in milliseconds. */
export const handOver = async ({ size, repeats }: Amounts): Promise<number> => {
  const { connection, end } = startPair(lookAtBothEnds)
  const arrays = Array.from({ length: repeats + 1 }, () => {
    const array = mp.RawArray('B', size).typedArray()
    mark(array)
    return array
  })
  const time = await medianOfRepeats(repeats, () => {
    connection.sendSync(arrays.pop())
    verify(connection.recvSync())
  })
  connection.sendSync(null)
  await end()
  return time
}
