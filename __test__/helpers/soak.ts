import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import * as mp from 'node-multiprocessing'
import * as tasks from '../fixtures/pool-tasks.js'
import { collectGarbage } from './garbage.js'

/** What was done, and what is left of it. */
export interface SoakReport {
  /** Tasks that were answered, and those that were lost with their workers, which were killed. */
  readonly done: number
  readonly lost: number
  /** Workers that were killed. */
  readonly killed: number
  /** By how many bytes the process has grown since the first tenth, and how many descriptors. */
  readonly growth: number
  readonly descriptors: number
}

/** How long one piece of work may take, in milliseconds. */
const LIMIT = 60_000

const residentMemory = (): number =>
  Number(readFileSync('/proc/self/statm', 'utf8').split(' ')[1]) * 4096

const openDescriptors = (): number => readdirSync('/proc/self/fd').length

const random = (below: number): number => Math.floor(Math.random() * below)

/** Pools that are worked, killed, resized, aborted, closed and terminated, for so many milliseconds. */
export const soak = async (time: number, log: (line: string) => void): Promise<SoakReport> => {
  const end = performance.now() + time
  let done = 0
  let lost = 0
  let killed = 0
  let memory = 0
  let descriptors = 0
  let round = 0
  let next = performance.now()

  const check = (value: unknown, expected: unknown): void => {
    if (value !== expected) throw new Error(`${value} came, and not ${expected}`)
    done++
  }
  const bear = (error: unknown): void => {
    if (!(error instanceof mp.WorkerDiedError)) throw error
    lost++
  }
  const work: ((pool: mp.Pool) => Promise<void>)[] = [
    async (pool) => {
      const calls = Array.from({ length: 2000 }, async (_, i) =>
        check(await pool.apply(tasks.square, [i]), i * i),
      )
      for (const outcome of await Promise.allSettled(calls)) {
        if (outcome.status === 'rejected') bear(outcome.reason)
      }
    },
    async (pool) => {
      const items = Array.from({ length: 5000 }, (_, i) => i)
      const options = { chunksize: 1 + random(50), retries: 1000 }
      const results = await pool.map(tasks.square, items, options)
      for (const [i, value] of results.entries()) check(value, i * i)
    },
    async (pool) => {
      let i = 0
      const options = { buffersize: 20, retries: 1000 }
      const items = Array.from({ length: 1000 }, (_, i) => i)
      for await (const value of pool.imap(tasks.square, items, options)) check(value, i * i++)
    },
    async (pool) => {
      const bytes = new Uint8Array(1 + random(3e6)).fill(7)
      await pool
        .apply(tasks.identity, [bytes])
        .then((back) => check((back as Uint8Array).length, bytes.length), bear)
    },
    async (pool) => {
      await pool.apply(tasks.spinForEver, [], {}, { timeout: 20 }).then(
        () => check('an end', 'none'),
        (error) => {
          if (!(error instanceof mp.TimeoutError)) bear(error)
        },
      )
    },
    async (pool) => pool.resize(1 + random(5)),
    async (pool) => {
      await pool.apply(tasks.unencodable).catch((error) => {
        if (!(error instanceof mp.MaybeEncodingError)) bear(error)
      })
    },
  ]

  while (performance.now() < end) {
    const pool = new mp.Pool({
      processes: 1 + random(4),
      concurrency: random(4) === 0 ? 3 : 1,
      ...(random(4) === 0 && { maxtasksperchild: 200 }),
    })
    let over = false
    const killer = (async () => {
      while (!over) {
        await sleep(5 + random(100))
        // Mostly one that has done something: on a busy machine nothing would be done else.
        const { workers } = pool.stats()
        const able = random(5) === 0 ? workers : workers.filter(({ tasks }) => tasks > 0)
        const victim = able[random(able.length)]
        if (victim === undefined || over) continue
        pool.workers.find(({ pid }) => pid === victim.pid)?.kill()
        killed++
      }
    })()
    let watchdog: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      watchdog = setTimeout(
        () => reject(new Error(`stuck: ${JSON.stringify(pool.stats())}`)),
        LIMIT,
      )
    })
    const all = async (): Promise<void> => {
      for (let i = 0; i < 10; i++) {
        await Promise.all([work[random(work.length)]!(pool), work[random(work.length)]!(pool)])
      }
      over = true
      await killer
      if (random(2) === 0) pool.close()
      else pool.terminate()
      await pool.join()
    }
    try {
      await Promise.race([all(), late])
    } finally {
      over = true
      clearTimeout(watchdog)
      pool.terminate()
    }
    round++
    if (memory === 0 && performance.now() > end - time * 0.9) {
      await collectGarbage()
      memory = residentMemory()
      descriptors = openDescriptors()
    }
    if (performance.now() > next) {
      next = performance.now() + 10_000
      log(`${round} pools, ${done} tasks done, ${lost} lost, ${killed} workers killed`)
    }
  }
  for (let i = 0; i < 5; i++) await collectGarbage()
  return {
    done,
    lost,
    killed,
    growth: residentMemory() - memory,
    descriptors: openDescriptors() - descriptors,
  }
}
