/**
 * The benchmark: runs every scenario, prints a table for each, and writes the raw samples to
 * build/benchmark/results.json. See benchmark/README.md.
 * @module
 */
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { killEverything, runCommand } from './command.js'
import { describeMachine, introduceMachine } from './machine.js'
import { isNamed, type Options, parseOptions, usage } from './options.js'
import { findInterpreters, type Interpreter } from './python.js'
import { describeScenario } from './report.js'
import { type PeerResult, runScenario } from './rounds.js'
import type { Scenario } from './scenario.js'
import { scenarios } from './scenarios.js'
import { median } from './statistics.js'
import { judgeAll, type Verdict } from './verdict.js'

const codecName = 'codec'
const names = [...scenarios.map(({ name }) => name), codecName]
const resultsFile = fileURLToPath(new URL('./results.json', import.meta.url))

interface ScenarioResult {
  readonly name: string
  readonly unit: Scenario['unit']
  readonly peers: readonly (PeerResult & { readonly median: number | null })[]
  readonly floors: readonly Verdict[]
}

const say = (text: string): void => {
  process.stdout.write(`${text}\n`)
}

/** Only a terminal shows progress: in a file it would stand between the tables. */
const progress = (text: string): void => {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`)
}

const measure = async (
  scenario: Scenario,
  quick: boolean,
  interpreters: readonly Interpreter[],
): Promise<ScenarioResult> => {
  const peers = await runScenario(scenario, {
    quick,
    interpreters,
    onRound: (round, rounds) => progress(`${scenario.name}: round ${round} of ${rounds} `),
  })
  progress('')
  const floors = judgeAll(scenario, peers)
  say(`\n${describeScenario(scenario, peers, floors)}`)
  return {
    name: scenario.name,
    unit: scenario.unit,
    peers: peers.map((peer) => ({
      ...peer,
      median: peer.samples.length === 0 ? null : median(peer.samples),
    })),
    floors,
  }
}

/** In a process of its own, as every other measurement; it prints its own table. */
const measureCodec = async (quick: boolean): Promise<boolean> => {
  say(`\n${codecName}: encoding and decoding, without any process\n`)
  const file = fileURLToPath(new URL('./run-codec.js', import.meta.url))
  const command = {
    file: process.execPath,
    args: [file, ...(quick ? ['--quick'] : [])],
    limit: 120_000,
    show: true,
  }
  const { failure } = await runCommand(command)
  if (failure !== null) say(`failed: ${codecName}: ${failure}`)
  return failure === null
}

const closing = (results: readonly ScenarioResult[], codecRan: boolean): string => {
  const floors = results.flatMap((result) => result.floors)
  const count = (outcome: Verdict['outcome']) =>
    floors.filter((floor) => floor.outcome === outcome).length
  const failures = results.flatMap(({ peers }) => peers.filter(({ failure }) => failure !== null))
  return [
    `\n${count('pass')} of ${floors.length} floors reached, ${count('MISS')} missed,`,
    `${count('not measured')} not measured; ${failures.length + (codecRan ? 0 : 1)} failures.`,
    `Raw samples: ${resultsFile}`,
  ].join(' ')
}

const exitCode = (
  options: Options,
  results: readonly ScenarioResult[],
  codecRan: boolean,
): number => {
  // A peer that could not be measured is a defect of the benchmark or of the package, not a slow day.
  const failed = results.some(({ peers }) => peers.some(({ failure }) => failure !== null))
  const missed = results.some(({ floors }) => floors.some(({ outcome }) => outcome === 'MISS'))
  return failed || !codecRan || (options.check && missed) ? 1 : 0
}

const run = async (options: Options, interpreters: readonly Interpreter[]): Promise<number> => {
  const wanted = (name: string) => options.only.length === 0 || isNamed(name, options.only)
  const machine = describeMachine(interpreters)
  say(introduceMachine(machine))
  if (options.quick) say('A quick run: it shows that everything works and measures nothing.')
  const results: ScenarioResult[] = []
  for (const scenario of scenarios.filter(({ name }) => wanted(name))) {
    results.push(await measure(scenario, options.quick, interpreters))
  }
  const codecRan = wanted(codecName) ? await measureCodec(options.quick) : true
  const raw = { machine, options, codecRan, scenarios: results }
  writeFileSync(resultsFile, `${JSON.stringify(raw, null, 2)}\n`)
  say(closing(results, codecRan))
  return exitCode(options, results, codecRan)
}

const endBy = (signal: NodeJS.Signals, code: number): void => {
  process.once(signal, () => process.exit(code))
}

const main = async (): Promise<void> => {
  process.once('exit', killEverything)
  endBy('SIGINT', 130)
  endBy('SIGTERM', 143)
  let options: Options
  let interpreters: readonly Interpreter[]
  try {
    options = parseOptions(process.argv.slice(2), names)
    interpreters = options.help ? [] : await findInterpreters(process.env)
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${usage(names)}\n`)
    process.exitCode = 2
    return
  }
  if (options.help) say(usage(names))
  else process.exitCode = await run(options, interpreters)
}

await main()
