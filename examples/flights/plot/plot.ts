import { formatCount } from '../format.js'
import type { HourResult } from '../results.js'
import { counts } from './counts.js'
import { delays } from './delays.js'
import { layOut } from './layout.js'
import {
  AXIS_TITLE,
  BAND,
  BAND_OPACITY,
  BARS_BOTTOM,
  BARS_TOP,
  BOTTOM,
  FONT,
  HEIGHT,
  INK,
  LEFT,
  MEAN,
  MUTED,
  RIGHT,
  TOP,
  WIDTH,
} from './style.js'
import { element, line, textAt } from './svg.js'

/** What the plot says about how the intervals were made. */
export interface PlotFacts {
  /** Resamples of each hour. */
  resamples: number
  /** Share of the resampled means inside the interval, such as 0.95. */
  confidence: number
}

/**
 * Draws the mean delay of each hour with its interval, and the number of flights beneath. The few
 * and very late flights of the night have a scale of their own.
 *
 * @param results  the 24 hours, hour 0 first, times in minutes; hours without flights stay empty
 * @param facts  how the intervals were made
 * @returns an SVG document of 1000 × 660 pixels that needs no other file
 */
export function renderPlot(results: HourResult[], facts: PlotFacts): string {
  const parts = layOut(results)
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
    heading(results, facts),
    ...parts.map(delays),
    counts(parts),
    axisTitles(parts.length > 1),
    legend(facts),
    footnote(),
  )}\n`
}

function heading(results: HourResult[], { resamples, confidence }: PlotFacts): string {
  const total = formatCount(results.reduce((sum, { flights }) => sum + flights, 0))
  const title = 'How late are flights, hour by hour?'
  const subtitle =
    `Mean delay of ${total} flights, with ${percent(confidence)} bootstrap confidence intervals ` +
    `from ${formatCount(resamples)} resamples of each hour`
  return [
    element('title', { id: 'plot-title' }, title),
    element('desc', { id: 'plot-description' }, subtitle),
    element('rect', { width: WIDTH, height: HEIGHT, fill: '#ffffff' }),
    textAt(28, 44, title, { 'font-size': 25, 'font-weight': 700 }),
    textAt(28, 72, subtitle, { 'font-size': 14, fill: MUTED }),
  ].join('\n')
}

function percent(share: number): string {
  return `${Math.round(share * 1000) / 10} %`
}

function axisTitles(twoScales: boolean): string {
  const upright = (top: number, bottom: number, title: string): string => {
    const middle = (top + bottom) / 2
    return textAt(AXIS_TITLE, middle, title, {
      transform: `rotate(-90 ${AXIS_TITLE} ${middle})`,
      'text-anchor': 'middle',
      fill: MUTED,
    })
  }
  const scales = twoScales ? ' (two scales)' : ''
  return [
    upright(TOP, BOTTOM, `mean delay in minutes${scales}`),
    upright(BARS_TOP, BARS_BOTTOM, 'flights'),
    textAt((LEFT + RIGHT) / 2, BARS_BOTTOM + 44, 'hour of the day', {
      'text-anchor': 'middle',
      fill: MUTED,
    }),
  ].join('\n')
}

function legend({ confidence }: PlotFacts): string {
  const left = LEFT + 14
  const y = TOP + 18
  const stroke = { stroke: MEAN, 'stroke-width': 1.5 }
  return [
    element('rect', {
      x: left,
      y: y - 9,
      width: 30,
      height: 18,
      fill: BAND,
      'fill-opacity': BAND_OPACITY,
    }),
    line(left, y, left + 30, y, { ...stroke, 'stroke-opacity': 0.6 }),
    line(left + 15, y - 9, left + 15, y + 9, stroke),
    line(left + 10.5, y - 9, left + 19.5, y - 9, stroke),
    line(left + 10.5, y + 9, left + 19.5, y + 9, stroke),
    element('circle', { cx: left + 15, cy: y, r: 2.6, fill: MEAN }),
    textAt(left + 40, y + 4.5, `mean and ${percent(confidence)} confidence interval`),
  ].join('\n')
}

function footnote(): string {
  const lines = [
    'The data set does not describe its columns. Its times seem to be of actual departure, ' +
      'so a flight that waits past midnight counts there.',
    'A handful of flights, as in the night, is too few for an interval to mean much.',
    'Data: flights-200k.arrow of vega-datasets',
  ]
  return lines
    .map((text, index) =>
      textAt(28, HEIGHT - 16 - 19 * (lines.length - 1 - index), text, {
        'font-size': 12,
        fill: MUTED,
      }),
    )
    .join('\n')
}
