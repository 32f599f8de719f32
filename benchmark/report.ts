/** Turns results into an aligned table. @module */
import type { PeerResult } from './rounds.js'
import type { Scenario, Unit } from './scenario.js'
import { median } from './statistics.js'
import type { Verdict } from './verdict.js'

const figure = (value: number): string => {
  if (value >= 1_000) return Math.round(value).toLocaleString('en')
  return value.toPrecision(3)
}

/** There is none between nothing and nothing. */
const ratio = (value: number): string =>
  Number.isNaN(value) ? '' : `${value >= 100 ? Math.round(value) : value.toPrecision(3)} ×`

const speedup = (ours: number, other: number, unit: Unit): number =>
  unit.better === 'lower' ? other / ours : ours / other

const row = (result: PeerResult, ours: readonly PeerResult[], unit: Unit): string[] => {
  if (result.samples.length === 0) return [result.title, 'failed', '', '', ...ours.map(() => '')]
  const middle = median(result.samples)
  return [
    result.title,
    figure(middle),
    figure(Math.min(...result.samples)),
    figure(Math.max(...result.samples)),
    ...ours.map(({ samples }) =>
      samples.length === 0 ? '' : ratio(speedup(median(samples), middle, unit)),
    ),
  ]
}

/** Lays cells out in columns: the first flush left, the others flush right. */
export const alignColumns = (rows: readonly (readonly string[])[]): string => {
  const widths = rows[0]!.map((_, column) =>
    Math.max(...rows.map((cells) => cells[column]!.length)),
  )
  return rows
    .map((cells) =>
      cells
        .map((cell, column) =>
          column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!),
        )
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

const notes = (results: readonly PeerResult[]): string[] =>
  results.flatMap(({ title, failure, leftBehind }) => [
    ...(failure === null ? [] : [`failed: ${title}: ${failure}`]),
    ...(leftBehind === 0
      ? []
      : [`${title} left ${leftBehind} processes running; they were killed`]),
  ])

const verdictLine = ({ text, outcome, measured }: Verdict): string =>
  `${outcome.padEnd(4)}  ${text}${measured === null ? '' : ` (measured ${measured})`}`

/** The whole text about one scenario. */
export const describeScenario = (
  scenario: Scenario,
  results: readonly PeerResult[],
  verdicts: readonly Verdict[],
): string => {
  const ours = results.filter((result) => result.ours !== undefined)
  const rounds = Math.max(0, ...results.map(({ samples }) => samples.length))
  const { label, better } = scenario.unit
  const many = rounds === 1 ? 'one round' : `${rounds} rounds`
  const header = [label, 'median', 'min', 'max', ...ours.map((result) => `vs ${result.ours}`)]
  return [
    `${scenario.name}: ${scenario.title}`,
    `${label}, ${better} is better; median over ${many}; vs: how many times as fast ours is`,
    '',
    alignColumns([header, ...results.map((result) => row(result, ours, scenario.unit))]),
    '',
    ...verdicts.map(verdictLine),
    ...notes(results),
  ].join('\n')
}
