/** Whether the floors were reached. @module */
import type { PeerResult } from './rounds.js'
import type { AbsoluteFloor, Floor, RelativeFloor, Scenario } from './scenario.js'
import { median } from './statistics.js'

/** What became of one floor. */
export interface Verdict {
  /** The floor in words. */
  readonly text: string
  readonly outcome: 'pass' | 'MISS' | 'not measured'
  /** Ours in words: divided by the best of the others, or as it is; null when it was not measured. */
  readonly measured: string | null
}

const isAbsolute = (floor: Floor): floor is AbsoluteFloor => 'bound' in floor

const titleOf = (key: string, { peers }: Scenario): string =>
  peers.find((peer) => peer.key === key)?.title ?? key

const boundOf = ({ unit }: Scenario): string => (unit.better === 'lower' ? 'at most' : 'at least')

const mediansOf = (keys: readonly string[], results: readonly PeerResult[]): number[] =>
  results
    .filter(({ key, samples }) => keys.includes(key) && samples.length > 0)
    .map(({ samples }) => median(samples))

const outcomeOf = (measured: number, wanted: number, { unit }: Scenario): 'pass' | 'MISS' =>
  (unit.better === 'lower' ? measured <= wanted : measured >= wanted) ? 'pass' : 'MISS'

const judgeAbsolute = (
  { ours: key, bound }: AbsoluteFloor,
  scenario: Scenario,
  results: readonly PeerResult[],
): Verdict => {
  const { label } = scenario.unit
  const text = `${titleOf(key, scenario)}: ${boundOf(scenario)} ${bound} ${label}`
  const [ours] = mediansOf([key], results)
  if (ours === undefined) return { text, outcome: 'not measured', measured: null }
  const measured = `${ours.toPrecision(3)} ${label}`
  return { text, outcome: outcomeOf(ours, bound, scenario), measured }
}

const judgeRelative = (
  { ours: key, against, factor }: RelativeFloor,
  scenario: Scenario,
  results: readonly PeerResult[],
): Verdict => {
  const peers = scenario.peers.filter((peer) => against.includes(peer.key))
  const names = peers.map(({ kind, title }) => (kind === 'python' ? 'CPython, ' : '') + title)
  const best = names.length > 1 ? 'the best of ' : ''
  const text = `${titleOf(key, scenario)}: ${boundOf(scenario)} ${factor} × ${best}${names.join('; ')}`
  const [ours] = mediansOf([key], results)
  const others = mediansOf(against, results)
  if (ours === undefined || others.length === 0) {
    return { text, outcome: 'not measured', measured: null }
  }
  const lower = scenario.unit.better === 'lower'
  const ratio = ours / (lower ? Math.min(...others) : Math.max(...others))
  const measured = `${ratio.toPrecision(3)} ×`
  return { text, outcome: outcomeOf(ratio, factor, scenario), measured }
}

/** Judges every floor of a scenario by the medians over the rounds. */
export const judgeAll = (scenario: Scenario, results: readonly PeerResult[]): readonly Verdict[] =>
  scenario.floors.map((floor) =>
    isAbsolute(floor)
      ? judgeAbsolute(floor, scenario, results)
      : judgeRelative(floor, scenario, results),
  )
