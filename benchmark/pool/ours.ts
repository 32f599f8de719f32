/** Our pool. @module */
import * as mp from 'node-multiprocessing'
import { type Duration, meanTime, meanTimeSync, medianOfRepeats } from '../timing.js'
import { square } from './square.js'

interface ApplyAmounts extends Duration {
  readonly processes: number
}

interface MapAmounts {
  readonly processes: number
  readonly items: number
  readonly repeats: number
}

type Pool = InstanceType<ReturnType<typeof mp.getContext>['Pool']>

const withPool = async <R>(processes: number, use: (pool: Pool) => R | Promise<R>): Promise<R> => {
  const pool = new (mp.getContext('spawn').Pool)({ processes })
  try {
    return await use(pool)
  } finally {
    pool.terminate()
    await pool.join()
  }
}

const verify = (result: unknown, x: number): void => {
  if (result !== x * x) throw new Error(`the square of ${x} came back as ${result}`)
}

/** One awaited task after the other. */
export const apply = (amounts: ApplyAmounts): Promise<number> =>
  withPool(amounts.processes, async (pool) => {
    let x = 0
    const mean = await meanTime(amounts, async () => verify(await pool.apply(square, [++x]), x))
    return mean * 1e3
  })

/** One task after the other, with the thread blocked. */
export const applySync = (amounts: ApplyAmounts): Promise<number> =>
  withPool(amounts.processes, (pool) => {
    let x = 0
    return meanTimeSync(amounts, () => verify(pool.applySync(square, [++x]), x)) * 1e3
  })

const numbers = (items: number): number[] => Array.from({ length: items }, (_, i) => i)

const verifyAll = (results: readonly number[], items: number): void => {
  if (results.length !== items) throw new Error(`${items} results came back as ${results.length}`)
  verify(results.at(-1), items - 1)
}

/** All tasks, awaited. */
export const map = ({ processes, items, repeats }: MapAmounts): Promise<number> =>
  withPool(processes, (pool) => {
    const input = numbers(items)
    return medianOfRepeats(repeats, async () => verifyAll(await pool.map(square, input), items))
  })

/** All tasks, with the thread blocked. */
export const mapSync = ({ processes, items, repeats }: MapAmounts): Promise<number> =>
  withPool(processes, (pool) => {
    const input = numbers(items)
    return medianOfRepeats(repeats, () => verifyAll(pool.mapSync(square, input), items))
  })
