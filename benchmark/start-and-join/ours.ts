/** Ours, starting and joining by each start method. @module */
import * as mp from 'node-multiprocessing'
import { medianOfRepeats } from '../timing.js'
import { empty } from './empty.js'

interface Amounts {
  readonly method: mp.StartMethod
  readonly repeats: number
}

// Not the main module: that is the one which measures.
mp.setForkserverPreload([new URL('./empty.js', import.meta.url).href])

const start = (method: mp.StartMethod) => {
  const child = new (mp.getContext(method).Process)({ target: empty })
  child.start()
  return child
}

const verify = (exitcode: number | null): void => {
  if (exitcode !== 0) throw new Error(`the child ended with ${exitcode}`)
}

/** Waits with the event loop running. */
export const startAndJoin = ({ method, repeats }: Amounts): Promise<number> =>
  medianOfRepeats(repeats, async () => {
    const child = start(method)
    await child.join()
    verify(child.exitcode)
  })

/** Waits with the thread blocked. */
export const startAndJoinSync = ({ method, repeats }: Amounts): Promise<number> =>
  medianOfRepeats(repeats, () => {
    const child = start(method)
    child.joinSync()
    verify(child.exitcode)
  })
