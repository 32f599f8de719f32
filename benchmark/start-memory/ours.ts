/** Ours, waiting for a message, by each start method. @module */
import { setTimeout as delay } from 'node:timers/promises'
import * as mp from 'node-multiprocessing'
import { privateMemory } from '../private-memory.js'
import { idle } from './idle.js'

interface Amounts {
  readonly method: mp.StartMethod
  readonly settle: number
}

mp.setForkserverPreload([new URL('./idle.js', import.meta.url).href])

/** The private memory of a child that waits for a message. */
export const idleChild = async ({ method, settle }: Amounts): Promise<number> => {
  const { Pipe, Process } = mp.getContext(method)
  const [mine, theirs] = Pipe()
  const child = new Process({ target: idle, args: [theirs] })
  child.start()
  theirs.close()
  await mine.recv()
  await delay(settle)
  const memory = privateMemory(child.pid!)
  await mine.send('end')
  await child.join()
  if (child.exitcode !== 0) throw new Error(`the child ended with ${child.exitcode}`)
  return memory
}
