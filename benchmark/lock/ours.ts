/** Ours: a lock that nobody else wants, and one that another process wants all the time. @module */
import * as mp from 'node-multiprocessing'
import { startPair } from '../child-pair.js'
import { type Duration, meanTimeSync } from '../timing.js'
import { type Counted, millionsPerSecond, repeatFor } from '../until.js'
import { increment, incrementWhenTold, takeOnce } from './children.js'

const TURNS = 10_000

interface Alone extends Duration {
  readonly recursive: boolean
  /** Whether another process has taken it before, after this one had it to itself. */
  readonly shared: boolean
}

/** Takes a lock and frees it, in nanoseconds. */
export const takeAndFree = ({ recursive, shared, ...duration }: Alone): number => {
  const lock = recursive ? new mp.RLock() : new mp.Lock()
  const measure = (): number =>
    meanTimeSync(duration, () => {
      for (let i = 0; i < TURNS; i++) {
        lock.acquireSync()
        lock.release()
      }
    })
  if (shared) {
    measure()
    const p = new mp.Process({ target: takeOnce, args: [lock] })
    p.start()
    p.joinSync()
    if (p.exitcode !== 0) throw new Error(`the other process ended with ${p.exitcode}`)
  }
  return (measure() * 1e6) / TURNS
}

/** Two processes add to one number under a lock: how many million times a second. */
export const incrementTogether = async ({ warmup, duration }: Duration): Promise<number> => {
  const lock = new mp.Lock()
  const number = mp.RawValue('i')
  const { connection, end } = startPair(incrementWhenTold, lock, number)
  const run = (milliseconds: number): Counted => {
    connection.sendSync(milliseconds)
    const begin = performance.now()
    const mine = repeatFor(milliseconds, () => increment(lock, number))
    const total = mine + (connection.recvSync() as number)
    return { total, time: performance.now() - begin }
  }
  run(warmup)
  number.value = 0
  const rate = millionsPerSecond(run(duration), number.value)
  connection.sendSync(null)
  await end()
  return rate
}
