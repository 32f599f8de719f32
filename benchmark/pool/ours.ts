/** Our pool. @module */
import * as mp from 'node-multiprocessing'
import { median } from '../statistics.js'
import { type Duration, meanTime, meanTimeSync, medianOfRepeats } from '../timing.js'
import { tasksPerSecond } from './flight.js'
import { square } from './square.js'

interface ApplyAmounts extends Duration {
  readonly processes: number
}

interface MapAmounts {
  readonly processes: number
  readonly items: number
  readonly repeats: number
}

const withPool = async <R>(
  processes: number,
  use: (pool: mp.Pool) => R | Promise<R>,
): Promise<R> => {
  const pool = new mp.Pool(processes)
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

interface FlightAmounts {
  readonly processes: number
  readonly count: number
}

/** Many tasks at once, each a call of its own. */
export const flight = ({ processes, count }: FlightAmounts): Promise<number> =>
  withPool(processes, (pool) => tasksPerSecond(count, (x) => pool.apply(square, [x])))

/** Many tasks at once, of one call. */
export const flightOfMap = ({ processes, count }: FlightAmounts): Promise<number> =>
  withPool(processes, async (pool) => {
    const input = numbers(count)
    const time = await medianOfRepeats(1, async () =>
      verifyAll(await pool.map(square, input, 1), count),
    )
    return (count / time) * 1e3
  })

/** Making a pool, until its workers have answered. */
export const start = async ({
  processes,
  repeats,
}: {
  readonly processes: number
  readonly repeats: number
}): Promise<number> => {
  const times: number[] = []
  for (let repeat = 0; repeat <= repeats; repeat++) {
    const begin = performance.now()
    const pool = new mp.Pool(processes)
    verifyAll(await pool.map(square, numbers(processes), 1), processes)
    if (repeat > 0) times.push(performance.now() - begin)
    pool.terminate()
    await pool.join()
  }
  return median(times)
}

/**
 * By how many megabytes the pool's process grows from the second tenth of the tasks to the last. What V8 has
 * given back, and what not, differs from one moment to the next, so each is a median.
 */
export const growth = ({ processes, count }: FlightAmounts): Promise<number> =>
  withPool(processes, async (pool) => {
    const rounds = 100
    const samples: number[] = []
    for (let round = 0; round < rounds; round++) {
      await tasksOnce(pool, count / rounds)
      samples.push(memory())
    }
    return Math.max(0, median(samples.slice(-10)) - median(samples.slice(10, 20)))
  })

const tasksOnce = async (pool: mp.Pool, count: number): Promise<void> => {
  const calls = Array.from({ length: count }, (_, x) => pool.apply(square, [x]))
  verifyAll(await Promise.all(calls), count)
}

const memory = (): number => {
  globalThis.gc?.()
  return process.memoryUsage.rss() / 1e6
}
