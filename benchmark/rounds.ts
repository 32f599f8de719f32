/**
 * Runs a scenario: rounds in which every peer runs once, each time beginning with the next one, so
 * that a machine that grows slower or faster does so for all of them.
 * @module
 */
import { fileURLToPath } from 'node:url'
import { type Command, runCommand } from './command.js'
import type { Interpreter } from './python.js'
import type { Parameters, Peer, Scenario } from './scenario.js'

/** What one peer did in all rounds. */
export interface PeerResult {
  readonly key: string
  readonly title: string
  /** The column of ratios, for ours. */
  readonly ours?: string
  /** One sample a round, in the scenario's unit. */
  readonly samples: number[]
  /** Why it has no more samples; null when all is well. */
  failure: string | null
  /** How many processes it left running, over all rounds. */
  leftBehind: number
}

/** How to run. */
export interface RunOptions {
  readonly quick: boolean
  readonly interpreters: readonly Interpreter[]
  /** Called before each round with its number, from 1, and how many there are. */
  readonly onRound: (round: number, rounds: number) => void
}

interface Entrant {
  readonly result: PeerResult
  readonly command: Command
}

const runner = fileURLToPath(new URL('./run-peer.js', import.meta.url))
// Compiled modules are in build/benchmark; the scripts are not compiled and stay where they were.
const scripts = new URL('../../benchmark/peers/', import.meta.url)

const limit = 45_000

const nothingYet = (peer: Peer, title: string): PeerResult => ({
  key: peer.key,
  title,
  ...(peer.kind === 'node' && peer.ours !== undefined ? { ours: peer.ours } : {}),
  samples: [],
  failure: null,
  leftBehind: 0,
})

const enter = (
  peer: Peer,
  amounts: Parameters,
  interpreters: readonly Interpreter[],
): Entrant[] => {
  const parameters = JSON.stringify({ ...amounts, ...peer.parameters })
  if (peer.kind === 'node') {
    const args = [...(peer.execArgv ?? []), runner, peer.module, peer.measure, parameters]
    return [
      { result: nothingYet(peer, peer.title), command: { file: process.execPath, args, limit } },
    ]
  }
  const script = fileURLToPath(new URL(peer.script, scripts))
  return interpreters.map(({ path, version }) => ({
    result: nothingYet(peer, `${version}, ${peer.title}`),
    command: { file: path, args: [script, parameters], limit },
  }))
}

const sampleIn = (stdout: string): number => {
  const last = stdout.trimEnd().split('\n').at(-1) ?? ''
  const { sample } = JSON.parse(last) as { sample: unknown }
  if (typeof sample !== 'number' || !Number.isFinite(sample)) throw new TypeError('no sample')
  return sample
}

/** The line of a stack trace that says what happened, in Node's manner or in Python's. */
const reason = (stderr: string): string => {
  const lines = stderr.split('\n').filter((line) => line.trim() !== '')
  return (lines.find((line) => /^\w*(Error|Exception)\b/.test(line)) ?? lines.at(-1) ?? '').trim()
}

const runOnce = async ({ result, command }: Entrant): Promise<void> => {
  const outcome = await runCommand(command)
  result.leftBehind += outcome.leftBehind.length
  if (outcome.failure !== null) {
    result.failure = [outcome.failure, reason(outcome.stderr)].filter(Boolean).join(': ')
    return
  }
  try {
    result.samples.push(sampleIn(outcome.stdout))
  } catch {
    result.failure = `printed no sample: ${JSON.stringify(outcome.stdout.slice(-200))}`
  }
}

/** Runs all rounds. A peer that failed once is left out of the rounds that follow. */
export const runScenario = async (
  scenario: Scenario,
  options: RunOptions,
): Promise<readonly PeerResult[]> => {
  const amounts = options.quick ? scenario.amounts.quick : scenario.amounts.full
  const rounds = options.quick ? 1 : scenario.rounds
  const entrants = scenario.peers.flatMap((peer) => enter(peer, amounts, options.interpreters))
  for (let round = 0; round < rounds; round++) {
    options.onRound(round + 1, rounds)
    for (let turn = 0; turn < entrants.length; turn++) {
      const entrant = entrants[(round + turn) % entrants.length]!
      if (entrant.result.failure === null) await runOnce(entrant)
    }
  }
  return entrants.map(({ result }) => result)
}
