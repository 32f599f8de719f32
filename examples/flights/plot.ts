import type { Interval } from './bootstrap.js'
import { formatCount, formatHour, formatMinutes } from './format.js'
import type { HourResult } from './results.js'
import { linear, type Scale, tickStep, ticks } from './scale.js'
import { element, line, points, textAt } from './svg.js'

/** What the plot says about how the intervals were made. */
export interface PlotFacts {
  /** Resamples of each hour. */
  resamples: number
  /** Share of the resampled means inside the interval, such as 0.95. */
  confidence: number
}

/** An hour that has flights, and therefore a mean. */
type Hour = HourResult & { interval: Interval }

interface Frame {
  x: Scale
  y: Scale
  low: number
  high: number
}

/** An hour with fewer flights has too wide an interval to share a scale with the others. */
const FEW_FLIGHTS = 100

const WIDTH = 1000
/** Where the titles of the vertical axes stand. */
const AXIS_TITLE = 30
const HEIGHT = 660
const LEFT = 96
const RIGHT = 972
const TOP = 122
const BOTTOM = 440
const BARS_TOP = 468
const BARS_BOTTOM = 528

const INK = '#1f2933'
const MUTED = '#5b6875'
const GRID = '#e6eaee'
const ZERO = '#9aa5b1'
const BAR = '#cdd6df'
const MEAN = '#0b6e8a'
const BAND = '#8ecbdc'
const FONT = "system-ui, -apple-system, 'Segoe UI', 'Helvetica Neue', Arial, sans-serif"

/**
 * Draws the mean delay of each hour with its interval, and the number of flights beneath.
 *
 * The day begins after the quietest hour of the night, so that the few flights after midnight come
 * where they belong: at the end of the evening they were late for.
 *
 * @param results  the 24 hours, hour 0 first, times in minutes; hours without flights stay empty
 * @param facts  how the intervals were made
 * @returns an SVG document of 1000 × 660 pixels that needs no other file
 */
export function renderPlot(results: HourResult[], facts: PlotFacts): string {
  const day = rotateDay(results)
  const hours = day.filter((result): result is Hour => result.interval !== undefined)
  const [low, high] = delayRange(hours)
  const place = linear(-0.5, day.length - 0.5, LEFT, RIGHT)
  const frame: Frame = {
    x: (hour) => place(day.findIndex((result) => result.hour === hour)),
    y: linear(low, high, BOTTOM, TOP),
    low,
    high,
  }
  const runs = neighbours(day)
  return `${element(
    'svg',
    {
      xmlns: 'http://www.w3.org/2000/svg',
      viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
      width: WIDTH,
      height: HEIGHT,
      role: 'img',
      'aria-labelledby': 'plot-title plot-description',
      'font-family': FONT,
      'font-size': 13,
      fill: INK,
    },
    heading(hours, facts),
    delayAxis(frame),
    ...runs.map((run) => band(run, frame)),
    ...runs.map((run) => meanLine(run, frame)),
    countBars(day, frame, place),
    ...hours.map((hour) => mark(hour, frame)),
    legend(facts),
    footnote(hours, frame),
  )}\n`
}

/** The 24 hours, from the one after the quietest: the last of the quietest, if there are several. */
function rotateDay(results: HourResult[]): HourResult[] {
  const quietest = results.reduce(
    (best, { flights }, index) => (flights <= results[best]!.flights ? index : best),
    0,
  )
  return [...results.slice(quietest + 1), ...results.slice(0, quietest + 1)]
}

/** The range of delays on the axis, which the hours with enough flights decide. */
function delayRange(hours: Hour[]): [low: number, high: number] {
  const enough = hours.filter(hasEnough)
  const intervals = (enough.length > 0 ? enough : hours).map(({ interval }) => interval)
  const low = Math.min(0, ...intervals.map((interval) => interval.low))
  const high = Math.max(1, ...intervals.map((interval) => interval.high))
  const step = tickStep(high - low, 6)
  return [
    Math.floor((low - step * 0.1) / step) * step,
    Math.ceil((high + step * 0.1) / step) * step,
  ]
}

function hasEnough({ flights }: HourResult): boolean {
  return flights >= FEW_FLIGHTS
}

/** Runs of hours with enough flights that follow one another: what a line may connect. */
function neighbours(day: HourResult[]): Hour[][] {
  const runs: Hour[][] = [[]]
  for (const result of day) {
    if (result.interval !== undefined && hasEnough(result)) runs.at(-1)!.push(result as Hour)
    else runs.push([])
  }
  return runs.filter((run) => run.length > 1)
}

