export const HOURS_PER_DAY = 24

/** The delays of all flights, sorted by hour of departure. */
export interface HourlyDelays {
  /** Delays in minutes, those of hour 0 first. */
  delays: Int16Array
  /** 25 positions in `delays`: hour `h` lies from `offsets[h]` up to, not including, `offsets[h + 1]`. */
  offsets: Int32Array
  /** How many flights were left out because their delay or time is missing. */
  skipped: number
}

/**
 * The delays of one hour.
 *
 * @param flights  where they are; `skipped` is not needed
 * @param hour  0 to 23
 * @returns a view, in minutes
 */
export function delaysOfHour(
  flights: Pick<HourlyDelays, 'delays' | 'offsets'>,
  hour: number,
): Int16Array {
  return flights.delays.subarray(flights.offsets[hour]!, flights.offsets[hour + 1]!)
}

/** How many flights each of the 24 hours has. */
export function flightsPerHour(flights: Pick<HourlyDelays, 'offsets'>): number[] {
  return Array.from(
    { length: HOURS_PER_DAY },
    (_, hour) => flights.offsets[hour + 1]! - flights.offsets[hour]!,
  )
}
