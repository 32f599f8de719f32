import { formatCount, formatHour } from '../format.js'
import { FEW_FLIGHTS, type Part } from './layout.js'
import { linear } from './scale.js'
import { BAR, BARS_BOTTOM, BARS_TOP, GRID, LEFT, MUTED, ZERO } from './style.js'
import { element, line, textAt } from './svg.js'

/** Numbers of flights that the axis names are multiples of this. */
const ROUND = 5000

/**
 * Draws the number of flights of each hour, and the hours beneath.
 *
 * @param parts  the hours and their places
 */
export function counts(parts: Part[]): string {
  const most = Math.max(1, ...parts.flatMap(({ hours }) => hours.map(({ flights }) => flights)))
  const y = linear(0, most, BARS_BOTTOM, BARS_TOP)
  const top = Math.floor(most / ROUND) * ROUND || most
  const numbers = [0, top].map((count) =>
    textAt(LEFT - 10, y(count) + 4.5, formatCount(count), { 'text-anchor': 'end', fill: MUTED }),
  )
  const bars = parts.flatMap(({ hours, left, right, x, slot }) => [
    line(left, y(top), right, y(top), { stroke: GRID }),
    ...hours.map(({ hour, flights }) =>
      element('rect', {
        x: x(hour) - slot * 0.36,
        y: y(flights),
        width: slot * 0.72,
        height: BARS_BOTTOM - y(flights),
        fill: BAR,
      }),
    ),
    ...hours
      .filter(({ flights }) => flights < FEW_FLIGHTS)
      .map(({ hour, flights }) =>
        textAt(x(hour), y(flights) - 6, formatCount(flights), {
          'text-anchor': 'middle',
          'font-size': 12,
          fill: MUTED,
        }),
      ),
    line(left, BARS_BOTTOM, right, BARS_BOTTOM, { stroke: ZERO }),
    ...hours.map(({ hour }) =>
      textAt(x(hour), BARS_BOTTOM + 20, formatHour(hour), {
        'text-anchor': 'middle',
        class: 'hour',
      }),
    ),
  ])
  return [...numbers, ...bars].join('\n')
}
