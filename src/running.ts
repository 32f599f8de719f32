/**
 * The children of this process that have been started and not been seen to end.
 * @module
 */
import type { Process } from './process.js'
import { stateOf } from './process-state.js'

/** They are held here: a program need not keep its process objects. */
export const running = new Set<Process>()

/** They are the children of the process that this one is a copy of. */
export const forgetChildren = (): void => {
  for (const process_ of running) stateOf(process_).child?.close()
  running.clear()
}
