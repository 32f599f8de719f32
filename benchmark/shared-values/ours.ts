/** Ours: a number that two processes add to, and arrays that are read. @module */
import * as mp from 'node-multiprocessing'
import { startPair } from '../child-pair.js'
import type { Duration } from '../timing.js'
import { type Counted, millionsPerSecond, repeatFor } from '../until.js'
import { addWhenTold } from './children.js'
import { readAll } from './reading.js'

/** Two processes add to one number, each time in one step: how many million times a second. */
export const addTogether = async ({ warmup, duration }: Duration): Promise<number> => {
  const counter = new mp.Value('i')
  const { connection, end } = startPair(addWhenTold, counter)
  const run = (milliseconds: number): Counted => {
    connection.sendSync(milliseconds)
    const begin = performance.now()
    const mine = repeatFor(milliseconds, () => void counter.add(1))
    const total = mine + (connection.recvSync() as number)
    return { total, time: performance.now() - begin }
  }
  run(warmup)
  counter.store(0)
  const rate = millionsPerSecond(run(duration), counter.load())
  connection.sendSync(null)
  await end()
  return rate
}

interface Reading extends Duration {
  readonly count: number
}

/** Reads an array of C doubles as a typed array, in nanoseconds an element. */
export const readTypedArray = ({ count, ...duration }: Reading): number =>
  readAll(duration, mp.RawArray('d', count).typedArray())

/** Reads what share made. */
export const readShared = ({ count, ...duration }: Reading): number =>
  readAll(duration, mp.share(new Float64Array(count)))
