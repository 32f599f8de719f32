import { readFile } from 'node:fs/promises'
import { tableFromIPC } from 'apache-arrow'
import { FlightsFormatError } from './errors.js'
import { HOURS_PER_DAY, type HourlyDelays } from './hourly-delays.js'

/**
 * What the demo needs of the file, which has one row for each flight and no other columns but the
 * distance flown:
 *
 * - `delay`, Int16: minutes from the scheduled to the actual arrival. A negative delay is a flight
 *   that arrived early.
 * - `time`, Float32: the local time at which the flight really departed, in hours after midnight,
 *   6.5 being half past six.
 *
 * The data set's makers left out cancelled flights and flights without an arrival. Both columns
 * may hold nulls nevertheless, as far as the schema goes.
 */
export interface FlightColumns {
  /** Delays in minutes, `null` where missing. */
  delay: Iterable<number | null>
  /** Departure times in hours after midnight, `null` where missing. */
  time: Iterable<number | null>
}

/**
 * The sample of 200,000 flights inside the package `vega-datasets`. The file does not say so itself,
 * but its makers drew it from all U.S. domestic flights of January to March 2001.
 */
export function flightsFile(): URL {
  // The package exports its module only; the data lies beside it.
  return new URL('../data/flights-200k.arrow', import.meta.resolve('vega-datasets'))
}

/**
 * Reads the flights from an Arrow file.
 *
 * @param file  where it is
 * @returns the two columns
 * @throws {FlightsFormatError} when a column is missing
 * @throws the error of `readFile` when the file cannot be read
 */
export async function readFlights(file: URL): Promise<FlightColumns> {
  const table = tableFromIPC(await readFile(file))
  const column = (name: string): Iterable<number | null> => {
    const vector = table.getChild(name)
    if (vector === null) throw new FlightsFormatError(`${file.pathname} has no column "${name}"`)
    return vector
  }
  return { delay: column('delay'), time: column('time') }
}

/**
 * Sorts the delays by hour of departure. A flight without a delay or without a time cannot be
 * counted anywhere; it is left out, and `skipped` says how many were.
 *
 * @param columns  delays in minutes and times in hours, equally long
 * @returns the delays of all 24 hours, in the order of the file within each hour
 * @throws {FlightsFormatError} when the columns differ in length, a time is not of this day or a
 *   delay is not a whole number of minutes that an Int16 holds
 */
export function groupByHour(columns: FlightColumns): HourlyDelays {
  const groups: number[][] = Array.from({ length: HOURS_PER_DAY }, () => [])
  const times = columns.time[Symbol.iterator]()
  let row = 0
  let skipped = 0
  for (const delay of columns.delay) {
    const { value: time, done } = times.next()
    if (done) throw new FlightsFormatError(`there are more delays than times (${row})`)
    if (isMissing(delay) || isMissing(time)) {
      skipped++
    } else {
      checkRow(row, delay, time)
      groups[Math.floor(time)]!.push(delay)
    }
    row++
  }
  if (!times.next().done) throw new FlightsFormatError(`there are more times than delays (${row})`)

  const offsets = new Int32Array(HOURS_PER_DAY + 1)
  for (const [hour, group] of groups.entries()) offsets[hour + 1] = offsets[hour]! + group.length
  return { delays: Int16Array.from(groups.flat()), offsets, skipped }
}

function isMissing(value: number | null): value is null {
  return value === null || Number.isNaN(value)
}

function checkRow(row: number, delay: number, time: number): void {
  if (!(time >= 0 && time < HOURS_PER_DAY)) {
    throw new FlightsFormatError(`row ${row}: the time ${time} is not from 0 to 24 hours`)
  }
  if (delay !== (delay << 16) >> 16) {
    throw new FlightsFormatError(`row ${row}: the delay ${delay} is not a 16-bit whole number`)
  }
}
