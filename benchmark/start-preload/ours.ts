/** Ours, where children need a large table. @module */
import * as mp from 'node-multiprocessing'
import { medianOfRepeats } from '../timing.js'

interface Amounts {
  readonly method: mp.StartMethod
  readonly repeats: number
}

const module = new URL('./table.js', import.meta.url).href
mp.setForkserverPreload([module])

const verify = (exitcode: number | null): void => {
  if (exitcode !== 0) throw new Error(`the child ended with ${exitcode}`)
}

const starter = async (method: mp.StartMethod): Promise<(id: number) => mp.Process> => {
  const { ROWS, lookUp } = (await import(module)) as typeof import('./table.js')
  const { Process } = mp.getContext(method)
  return (id) => {
    const child = new Process({ target: lookUp, args: [(id * 7919) % ROWS] })
    child.start()
    return child
  }
}

/** Waits with the event loop running. */
export const startAndJoin = async ({ method, repeats }: Amounts): Promise<number> => {
  const start = await starter(method)
  let id = 0
  return await medianOfRepeats(repeats, async () => {
    const child = start(id++)
    await child.join()
    verify(child.exitcode)
  })
}

/** Waits with the thread blocked. */
export const startAndJoinSync = async ({ method, repeats }: Amounts): Promise<number> => {
  const start = await starter(method)
  let id = 0
  return await medianOfRepeats(repeats, () => {
    const child = start(id++)
    child.joinSync()
    verify(child.exitcode)
  })
}
