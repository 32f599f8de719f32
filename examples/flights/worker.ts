import { resampleMeans } from './bootstrap.js'
import { delaysOfHour, type HourlyDelays } from './hourly-delays.js'

// Loaded in every worker, so it imports nothing that only the main process needs.

let flights: Pick<HourlyDelays, 'delays' | 'offsets'> | undefined

/**
 * The initializer of the pool: keeps the data in the worker, so that tasks need not carry it.
 *
 * @param delays  see {@link HourlyDelays}
 * @param offsets  see {@link HourlyDelays}
 */
export function receiveFlights(delays: Int16Array, offsets: Int32Array): void {
  flights = { delays, offsets }
}

/**
 * The task: the means of a block of resamples, in minutes. Also what the single process calls.
 *
 * @param hour  0 to 23
 * @param first  number of the first resample
 * @param count  how many resamples
 * @param seed  seed of the whole run
 * @returns `count` means, in minutes
 * @throws {Error} when {@link receiveFlights} has not been called in this process
 * @throws {RangeError} when the hour has no flights
 */
export function resampleBlock(
  hour: number,
  first: number,
  count: number,
  seed: number,
): Float64Array {
  if (flights === undefined) throw new Error('receiveFlights has not been called in this process')
  return resampleMeans(delaysOfHour(flights, hour), hour, first, count, seed)
}

/**
 * Does the work of a block without keeping it, so that the loop is compiled before time is taken.
 *
 * @returns the id of this process
 */
export function warmUp(hour: number, count: number, seed: number): number {
  resampleBlock(hour, 0, count, seed)
  return process.pid
}
