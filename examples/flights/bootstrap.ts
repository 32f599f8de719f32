import { Sfc32 } from './random.js'

const WORDS = 2 ** 32

/** An interval of values, both ends included. */
export interface Interval {
  low: number
  high: number
}

/**
 * The mean of whole numbers.
 *
 * @param values  at least one value
 * @returns the mean, in the unit of the values; NaN when there are none
 */
export function mean(values: Int16Array): number {
  let sum = 0
  for (const value of values) sum += value
  return sum / values.length
}

/**
 * Draws bootstrap resamples of one hour and takes the mean of each. A resample is as many values
 * as there are, each drawn from all of them with replacement.
 *
 * Resample `k` of an hour is the same numbers whatever `first` and `count` are: its generator is
 * seeded with (seed, hour, k). And its sum is a sum of whole numbers, therefore exact.
 *
 * @param values  the delays of the hour, in minutes
 * @param hour  the hour, 0 to 23; only seeds the generator
 * @param first  number of the first resample
 * @param count  how many resamples to draw
 * @param seed  seed of the whole run
 * @returns `count` means, in minutes
 * @throws {RangeError} when `values` is empty: there is nothing to draw from
 */
export function resampleMeans(
  values: Int16Array,
  hour: number,
  first: number,
  count: number,
  seed: number,
): Float64Array {
  const size = values.length
  if (size === 0) throw new RangeError(`hour ${hour} has no flights to draw from`)
  const means = new Float64Array(count)
  // word × size / 2³² maps the words onto the positions, but a few positions get one word more
  // than the others unless 2³² mod size of the words, told by their low half, are drawn again.
  const excess = WORDS % size
  for (let resample = 0; resample < count; resample++) {
    const generator = new Sfc32(seed, hour, first + resample)
    let sum = 0
    for (let drawn = 0; drawn < size; ) {
      const word = generator.next()
      if (Math.imul(word, size) >>> 0 < excess) continue
      sum += values[Math.floor((word * size) / WORDS)]!
      drawn++
    }
    means[resample] = sum / size
  }
  return means
}

/**
 * The quantile of sorted values, linear between neighbours: the lowest value is quantile 0, the
 * highest is quantile 1, the others lie evenly between.
 *
 * @param sorted  at least one value, ascending
 * @param probability  0 to 1
 * @returns the quantile, in the unit of the values
 */
export function quantile(sorted: Float64Array, probability: number): number {
  const position = probability * (sorted.length - 1)
  const below = Math.floor(position)
  const low = sorted[below]!
  const high = sorted[Math.min(below + 1, sorted.length - 1)]!
  return low + (high - low) * (position - below)
}

/**
 * The percentile bootstrap interval: what is left of the resampled means when the same share is
 * cut off at both ends.
 *
 * @param means  resampled means, in any order; not changed
 * @param confidence  share of the means that the interval keeps, more than 0 and less than 1
 * @returns the interval, in the unit of the means
 * @throws {RangeError} when `means` is empty or `confidence` is not between 0 and 1
 */
export function percentileInterval(means: Float64Array, confidence: number): Interval {
  if (means.length === 0) throw new RangeError('no resampled means to take an interval of')
  if (!(confidence > 0 && confidence < 1)) {
    throw new RangeError(`confidence must be between 0 and 1, but is ${confidence}`)
  }
  const sorted = means.toSorted()
  const tail = (1 - confidence) / 2
  return { low: quantile(sorted, tail), high: quantile(sorted, 1 - tail) }
}