function heading(hours: Hour[], { resamples, confidence }: PlotFacts): string {
  const total = formatCount(hours.reduce((sum, { flights }) => sum + flights, 0))
  const title = 'How late do flights arrive, hour by hour?'
  const subtitle = 'Mean arrival delay by hour of departure'
  const source =
    `${total} U.S. domestic flights, January to March 2001 · ` +
    `${percent(confidence)} bootstrap confidence intervals from ` +
    `${formatCount(resamples)} resamples of each hour`
  return [
    element('title', { id: 'plot-title' }, `${subtitle} of ${total} flights`),
    element('desc', { id: 'plot-description' }, source),
    element('rect', { width: WIDTH, height: HEIGHT, fill: '#ffffff' }),
    textAt(28, 42, title, { 'font-size': 25, 'font-weight': 700 }),
    textAt(28, 68, subtitle, { 'font-size': 16 }),
    textAt(28, 91, source, { fill: MUTED }),
  ].join('\n')
}

function percent(share: number): string {
  return `${Math.round(share * 1000) / 10} %`
}

function delayAxis({ y, low, high }: Frame): string {
  const marks = ticks(low, high, tickStep(high - low, 7)).map((minutes) =>
    [
      line(LEFT, y(minutes), RIGHT, y(minutes), {
        stroke: minutes === 0 ? ZERO : GRID,
        'stroke-width': minutes === 0 ? 1.5 : 1,
      }),
      textAt(LEFT - 10, y(minutes) + 4.5, formatMinutes(minutes).replace('.0', ''), {
        'text-anchor': 'end',
        fill: MUTED,
      }),
    ].join(''),
  )
  const middle = (TOP + BOTTOM) / 2
  return [
    ...marks,
    textAt(AXIS_TITLE, middle, 'mean arrival delay, minutes (below 0: early)', {
      transform: `rotate(-90 ${AXIS_TITLE} ${middle})`,
      'text-anchor': 'middle',
      fill: MUTED,
    }),
  ].join('\n')
}

function band(run: Hour[], { x, y }: Frame): string {
  const upper = run.map(({ hour, interval }) => [x(hour), y(interval.high)] as const)
  const lower = run.map(({ hour, interval }) => [x(hour), y(interval.low)] as const)
  return element('polygon', {
    points: points([...upper, ...lower.reverse()]),
    fill: BAND,
    'fill-opacity': 0.45,
  })
}

function meanLine(run: Hour[], { x, y }: Frame): string {
  return element('polyline', {
    points: points(run.map(({ hour, mean }) => [x(hour), y(mean)] as const)),
    fill: 'none',
    stroke: MEAN,
    'stroke-width': 2,
    'stroke-linejoin': 'round',
  })
}

/** The dot and whisker of an hour, with the numbers to read when the pointer rests on it. */
function mark(result: Hour, { x, y, low, high }: Frame): string {
  const { hour, flights, mean, interval } = result
  const few = !hasEnough(result)
  const centre = x(hour)
  const clamp = (minutes: number): number => Math.min(high, Math.max(low, minutes))
  const stroke = { stroke: MEAN, 'stroke-width': 1.5, 'stroke-opacity': few ? 0.55 : 1 }
  const end = (minutes: number): string =>
    minutes === clamp(minutes)
      ? line(centre - 4, y(minutes), centre + 4, y(minutes), stroke)
      : arrow(centre, y(clamp(minutes)), minutes > high ? -1 : 1)
  const parts = [
    element(
      'title',
      {},
      `${formatHour(hour)}:00 to ${formatHour(hour)}:59: ${formatMinutes(mean)} min ` +
        `(${formatMinutes(interval.low)} to ${formatMinutes(interval.high)}), ` +
        `${formatCount(flights)} flights`,
    ),
  ]
  if (interval.low < high && interval.high > low) {
    parts.push(line(centre, y(clamp(interval.low)), centre, y(clamp(interval.high)), stroke))
    parts.push(end(interval.low), end(interval.high))
  } else {
    parts.push(arrow(centre, y(clamp(mean)), mean > high ? -1 : 1))
  }
  if (mean === clamp(mean)) {
    parts.push(
      element('circle', {
        cx: centre,
        cy: y(mean),
        r: 3.2,
        fill: few ? '#ffffff' : MEAN,
        stroke: few ? MEAN : '#ffffff',
        'stroke-width': few ? 1.5 : 1,
      }),
    )
  } else {
    parts.push(
      textAt(centre, TOP - 6, formatMinutes(mean), {
        'text-anchor': 'middle',
        'font-size': 12,
        fill: MEAN,
      }),
    )
  }
  return element('g', { 'data-hour': formatHour(hour) }, ...parts)
}

