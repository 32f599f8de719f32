import type { Interval } from '../bootstrap.js'
import { formatCount, formatHour, formatMinutes } from '../format.js'
import type { HourResult } from '../results.js'
import type { Part } from './layout.js'
import { linear, type Scale, tickStep, ticks } from './scale.js'
import { BAND, BAND_OPACITY, BOTTOM, GRID, MEAN, MUTED, TOP, ZERO } from './style.js'
import { element, line, points, textAt } from './svg.js'

/** An hour that has flights, and therefore a mean. */
type Hour = HourResult & { interval: Interval }

/** About how many distances between ticks. */
const TICKS = 8

/**
 * Draws the mean delays of a part of the day with their intervals, on a scale of their own.
 *
 * @param part  the hours and their places
 */
export function delays(part: Part): string {
  const hours = part.hours.filter(hasMean)
  const low = Math.min(0, ...hours.map(({ interval }) => interval.low))
  const high = Math.max(1, ...hours.map(({ interval }) => interval.high))
  const step = tickStep(high - low, TICKS)
  const from = Math.floor(low / step) * step
  const to = Math.ceil(high / step) * step
  const y = linear(from, to, BOTTOM, TOP)
  const runs = neighbours(part.hours)
  return [
    ...ticks(from, to, step).map((minutes) => gridLine(part, minutes, y)),
    ...runs.map((run) => band(run, part.x, y)),
    ...runs.map((run) => meanLine(run, part.x, y)),
    ...hours.map((hour) => mark(hour, part.x, y)),
  ].join('\n')
}

function hasMean(result: HourResult): result is Hour {
  return result.interval !== undefined
}

/** Runs of hours with flights that follow one another: what a line may connect. */
function neighbours(hours: HourResult[]): Hour[][] {
  const runs: Hour[][] = [[]]
  for (const result of hours) {
    if (hasMean(result)) runs.at(-1)!.push(result)
    else runs.push([])
  }
  return runs.filter((run) => run.length > 1)
}

function gridLine({ left, right }: Part, minutes: number, y: Scale): string {
  const zero = minutes === 0
  return [
    line(left, y(minutes), right, y(minutes), {
      stroke: zero ? ZERO : GRID,
      'stroke-width': zero ? 1.5 : 1,
    }),
    textAt(left - 10, y(minutes) + 4.5, formatMinutes(minutes).replace('.0', ''), {
      'text-anchor': 'end',
      fill: MUTED,
    }),
  ].join('')
}

function band(run: Hour[], x: Scale, y: Scale): string {
  const upper = run.map(({ hour, interval }) => [x(hour), y(interval.high)] as const)
  const lower = run.map(({ hour, interval }) => [x(hour), y(interval.low)] as const)
  return element('polygon', {
    points: points([...upper, ...lower.reverse()]),
    fill: BAND,
    'fill-opacity': BAND_OPACITY,
  })
}

function meanLine(run: Hour[], x: Scale, y: Scale): string {
  return element('polyline', {
    points: points(run.map(({ hour, mean }) => [x(hour), y(mean)] as const)),
    fill: 'none',
    stroke: MEAN,
    'stroke-width': 1.5,
    'stroke-opacity': 0.6,
    'stroke-linejoin': 'round',
  })
}

/** The dot and whisker of an hour, with the numbers to read when the pointer rests on it. */
function mark({ hour, flights, mean, interval }: Hour, x: Scale, y: Scale): string {
  const centre = x(hour)
  const stroke = { stroke: MEAN, 'stroke-width': 1.5 }
  const end = (minutes: number): string =>
    line(centre - 4.5, y(minutes), centre + 4.5, y(minutes), stroke)
  return element(
    'g',
    { 'data-hour': formatHour(hour) },
    element(
      'title',
      {},
      `${formatHour(hour)}:00 to ${formatHour(hour)}:59: ${formatMinutes(mean)} min ` +
        `(${formatMinutes(interval.low)} to ${formatMinutes(interval.high)}), ` +
        `${formatCount(flights)} flights`,
    ),
    line(centre, y(interval.low), centre, y(interval.high), stroke),
    end(interval.low),
    end(interval.high),
    element('circle', { cx: centre, cy: y(mean), r: 2.6, fill: MEAN }),
  )
}
