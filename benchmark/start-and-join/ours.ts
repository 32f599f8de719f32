/** Ours, starting and joining by spawn. @module */
import * as mp from 'node-multiprocessing'
import { medianOfRepeats } from '../timing.js'
import { empty } from './empty.js'

interface Amounts {
  readonly repeats: number
}

const start = () => {
  const child = new (mp.getContext('spawn').Process)({ target: empty })
  child.start()
  return child
}

const verify = (exitcode: number | null): void => {
  if (exitcode !== 0) throw new Error(`the child ended with ${exitcode}`)
}

/** Waits with the event loop running. */
export const startAndJoin = ({ repeats }: Amounts): Promise<number> =>
  medianOfRepeats(repeats, async () => {
    const child = start()
    await child.join()
    verify(child.exitcode)
  })

/** Waits with the thread blocked. */
export const startAndJoinSync = ({ repeats }: Amounts): Promise<number> =>
  medianOfRepeats(repeats, () => {
    const child = start()
    child.joinSync()
    verify(child.exitcode)
  })
