/** Whether the floors were reached. @module */
import type { PeerResult } from './rounds.js'
import type { Floor, Scenario } from './scenario.js'
import { median } from './statistics.js'

/** What became of one floor. */
export interface Verdict {
  /** The floor in words. */
  readonly text: string
  readonly outcome: 'pass' | 'MISS' | 'not measured'
  /** Ours divided by the best of the others; null when either was not measured. */
  readonly measured: number | null
}

const describe = (floor: Floor, scenario: Scenario): string => {
  const title = (key: string) => scenario.peers.find((peer) => peer.key === key)?.title ?? key
  const others = scenario.peers.filter(({ key }) => floor.against.includes(key))
  const names = others.map(({ kind, key }) => (kind === 'python' ? 'CPython, ' : '') + title(key))
  const bound = scenario.unit.better === 'lower' ? 'at most' : 'at least'
  const best = names.length > 1 ? 'the best of ' : ''
  return `${title(floor.ours)}: ${bound} ${floor.factor} × ${best}${names.join('; ')}`
}

const judge = (floor: Floor, scenario: Scenario, results: readonly PeerResult[]): Verdict => {
  const text = describe(floor, scenario)
  const medians = (keys: readonly string[]): number[] =>
    results
      .filter(({ key, samples }) => keys.includes(key) && samples.length > 0)
      .map(({ samples }) => median(samples))
  const [ours] = medians([floor.ours])
  const others = medians(floor.against)
  if (ours === undefined || others.length === 0) {
    return { text, outcome: 'not measured', measured: null }
  }
  const lower = scenario.unit.better === 'lower'
  const measured = ours / (lower ? Math.min(...others) : Math.max(...others))
  const reached = lower ? measured <= floor.factor : measured >= floor.factor
  return { text, outcome: reached ? 'pass' : 'MISS', measured }
}

/** Judges every floor of a scenario by the medians over the rounds. */
export const judgeAll = (scenario: Scenario, results: readonly PeerResult[]): readonly Verdict[] =>
  scenario.floors.map((floor) => judge(floor, scenario, results))
