/** Pools of others. @module */
import { fileURLToPath } from 'node:url'
import { Piscina } from 'piscina'
import { FixedThreadPool } from 'poolifier'
import { Tinypool } from 'tinypool'
import workerpool from 'workerpool'
import { type Duration, meanTime } from '../timing.js'
import { tasksPerSecond } from './flight.js'

/** Which one. */
interface Which {
  readonly pool:
    | 'piscina'
    | 'tinypool-threads'
    | 'tinypool-processes'
    | 'workerpool-threads'
    | 'workerpool-processes'
    | 'poolifier'
  readonly processes: number
}

interface Pool {
  square(x: number): PromiseLike<number>
  end(): PromiseLike<unknown>
}

const url = (name: string): string => new URL(`./${name}.js`, import.meta.url).href

const open = ({ pool, processes }: Which): Pool => {
  const size = { minThreads: processes, maxThreads: processes }
  switch (pool) {
    case 'piscina': {
      const piscina = new Piscina({ filename: url('task-worker'), ...size })
      return { square: (x) => piscina.run(x), end: () => piscina.destroy() }
    }
    case 'tinypool-threads':
    case 'tinypool-processes': {
      const runtime = pool === 'tinypool-threads' ? 'worker_threads' : 'child_process'
      const tinypool = new Tinypool({ filename: url('task-worker'), runtime, ...size })
      return { square: (x) => tinypool.run(x), end: () => tinypool.destroy() }
    }
    case 'workerpool-threads':
    case 'workerpool-processes': {
      const workers = workerpool.pool(fileURLToPath(url('workerpool-worker')), {
        workerType: pool === 'workerpool-threads' ? 'thread' : 'process',
        minWorkers: processes,
        maxWorkers: processes,
      })
      return {
        square: (x) => workers.exec('square', [x]) as unknown as PromiseLike<number>,
        end: async () => void (await workers.terminate()),
      }
    }
    case 'poolifier': {
      const fixed = new FixedThreadPool<number, number>(
        processes,
        fileURLToPath(url('poolifier-worker')),
      )
      return { square: (x) => fixed.execute(x), end: () => fixed.destroy() }
    }
  }
}

const withPool = async <R>(which: Which, use: (pool: Pool) => Promise<R>): Promise<R> => {
  const pool = open(which)
  try {
    return await use(pool)
  } finally {
    await pool.end()
  }
}

/** One awaited task after the other. */
export const apply = (amounts: Which & Duration): Promise<number> =>
  withPool(amounts, async (pool) => {
    let x = 0
    const mean = await meanTime(amounts, async () => {
      const result = await pool.square(++x)
      if (result !== x * x) throw new Error(`the square of ${x} came back as ${result}`)
    })
    return mean * 1e3
  })

/** Many tasks at once. */
export const flight = (amounts: Which & { readonly count: number }): Promise<number> =>
  withPool(amounts, (pool) => tasksPerSecond(amounts.count, (x) => pool.square(x)))
