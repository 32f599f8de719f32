import { readFile } from 'node:fs/promises'
import { tableFromIPC } from 'apache-arrow'
import { FlightsFormatError } from './errors.js'
import { HOURS_PER_DAY } from './work.js'

/**
 * What the demo needs of the file, which has a row for each flight. The package does not describe
 * its columns; this is what the numbers show, and how the demo reads them:
 *
 * - `delay`, Int16: whole numbers, taken for minutes; below 0 is early. From -58 to 180, and 180 is
 *   so frequent that it seems to be a ceiling: nobody knows how much later these flights were.
 * - `time`, Float32: multiples of 1/60 below 24, so hours and minutes on the clock. That of early
 *   flights is nearly always a multiple of five minutes, as in timetables, and that of late ones
 *   only half of the time, and the hours after midnight have hardly any but late flights. So it
 *   seems to be when the flight really left, not when it should have.
 *
 * The schema permits missing values, but there are none.
 */
export interface FlightColumns {
  /** Delays in minutes. */
  delay: Iterable<number | null>
  /** Times in hours after midnight. */
  time: Iterable<number | null>
}

/** The flights inside the package `vega-datasets`. */
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
 * Sorts the delays by hour.
 *
 * @param columns  delays in minutes and times in hours, equally long
 * @returns the delays of each of the 24 hours, in the order of the file
 * @throws {FlightsFormatError} when the columns differ in length, a value is missing, a time is not
 *   of the day or a delay is not a whole number that an Int16 holds
 */
export function groupByHour(columns: FlightColumns): Int16Array[] {
  const delays = [...columns.delay]
  const times = [...columns.time]
  if (delays.length !== times.length) {
    throw new FlightsFormatError(`there are ${delays.length} delays but ${times.length} times`)
  }
  const hours: number[][] = Array.from({ length: HOURS_PER_DAY }, () => [])
  for (const [row, delay] of delays.entries()) {
    const time = times[row]!
    if (time === null || !(time >= 0 && time < HOURS_PER_DAY)) {
      throw new FlightsFormatError(`row ${row}: the time ${time} is not from 0 to 24 hours`)
    }
    if (delay === null || delay !== (delay << 16) >> 16) {
      throw new FlightsFormatError(`row ${row}: the delay ${delay} is not a 16-bit whole number`)
    }
    hours[Math.floor(time)]!.push(delay)
  }
  return hours.map((hour) => Int16Array.from(hour))
}
