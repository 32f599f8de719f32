import { type Interval, mean, percentileInterval } from './bootstrap.js'
import { ResultsDifferError } from './errors.js'
import type { Block } from './work.js'

/** What is known about one hour in the end. All times in minutes. */
export interface HourResult {
  hour: number
  flights: number
  /** Mean delay; NaN for an hour without flights. */
  mean: number
  /** Confidence interval of the mean; undefined for an hour without flights. */
  interval: Interval | undefined
}

/**
 * Makes sure that two computations gave the same numbers, to the last bit, and all of them.
 *
 * @param blocks  what was computed
 * @param pool  the means of each block from the pool
 * @param single  the means of each block from the single process
 * @throws {ResultsDifferError} that names the first resample that differs or is missing
 */
export function checkIdentical(
  blocks: Block[],
  pool: Float64Array[],
  single: Float64Array[],
): void {
  for (const [index, { hour, first, count }] of blocks.entries()) {
    const means = { pool: pool[index] ?? [], single: single[index] ?? [] }
    for (let i = 0; i < Math.max(count, means.pool.length, means.single.length); i++) {
      const [one, other] = [means.pool[i], means.single[i]]
      if (one === undefined || !Object.is(one, other)) {
        throw new ResultsDifferError(
          `hour ${hour}, resample ${first + i}: ` +
            `the mean is ${one} from the pool but ${other} from the single process`,
        )
      }
    }
  }
}

/**
 * Takes the mean and its interval for each hour.
 *
 * @param flights  the delays of each hour, in minutes
 * @param blocks  what was computed: all resamples of each hour
 * @param means  the resampled means of each block
 * @param confidence  such as 0.95
 * @returns hour 0 first
 */
export function summarize(
  flights: Int16Array[],
  blocks: Block[],
  means: Float64Array[],
  confidence: number,
): HourResult[] {
  return flights.map((delays, hour) => {
    const resampled = means.filter((_, index) => blocks[index]!.hour === hour)
    return {
      hour,
      flights: delays.length,
      mean: mean(delays),
      interval: delays.length === 0 ? undefined : percentileInterval(joined(resampled), confidence),
    }
  })
}

function joined(parts: Float64Array[]): Float64Array {
  const whole = new Float64Array(parts.reduce((length, part) => length + part.length, 0))
  let end = 0
  for (const part of parts) {
    whole.set(part, end)
    end += part.length
  }
  return whole
}
