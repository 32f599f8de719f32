// How late are flights at each hour of the day, and how sure is that? A pool of processes draws
// bootstrap resamples on all cores; one process alone draws the same, to compare numbers and speed.

import { mkdir, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as mp from 'node-multiprocessing'
import { flightsFile, groupByHour, readFlights } from './data.js'
import { UsageError } from './errors.js'
import { formatCount } from './format.js'
import { parseOptions, USAGE } from './options.js'
import { renderPlot } from './plot/plot.js'
import { startProgress } from './progress.js'
import { checkIdentical, summarize } from './results.js'
import { type Comparison, renderSpeed } from './speed.js'
import { renderTable } from './table.js'
import { seconds, takeTurns } from './turns.js'
import { type Block, dealRounds, divideWork } from './work.js'
import { fillBlock, meansOf, receiveFlights, receiveShared, resampleBlock } from './worker.js'

const CONFIDENCE = 0.95
const ROUNDS = 10
/** Small enough that nobody waits long for the last block of a round. */
const BLOCKS_PER_WORKER_AND_ROUND = 24

/** Computes every block in this process and in a pool, and takes the time of both. */
async function compare(
  flights: Int16Array[],
  resamples: number,
  rounds: Block[][],
): Promise<Comparison> {
  const processes = mp.cpuCount()
  using progress = startProgress('One process and pool in turns', 2 * rounds.flat().length)

  receiveFlights(flights)
  const alone = (blocks: Block[]) => blocks.map(resampleBlock)

  const starting = performance.now()
  // All workers see the same flights, and put the means in the same place; tasks are small, and have no results.
  const means = mp.share(new Float64Array(flights.length * resamples))
  const initargs = [flights.map((delays) => mp.share(delays)), means]
  await using pool = new mp.Pool({ processes, initializer: receiveShared, initargs })
  const pooled = async (blocks: Block[]) => {
    await pool.map(fillBlock, blocks, { chunksize: 1, progress: true })
    return blocks.map((block) => meansOf(means, block))
  }
  // A task for each worker, done when all of them have started.
  const first = { ...rounds[0]![0]!, count: 1 }
  await pool.map(fillBlock, new Array<Block>(processes).fill(first), 1)
  const startSeconds = seconds(starting)

  const [single, pooling] = await takeTurns(rounds, [alone, pooled], progress)

  const stopping = performance.now()
  pool.close()
  await pool.join()
  return { processes, single, pool: pooling, startSeconds, stopSeconds: seconds(stopping) }
}

async function demo(resamples: number, output: string): Promise<void> {
  const flights = groupByHour(await readFlights(flightsFile()))
  const counts = flights.map((delays) => delays.length)
  const total = counts.reduce((sum, count) => sum + count, 0)
  console.log(
    `${formatCount(total)} flights, ${formatCount(resamples)} bootstrap resamples of each hour: ` +
      `${formatCount(total * resamples)} draws\n`,
  )

  const pieces = ROUNDS * BLOCKS_PER_WORKER_AND_ROUND * Math.max(2, mp.cpuCount())
  const rounds = dealRounds(divideWork(counts, resamples, pieces), ROUNDS)
  const blocks = rounds.flat()
  const comparison = await compare(flights, resamples, rounds)
  checkIdentical(blocks, comparison.pool.means, comparison.single.means)

  const results = summarize(flights, blocks, comparison.pool.means, CONFIDENCE)
  await mkdir(dirname(output), { recursive: true })
  await writeFile(output, renderPlot(results, { resamples, confidence: CONFIDENCE }))
  console.log(`${renderTable(results)}\nPlot: ${output}\n\n${renderSpeed(comparison)}`)
}

/** Beside the sources, wherever the compiled program lies. */
function defaultOutput(): string {
  const root = import.meta.resolve('node-multiprocessing/package.json')
  return fileURLToPath(new URL('examples/flights/output/delays.svg', root))
}

if (mp.isMainProcess) {
  try {
    const { help, resamples, output = defaultOutput() } = parseOptions(process.argv.slice(2))
    if (help) console.log(USAGE)
    else await demo(resamples, output)
  } catch (error) {
    // A stack says nothing about a wrong argument, but a lot about anything else.
    console.error(error instanceof UsageError ? `${error.message}\nTry --help.` : error)
    process.exitCode = 1
  }
}
