/**
 * How not to do it: the main module starts a process whenever it is imported, and the child imports it.
 * The child fails with a RuntimeError; a child by fork imports nothing, and does not. The command line may
 * name the start method.
 */
import { getContext } from 'node-multiprocessing'

export function foo() {
  console.log('hello')
}

const { Process } = getContext(process.argv[2])
const p = new Process({ target: foo })
p.start()
