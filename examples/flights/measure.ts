import { setImmediate as turnOfTheLoop } from 'node:timers/promises'
import * as mp from 'node-multiprocessing'
import { flightsPerHour, type HourlyDelays } from './hourly-delays.js'
import type { Progress } from './progress.js'
import { ResampledMeans } from './results.js'
import type { Block } from './work.js'
import { receiveFlights, resampleBlock, warmUp } from './worker.js'

/** Draws done before time is taken: enough for the compiler to have optimized the loop. */
const WARM_UP_DRAWS = 20_000_000

/** With this many warm-ups in one turn for each worker, none can have been passed over by chance. */
const MOST_WARM_UPS_PER_WORKER = 16

/** Seconds of wall-clock time, and the numbers computed in that time. */
export interface Measurement {
  /** The resampled means from the pool. */
  pool: ResampledMeans
  /** The resampled means from this process alone. */
  single: ResampledMeans
  /** Computing every block in this process: no pool, no messages. */
  singleSeconds: number
  /** Computing every block in the running pool: sending tasks, waiting, receiving results. */
  poolSeconds: number
  /** Starting the workers, sending the data to each and warming each up. */
  startSeconds: number
  /** Closing the pool and waiting for the workers to exit. */
  stopSeconds: number
}

/**
 * Computes all blocks twice, once in this process and once in a pool. Both take turns, round by
 * round, and the first turn changes sides as well: a machine that is slower for a while is then
 * slower for both.
 *
 * @param flights  the delays
 * @param rounds  the blocks of each round
 * @param options  resamples of each hour, seed of the run, number of workers, where to show progress
 * @returns both results and all times
 * @throws what the pool throws when a worker dies or a task fails
 */
export async function measure(
  flights: HourlyDelays,
  rounds: Block[][],
  options: { resamples: number; seed: number; processes: number; progress: Progress },
): Promise<Measurement> {
  const { resamples, seed, processes, progress } = options
  const counts = flightsPerHour(flights)
  const single = new ResampledMeans(counts, resamples)
  const pooled = new ResampledMeans(counts, resamples)
  const busiest = counts.indexOf(Math.max(...counts))
  const warmUpTask = [busiest, Math.ceil(WARM_UP_DRAWS / counts[busiest]!), seed] as const

  receiveFlights(flights.delays, flights.offsets)
  warmUp(...warmUpTask)

  const starting = performance.now()
  await using pool = new mp.Pool({
    processes,
    initializer: receiveFlights,
    initargs: [flights.delays, flights.offsets],
  })
  await everyWorker(pool, processes, warmUpTask)
  const startSeconds = secondsSince(starting)

  const computeSingle = async (blocks: Block[]): Promise<void> => {
    for (const block of blocks) {
      single.add(block, resampleBlock(block.hour, block.first, block.count, seed))
      progress.advance()
    }
  }
  const computePooled = async (blocks: Block[]): Promise<void> => {
    await Promise.all(
      blocks.map(async (block) => {
        const task = [block.hour, block.first, block.count, seed] as const
        pooled.add(block, await pool.apply(resampleBlock, [...task]))
        progress.advance()
      }),
    )
  }

  let singleSeconds = 0
  let poolSeconds = 0
  for (const [round, blocks] of rounds.entries()) {
    if (round % 2 === 1) poolSeconds += await seconds(() => computePooled(blocks))
    singleSeconds += await seconds(() => computeSingle(blocks))
    // What the event loop had to put off meanwhile belongs to neither side.
    await turnOfTheLoop()
    if (round % 2 === 0) poolSeconds += await seconds(() => computePooled(blocks))
  }

  const stopSeconds = await seconds(async () => {
    pool.close()
    await pool.join()
  })
  return { pool: pooled, single, singleSeconds, poolSeconds, startSeconds, stopSeconds }
}

/**
 * Warms up until every worker has answered. Nothing says which worker takes a task, and a quick one
 * may take several, so each turn has twice as many tasks as the one before.
 *
 * @throws {Error} when some worker never takes a task, however many there are
 */
async function everyWorker(
  pool: mp.Pool,
  processes: number,
  warmUpTask: readonly [hour: number, count: number, seed: number],
): Promise<void> {
  const answered = new Set<number>()
  for (let tasks = processes; answered.size < processes; tasks *= 2) {
    if (tasks > processes * MOST_WARM_UPS_PER_WORKER) {
      throw new Error(`only ${answered.size} of ${processes} workers take tasks`)
    }
    const turn = Array.from({ length: tasks }, () => pool.apply(warmUp, [...warmUpTask]))
    for (const worker of await Promise.all(turn)) answered.add(worker)
  }
}

async function seconds(work: () => Promise<void>): Promise<number> {
  const start = performance.now()
  await work()
  return secondsSince(start)
}

function secondsSince(start: number): number {
  return (performance.now() - start) / 1000
}
