/** Forks while compilers and garbage collectors work, and while anybody may be killed. */
import test from 'ava'
import * as mp from 'node-multiprocessing'
import { within } from '../fixtures/connection-patience.js'
import { expectedOf, square, workInTurns } from '../fixtures/fork-load.js'
import { startForked } from '../helpers/forked.js'
import {
  childrenOf,
  descendantsOf,
  killAll,
  stateOf,
} from '../helpers/processes-of-this-program.js'
import { until } from '../helpers/until.js'

mp.setForkserverPreload([new URL('../fixtures/fork-load.js', import.meta.url).href])

/** The same numbers in each run, below a limit. */
const randomly = (seed: number): ((limit: number) => number) => {
  let state = seed
  return (limit) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff
    return (state >> 8) % limit
  }
}

/** Kills one of this program's processes, the fork server among them, every so many milliseconds. */
const killAtRandom = (interval: number): { readonly kills: number; stop(): void } => {
  const random = randomly(4711)
  let kills = 0
  const killing = setInterval(() => {
    // Children whose server was killed are nobody's descendants any more.
    const known = mp.activeChildren().map((child) => child.pid ?? 0)
    const all = [...new Set([...descendantsOf(process.pid), ...known])].filter(
      (pid) => ![undefined, 'Z'].includes(stateOf(pid)),
    )
    if (all.length === 0) return
    killAll([all[random(all.length)]!])
    kills++
  }, interval)
  return {
    get kills() {
      return kills
    },
    stop: () => clearInterval(killing),
  }
}

test.afterEach.always(() => {
  killAll(
    mp
      .activeChildren()
      .map((child) => child.pid ?? 0)
      .filter(Boolean),
  )
})

test.serial(
  'three hundred children that allocate, compile and collect all come to the right result',
  async (t) => {
    const expected = new Map<number, unknown[]>()
    for (let seed = 0; seed < 10; seed++) expected.set(seed, expectedOf(seed))
    let right = 0
    const lane = async (first: number): Promise<void> => {
      for (let i = first; i < 300; i += 6) {
        const { child, connection } = startForked(workInTurns, i % 10)
        const answer = await within(`child ${i} answers`, connection.recv(), 60_000)
        await within(`child ${i} ends`, child.join(), 60_000)
        t.deepEqual([answer, child.exitcode], [expected.get(i % 10), 0])
        connection.close()
        child.close()
        right++
      }
    }
    await Promise.all(Array.from({ length: 6 }, (_, first) => lane(first)))
    t.is(right, 300)
  },
)

test.serial(
  'children and servers that are killed at random while processes are started',
  async (t) => {
    const random = randomly(815)
    const killer = killAtRandom(60)
    let [right, dead] = [0, 0]
    const lane = async (): Promise<void> => {
      while (killer.kills < 60) {
        const seed = random(10)
        const { child, connection } = startForked(workInTurns, seed)
        try {
          const answer = await within('an answer or an end', connection.recv(), 60_000)
          t.deepEqual(answer, expectedOf(seed))
          right++
        } catch (error) {
          if (!(error instanceof mp.EOFError || error instanceof mp.OSError)) throw error
          dead++
        }
        connection.close()
        await within('its end', child.join(), 60_000)
        t.true([0, 1, -9, 255].includes(child.exitcode ?? Number.NaN), `${child.exitcode}`)
        child.close()
      }
    }
    try {
      await Promise.all(Array.from({ length: 4 }, lane))
    } finally {
      killer.stop()
    }
    t.log(`${killer.kills} kills, ${right} right results, ${dead} ended before`)
    t.true(right > 0 && dead > 0)
    // All is as it was: a start is a start.
    const { child, connection } = startForked(workInTurns, 1)
    t.deepEqual(await within('an answer', connection.recv(), 60_000), expectedOf(1))
    connection.close()
    await child.join()
    t.is(child.exitcode, 0)
    child.close()
    await until('no zombie is left', () =>
      childrenOf(process.pid).every((pid) => stateOf(pid) !== 'Z'),
    )
  },
)

test.serial('eight pools at work while their workers and the server are killed', async (t) => {
  const pools = Array.from({ length: 8 }, () => new (mp.getContext('forkserver').Pool)(2))
  const killer = killAtRandom(100)
  let [right, lost] = [0, 0]
  const use = async (pool: mp.Pool): Promise<void> => {
    while (killer.kills < 20) {
      const values = Array.from({ length: 40 }, (_, i) => i + right)
      try {
        const squares = await within('a map settles', pool.map(square, values), 60_000)
        t.deepEqual(squares, values.map(square))
        right++
      } catch (error) {
        if (!(error instanceof mp.WorkerDiedError)) throw error
        lost++
      }
    }
  }
  try {
    await Promise.all(pools.map(use))
  } finally {
    killer.stop()
  }
  t.log(`${killer.kills} kills, ${right} right results, ${lost} lost`)
  t.true(right > 0)
  for (const pool of pools) {
    t.deepEqual(await within('a map after it all', pool.map(square, [3, 4]), 60_000), [9, 16])
    pool.close()
    await within('the pool ends', pool.join(), 60_000)
  }
})
