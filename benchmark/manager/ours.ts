/** Ours. @module */
import * as mp from 'node-multiprocessing'
import type { DictProxy } from 'node-multiprocessing/managers'
import { type Pair, startPair } from '../child-pair.js'
import { privateMemory } from '../private-memory.js'
import { batches, messagesPerSecond } from '../rate.js'
import { type Duration, meanTimeSync } from '../timing.js'
import * as children from './children.js'

interface Amounts {
  readonly warmup: number
  readonly count: number
}

const started = async () => {
  const manager = await mp.getContext('spawn').Manager()
  const dict: DictProxy<string, number> = await manager.dict({ key: 7 })
  return { manager, dict }
}

/** One `getSync` after the other, in µs. */
export const getSync = async (duration: Duration): Promise<number> => {
  const { manager, dict } = await started()
  const mean = meanTimeSync(duration, () => {
    if (dict.getSync('key') !== 7) throw new Error('another value came')
  })
  await manager.shutdown()
  return mean * 1e3
}

/** A hundred `get` at a time. */
export const pipelined = async (amounts: Amounts): Promise<number> => {
  const { manager, dict } = await started()
  const rate = await messagesPerSecond(batches(amounts), async (count) => {
    for (let done = 0; done < count; done += 100) {
      const values = await Promise.all(Array.from({ length: 100 }, () => dict.get('key')))
      if (values.some((value) => value !== 7)) throw new Error('another value came')
    }
  })
  await manager.shutdown()
  return rate
}

/** Many processes, each with one `getSync` after the other. */
export const manyClients = async ({
  clients,
  ...amounts
}: Amounts & { clients: number }): Promise<number> => {
  const { manager, dict } = await started()
  const sizes = batches(amounts)
  const pairs: Pair[] = []
  for (let i = 0; i < clients; i++) {
    pairs.push(
      startPair(
        children.getOften,
        dict,
        sizes.map((size) => size / clients),
      ),
    )
  }
  for (const { connection } of pairs) await connection.recv()
  const rate = await messagesPerSecond(sizes, async () => {
    for (const { connection } of pairs) connection.sendSync('go')
    for (const { connection } of pairs) await connection.recv()
  })
  for (const { end } of pairs) await end()
  await manager.shutdown()
  return rate
}

/** How much the server has grown by proxies that were created and given up, in MiB. */
export const created = async ({ warmup, count }: Amounts): Promise<number> => {
  const { manager } = await started()
  const round = async (times: number): Promise<void> => {
    for (let done = 0; done < times; done += 100) {
      const proxies = await Promise.all(Array.from({ length: 100 }, () => manager.Event()))
      for (const proxy of proxies) proxy[Symbol.dispose]()
    }
  }
  const memory = (): number => privateMemory(process.pid) + privateMemory(manager._process!.pid!)
  await round(warmup)
  const before = memory()
  await round(count)
  const grown = memory() - before
  if ((await manager._numberOfObjects()) > 10) throw new Error('the server has kept some')
  await manager.shutdown()
  return grown
}
