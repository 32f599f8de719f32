import { type Interval, mean, percentileInterval } from './bootstrap.js'
import { ResultsDifferError } from './errors.js'
import { delaysOfHour, flightsPerHour, type HourlyDelays } from './hourly-delays.js'
import type { Block } from './work.js'

/** What is known about one hour in the end. All times in minutes. */
export interface HourResult {
  hour: number
  flights: number
  /** Mean arrival delay; NaN for an hour without flights. */
  mean: number
  /** Confidence interval of the mean; undefined for an hour without flights. */
  interval: Interval | undefined
}

/** Where the resampled means of all hours are put together. */
export class ResampledMeans {
  /** The means of each hour in minutes, NaN where none has arrived; empty without flights. */
  readonly hours: Float64Array[]

  /**
   * @param flights  flights of each hour
   * @param resamples  resamples of each hour that has flights
   */
  constructor(flights: number[], resamples: number) {
    this.hours = flights.map((count) => new Float64Array(count === 0 ? 0 : resamples).fill(NaN))
  }

  /** Puts the means of a block in their place. */
  add(block: Block, means: Float64Array): void {
    this.hours[block.hour]!.set(means, block.first)
  }
}

/**
 * Makes sure that two computations gave the same numbers, to the last bit, and all of them.
 *
 * @param pool  means from the pool
 * @param single  means from the single process
 * @throws {ResultsDifferError} that names the first resample that differs or is missing
 */
export function checkIdentical(pool: ResampledMeans, single: ResampledMeans): void {
  for (const [hour, expected] of single.hours.entries()) {
    const actual = pool.hours[hour] ?? new Float64Array()
    for (let resample = 0; resample < Math.max(expected.length, actual.length); resample++) {
      const one = expected[resample]
      const other = actual[resample]
      // NaN equals itself here, and means that the resample is missing on both sides.
      if (!Object.is(one, other) || Number.isNaN(one)) {
        throw new ResultsDifferError(
          `hour ${hour}, resample ${resample}: ` +
            `the mean is ${other} from the pool but ${one} from the single process`,
        )
      }
    }
  }
}

/**
 * Takes the mean and its interval for each of the 24 hours.
 *
 * @param flights  the delays
 * @param means  all resampled means
 * @param confidence  such as 0.95
 * @returns hour 0 first
 */
export function summarize(
  flights: HourlyDelays,
  means: ResampledMeans,
  confidence: number,
): HourResult[] {
  return flightsPerHour(flights).map((count, hour) => ({
    hour,
    flights: count,
    mean: mean(delaysOfHour(flights, hour)),
    interval: count === 0 ? undefined : percentileInterval(means.hours[hour]!, confidence),
  }))
}
