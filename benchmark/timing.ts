/** How one process measures. @module */
import { Bench } from 'tinybench'
import { median } from './statistics.js'

/** How long to measure, both in milliseconds. */
export interface Duration {
  readonly warmup: number
  readonly duration: number
}

const benchFor = ({ warmup, duration }: Duration, operation: () => unknown, async: boolean) =>
  new Bench({
    time: duration,
    iterations: 1,
    warmupTime: warmup,
    warmupIterations: 1,
    throws: true,
  }).add('operation', operation, { async })

const meanOf = (bench: Bench): number => {
  const result = bench.tasks[0]?.result
  if (result?.state !== 'completed') throw new Error(`the measurement is ${result?.state}`)
  return result.latency.mean
}

/** The mean time of an operation that blocks, in milliseconds. */
export const meanTimeSync = (duration: Duration, operation: () => unknown): number => {
  const bench = benchFor(duration, operation, false)
  bench.runSync()
  return meanOf(bench)
}

/** The mean time until an operation's promise is fulfilled, in milliseconds. */
export const meanTime = async (
  duration: Duration,
  operation: () => Promise<unknown>,
): Promise<number> => {
  const bench = benchFor(duration, operation, true)
  await bench.run()
  return meanOf(bench)
}

/**
 * The median time of a few repetitions, after one that is not counted, in milliseconds. For what takes
 * so long that a handful must do, where one interruption would spoil a mean.
 */
export const medianOfRepeats = async (
  repeats: number,
  operation: () => void | Promise<void>,
): Promise<number> => {
  await operation()
  const times: number[] = []
  for (let repeat = 0; repeat < repeats; repeat++) {
    const begin = performance.now()
    await operation()
    times.push(performance.now() - begin)
  }
  return median(times)
}
