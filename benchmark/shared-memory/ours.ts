/** Ours: blocks of shared memory that are made, written to and removed, and lists that are read. @module */
import { ShareableList, SharedMemory } from 'node-multiprocessing/shared-memory'
import { type Duration, meanTimeSync } from '../timing.js'

interface Amounts extends Duration {
  readonly size: number
  readonly fill: boolean
}

/** Makes and removes a block, in microseconds. */
export const createAndUnlink = ({ size, fill, ...duration }: Amounts): number =>
  meanTimeSync(duration, () => {
    const block = new SharedMemory({ create: true, size })
    if (fill) block.buf!.fill(1)
    block.close()
    block.unlink()
  }) * 1e3

const LENGTH = 100

/** Reads an item of a list, in microseconds. */
export const readItem = (duration: Duration): number => {
  const list = new ShareableList(Array.from({ length: LENGTH }, (_, i) => i))
  let sum = 0
  const time = meanTimeSync(duration, () => {
    for (let i = 0; i < LENGTH; i++) sum += list.get(i)
  })
  list.shm.close()
  list.shm.unlink()
  if (sum === 0) throw new Error('nothing was read')
  return (time * 1e3) / LENGTH
}
