import { setImmediate as nextTurn } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** Collects garbage, then lets the finalization callbacks run. */
export const collectGarbage = async (): Promise<void> => {
  // What a WeakRef was asked for in this turn is kept until the turn ends.
  await nextTurn()
  collect()
  await nextTurn()
  await nextTurn()
}

/**
 * Whether nothing holds the object any more. One collection is not always enough: the frames of
 * functions that have just returned may still be scanned.
 */
export const isCollected = async (reference: WeakRef<object>): Promise<boolean> => {
  for (let attempt = 0; attempt < 20 && reference.deref() !== undefined; attempt++) {
    await collectGarbage()
  }
  return reference.deref() === undefined
}
