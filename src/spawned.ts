/**
 * A child that was spawned.
 * @module
 */
import { live } from './bootstrap.js'
import { native } from './native.js'
import { descriptors } from './spawn.js'

/**
 * Runs the process that this child was spawned for, which is given so many descriptors. `compiledCode`
 * gives what V8 has made of this package, when no child has published that yet.
 */
export const runSpawned = async (sent: number, compiledCode?: () => Uint8Array): Promise<void> => {
  const { preparation, data, parent, tracker, ledger, first } = descriptors
  for (let fd = preparation; fd < first + sent; fd++) native.setCloseOnExec(fd)
  native.useTracker(tracker, ledger)
  if (compiledCode) setImmediate(publishCode, descriptors.codeCache, compiledCode)
  await live({ preparation, data, parent, sent: Array.from({ length: sent }, (_, i) => first + i) })
}

/** Hands the compiled code to later children; by now the functions a child needs are compiled. */
export const publishCode = (codeCache: number, compiledCode: () => Uint8Array): void => {
  // Without it they start a little slower.
  native.publishMemoryFile(codeCache, compiledCode())
}
