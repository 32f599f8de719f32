import { resampleMeans } from './bootstrap.js'
import type { Block } from './work.js'

// Loaded in every worker, so it imports nothing that only the main process needs.

/** Any number would do; with another one the intervals change in their last digits. */
const SEED = 2001

let flights: Int16Array[] | undefined

/**
 * The initializer of the pool: keeps the data in the worker, so that tasks need not carry it.
 *
 * @param delaysByHour  the delays of each hour, in minutes
 */
export function receiveFlights(delaysByHour: Int16Array[]): void {
  flights = delaysByHour
}

/**
 * The task: draws the resamples of a block. Also what the single process calls.
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
