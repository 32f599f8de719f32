/** Ours: `wait`. @module */
import { type Connection, Pipe } from 'node-multiprocessing'
import { wait, waitSync } from 'node-multiprocessing/connection'
import { type Duration, meanTime, meanTimeSync } from '../timing.js'

interface Amounts extends Duration {
  readonly idle: number
}

/** Idle connections, and the two ends of one that is not. */
const connections = ({ idle }: Amounts): [Connection[], Connection] => {
  const [mine, theirs] = Pipe()
  const pairs = Array.from({ length: idle }, () => Pipe())
  const kept = pairs.map(([end]) => end)
  // The other ends stay open as long as somebody knows them.
  others.push(...pairs.map(([, end]) => end))
  return [[...kept, mine], theirs]
}

const others: Connection[] = []

/** The time until a message is there, and taken, in microseconds; blocking. */
export const readySync = (amounts: Amounts): number => {
  const [all, other] = connections(amounts)
  const mine = all.at(-1)!
  const message = Buffer.alloc(8)
  const mean = meanTimeSync(amounts, () => {
    other.sendBytesSync(message)
    const [ready] = waitSync(all)
    if (ready !== mine) throw new Error('another one is ready')
    mine.recvBytesSync()
  })
  return mean * 1e3
}

/** The same, awaiting. */
export const ready = async (amounts: Amounts): Promise<number> => {
  const [all, other] = connections(amounts)
  const mine = all.at(-1)!
  const message = Buffer.alloc(8)
  const mean = await meanTime(amounts, async () => {
    other.sendBytesSync(message)
    const [found] = await wait(all)
    if (found !== mine) throw new Error('another one is ready')
    mine.recvBytesSync()
  })
  return mean * 1e3
}
