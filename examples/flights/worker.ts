import { resampleMeans } from './bootstrap.js'
import { type Block, HOURS_PER_DAY } from './work.js'

// Loaded in every worker, so it imports nothing that only the main process needs.

/** Any number would do; with another one the intervals change in their last digits. */
const SEED = 2001

let flights: Int16Array[] | undefined
let shared: Float64Array | undefined

/**
 * Keeps the data, so that tasks need not carry it.
 *
 * @param delaysByHour  the delays of each hour, in minutes
 */
export function receiveFlights(delaysByHour: Int16Array[]): void {
  flights = delaysByHour
}

/**
 * The initializer of the pool: likewise, and where the means go.
 *
 * @param delaysByHour  the delays of each hour, in shared memory
 * @param means  room for as many means of each hour as there are resamples, in shared memory
 */
export function receiveShared(delaysByHour: Int16Array[], means: Float64Array): void {
  receiveFlights(delaysByHour)
  shared = means
}

/**
 * Where the means of a block are among those of all hours.
 *
 * @param means  the means of all hours
 * @param block  which of them
 * @returns these, in the same memory
 */
export function meansOf(means: Float64Array, { hour, first, count }: Block): Float64Array {
  const start = (means.length / HOURS_PER_DAY) * hour + first
  return means.subarray(start, start + count)
}

/**
 * The task: draws the resamples of a block, and puts their means where all processes see them.
 *
 * @param block  which resamples of which hour
 * @throws {Error} when {@link receiveShared} has not been called in this process
 * @throws {RangeError} when the hour has no flights
 */
export function fillBlock(block: Block): void {
  if (shared === undefined) throw new Error('receiveShared has not been called in this process')
  meansOf(shared, block).set(resampleBlock(block))
}

/**
 * Draws the resamples of a block: what the single process calls.
 *
 * @param block  which resamples of which hour
 * @returns the mean of each resample, in minutes
 * @throws {Error} when {@link receiveFlights} has not been called in this process
 * @throws {RangeError} when the hour has no flights
 */
export function resampleBlock({ hour, first, count }: Block): Float64Array {
  if (flights === undefined) throw new Error('receiveFlights has not been called in this process')
  return resampleMeans(flights[hour]!, hour, first, count, SEED)
}
