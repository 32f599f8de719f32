/** Computing over a shared array: on one thread, by a pool, and by processes told by hand. @module */
import * as mp from 'node-multiprocessing'
import { startPair } from '../child-pair.js'
import { medianOfRepeats } from '../timing.js'
import { compute, computeWhenTold, type Part } from './part.js'
import { root } from './square.js'

interface ArrayAmounts {
  readonly processes: number
  readonly length: number
  readonly repeats: number
}

/** How many times as fast something computes the same as a loop on one thread. */
const timesAsFast = async (
  { length, repeats }: ArrayAmounts,
  together: (all: Part) => Promise<unknown>,
): Promise<number> => {
  const shared = (): Float64Array<ArrayBuffer> =>
    new Float64Array(mp.share(new ArrayBuffer(length * 8)))
  const all = { input: shared(), output: shared(), from: 0, to: length }
  for (let i = 0; i < length; i++) all.input[i] = i
  const timeAlone = await medianOfRepeats(repeats, () => compute(all))
  all.output.fill(0)
  const time = await medianOfRepeats(repeats, async () => {
    await together(all)
  })
  for (const i of [0, 1, length >> 1, length - 1]) {
    if (all.output[i] !== root(i)) throw new Error(`number ${i} came back as ${all.output[i]}`)
  }
  return timeAlone / time
}

/** By a pool. */
export const byPool = async (amounts: ArrayAmounts): Promise<number> => {
  const pool = new mp.Pool(amounts.processes)
  try {
    return await timesAsFast(amounts, ({ input, output }) =>
      pool.map(root, input, { into: output }),
    )
  } finally {
    pool.terminate()
    await pool.join()
  }
}

/** By processes that have a part each, and nothing else to do. */
export const byHand = async (amounts: ArrayAmounts): Promise<number> => {
  const { processes, length } = amounts
  const pairs: ReturnType<typeof startPair>[] = []
  const times = await timesAsFast(amounts, async (all) => {
    while (pairs.length < processes) {
      const [from, to] = [pairs.length, pairs.length + 1].map((i) =>
        Math.floor((i * length) / processes),
      ) as [number, number]
      pairs.push(startPair(computeWhenTold, { ...all, from, to }))
    }
    for (const { connection } of pairs) connection.sendSync(true)
    for (const { connection } of pairs) await connection.recv()
  })
  for (const { connection } of pairs) connection.sendSync(false)
  for (const { end } of pairs) await end()
  return times
}
