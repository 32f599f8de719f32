/**
 * How not to do it: the main module starts a process whenever it is imported, and the child imports it.
 * The child fails with a RuntimeError.
 */
import { Process } from 'node-multiprocessing'

export function foo() {
  console.log('hello')
}

const p = new Process({ target: foo })
p.start()
