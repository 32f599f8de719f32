import { mkdir, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as mp from 'node-multiprocessing'
import { flightsFile, groupByHour, readFlights } from './data.js'
import { formatCount } from './format.js'
import { flightsPerHour } from './hourly-delays.js'
import { type Measurement, measure } from './measure.js'
import { parseOptions, USAGE } from './options.js'
import { renderPlot } from './plot.js'
import { startProgress } from './progress.js'
import { checkIdentical, summarize } from './results.js'
import { renderTable } from './table.js'
import { dealRounds, divideWork } from './work.js'

const CONFIDENCE = 0.95
/** Any number would do; with another one the intervals change in their last digits. */
const SEED = 2001
const ROUNDS = 4
/** Blocks of each worker in each round: small enough that the last one does not keep all waiting. */
const BLOCKS_PER_WORKER = 40

/**
 * Runs the demo: computes, checks, prints and writes the plot.
 *
 * @param args  the command line, see {@link USAGE}
 * @throws {UsageError} for a wrong command line
 * @throws {FlightsFormatError} when the file is not what it should be
 * @throws {ResultsDifferError} when pool and single process disagree; nothing is printed then
 */
export async function demo(args: string[]): Promise<void> {
  const options = parseOptions(args)
  if (options.help) {
    process.stdout.write(USAGE)
    return
  }
  const { resamples } = options
  const processes = mp.cpuCount()

  const flights = groupByHour(await readFlights(flightsFile()))
  const counts = flightsPerHour(flights)
  const total = flights.delays.length
  process.stdout.write(
    `${formatCount(total)} flights` +
      (flights.skipped > 0
        ? ` (${formatCount(flights.skipped)} more lack a delay or a time)`
        : '') +
      `, ${formatCount(resamples)} bootstrap resamples of each hour, ` +
      `${formatCount(total * resamples)} draws, ${plural(processes, 'worker')}\n\n`,
  )

  const blocks = divideWork(counts, resamples, ROUNDS * BLOCKS_PER_WORKER * Math.max(2, processes))
  const progress = startProgress('Pool and single process in turns', blocks.length * 2)
  let measured: Measurement
  try {
    const rounds = dealRounds(blocks, ROUNDS)
    measured = await measure(flights, rounds, { resamples, seed: SEED, processes, progress })
  } finally {
    progress.stop()
  }
  checkIdentical(measured.pool, measured.single)

  const results = summarize(flights, measured.pool, CONFIDENCE)
  process.stdout.write(renderTable(results))
  const file = options.output ?? defaultOutput()
  await mkdir(dirname(file), { recursive: true })
  await writeFile(file, renderPlot(results, { resamples, confidence: CONFIDENCE }))
  process.stdout.write(`\nPlot: ${file}\n\n${describeSpeed(measured, blocks.length, processes)}`)
}

function defaultOutput(): string {
  const root = import.meta.resolve('node-multiprocessing/package.json')
  return fileURLToPath(new URL('examples/flights/output/delays.svg', root))
}

function describeSpeed(measured: Measurement, blocks: number, processes: number): string {
  const { singleSeconds, poolSeconds, startSeconds, stopSeconds } = measured
  const wholePool = startSeconds + poolSeconds + stopSeconds
  const times = (seconds: number): string => `${(singleSeconds / seconds).toFixed(2)} times`
  const seconds = (value: number): string => `${value.toFixed(2)} s`.padStart(8)
  return [
    `Same ${formatCount(blocks)} blocks, computed by each in turns; every resampled mean identical.`,
    `  one process   ${seconds(singleSeconds)}  computing, compiled code already warm`,
    `  pool of ${String(processes).padEnd(3)}   ${seconds(poolSeconds)}  sending tasks, computing, receiving results`,
    `  pool start    ${seconds(startSeconds)}  starting workers, sending them the data, warming them up`,
    `  pool stop     ${seconds(stopSeconds)}  close and join`,
    '',
    `Speed-up: ${times(poolSeconds)} in the running pool, ` +
      `${times(wholePool)} with its start and stop counted against it.`,
    '',
  ].join('\n')
}

function plural(count: number, noun: string): string {
  return `${formatCount(count)} ${noun}${count === 1 ? '' : 's'}`
}
