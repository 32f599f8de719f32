import { formatCount, formatHour, formatMinutes } from './format.js'
import type { HourResult } from './results.js'

const NONE = '–'

/**
 * Writes the results as a table for a terminal, one line for each hour, columns aligned right.
 *
 * @param results  the hours, in the order wanted
 * @returns lines, each ending in a newline
 */
export function renderTable(results: HourResult[]): string {
  const rows = [
    ['hour', 'flights', 'mean delay', 'CI low', 'CI high'],
    ['', '', 'min', 'min', 'min'],
    ...results.map(({ hour, flights, mean, interval }) => [
      formatHour(hour),
      formatCount(flights),
      flights === 0 ? NONE : formatMinutes(mean),
      interval === undefined ? NONE : formatMinutes(interval.low),
      interval === undefined ? NONE : formatMinutes(interval.high),
    ]),
  ]
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  const lines = rows.map((row) => row.map((cell, i) => cell.padStart(widths[i]!)).join('  '))
  lines.splice(2, 0, widths.map((width) => '─'.repeat(width)).join('  '))
  return lines.map((line) => `${line}\n`).join('')
}
