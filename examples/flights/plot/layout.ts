import type { HourResult } from '../results.js'
import { linear, type Scale } from './scale.js'
import { GAP, LEFT, RIGHT } from './style.js'

/** An hour with fewer flights has too small a bar to see, and too wide an interval to share a scale. */
export const FEW_FLIGHTS = 1000

/** Hours side by side that share a scale. */
export interface Part {
  hours: HourResult[]
  left: number
  right: number
  /** From an hour to the middle of its place. */
  x: Scale
  /** How wide the place of an hour is, in pixels. */
  slot: number
}

/**
 * Puts the hours in order and in place. The day begins after the quietest hour of the night, so
 * that the few flights after midnight come where they belong, at the end of the evening. It is
 * followed by the night, a part of its own: the hours after the last that has many flights.
 *
 * @param results  the 24 hours, hour 0 first
 * @returns day and night, or the only one there is
 */
export function layOut(results: HourResult[]): Part[] {
  const quietest = results.reduce(
    (best, { flights }, index) => (flights <= results[best]!.flights ? index : best),
    0,
  )
  const all = [...results.slice(quietest + 1), ...results.slice(0, quietest + 1)]
  const night = all.findLastIndex(({ flights }) => flights >= FEW_FLIGHTS) + 1
  const groups = [all.slice(0, night), all.slice(night)].filter((hours) => hours.length > 0)
  const slot = (RIGHT - LEFT - GAP * (groups.length - 1)) / all.length
  let left = LEFT
  return groups.map((hours) => {
    const right = left + slot * hours.length
    const place = linear(-0.5, hours.length - 0.5, left, right)
    const x: Scale = (hour) => place(hours.findIndex((result) => result.hour === hour))
    const part = { hours, left, right, x, slot }
    left = right + GAP
    return part
  })
}