/** A small triangle that says: it goes on beyond the axis. */
function arrow(x: number, y: number, direction: 1 | -1): string {
  return element('polygon', {
    points: points([
      [x - 4.5, y - direction * 7],
      [x + 4.5, y - direction * 7],
      [x, y],
    ]),
    fill: MEAN,
    'fill-opacity': 0.55,
  })
}

function countBars(day: HourResult[], { x }: Frame, place: Scale): string {
  const most = Math.max(1, ...day.map(({ flights }) => flights))
  const y = linear(0, most, BARS_BOTTOM, BARS_TOP)
  const half = (place(1) - place(0)) * 0.36
  const top = Math.floor(most / 5000) * 5000 || most
  return [
    ...[0, top].map((count) =>
      textAt(LEFT - 10, y(count) + 4.5, formatCount(count), {
        'text-anchor': 'end',
        'font-size': 12,
        fill: MUTED,
      }),
    ),
    line(LEFT, y(top), RIGHT, y(top), { stroke: GRID }),
    ...day.map(({ hour, flights }) =>
      element('rect', {
        x: x(hour) - half,
        y: y(flights),
        width: 2 * half,
        height: BARS_BOTTOM - y(flights),
        fill: BAR,
      }),
    ),
    // A bar this low cannot be seen, so its number is written.
    ...day
      .filter((result) => !hasEnough(result))
      .map(({ hour, flights }) =>
        textAt(x(hour), y(flights) - 6, formatCount(flights), {
          'text-anchor': 'middle',
          'font-size': 11,
          fill: MUTED,
        }),
      ),
    line(LEFT, BARS_BOTTOM, RIGHT, BARS_BOTTOM, { stroke: ZERO }),
    textAt(AXIS_TITLE, (BARS_TOP + BARS_BOTTOM) / 2, 'flights', {
      transform: `rotate(-90 ${AXIS_TITLE} ${(BARS_TOP + BARS_BOTTOM) / 2})`,
      'text-anchor': 'middle',
      fill: MUTED,
    }),
    ...day.map(({ hour }) =>
      textAt(x(hour), BARS_BOTTOM + 20, formatHour(hour), {
        'text-anchor': 'middle',
        class: 'hour',
      }),
    ),
    textAt((LEFT + RIGHT) / 2, BARS_BOTTOM + 42, 'hour of actual departure, local time', {
      'text-anchor': 'middle',
      fill: MUTED,
    }),
  ].join('\n')
}

function legend({ confidence }: PlotFacts): string {
  const y = TOP + 22
  return [
    element('rect', {
      x: LEFT + 16,
      y: y - 8,
      width: 30,
      height: 16,
      fill: BAND,
      'fill-opacity': 0.45,
    }),
    line(LEFT + 16, y, LEFT + 46, y, { stroke: MEAN, 'stroke-width': 2 }),
    element('circle', { cx: LEFT + 31, cy: y, r: 3.2, fill: MEAN, stroke: '#ffffff' }),
    textAt(LEFT + 56, y + 4.5, `mean and ${percent(confidence)} confidence interval`),
  ].join('\n')
}

function footnote(hours: Hour[], { low, high }: Frame): string {
  const notes: string[] = []
  if (hours.some((hour) => !hasEnough(hour))) {
    notes.push(`Hollow dot: fewer than ${FEW_FLIGHTS} flights.`)
  }
  if (hours.some(({ interval }) => interval.low < low || interval.high > high)) {
    notes.push('Triangle: goes on beyond the axis; a mean out there is written above.')
  }
  const lines = [
    'A delayed flight counts in the hour it left, so late hours gather late flights.',
    notes.join(' '),
    'Data: U.S. Bureau of Transportation Statistics, by way of vega-datasets',
  ].filter((text) => text !== '')
  return lines
    .map((text, index) =>
      textAt(28, HEIGHT - 16 - 19 * (lines.length - 1 - index), text, {
        'font-size': 12,
        fill: MUTED,
      }),
    )
    .join('\n')
}
