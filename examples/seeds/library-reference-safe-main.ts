/**
 * The entry point of the program, protected, so that a child can import the main module. The command line
 * may name the start method.
 */
import { freezeSupport, isMainProcess, Process, setStartMethod } from 'node-multiprocessing'

export function foo() {
  console.log('hello')
}

if (isMainProcess) {
  freezeSupport()
  setStartMethod(process.argv[2] ?? 'spawn')
  const p = new Process({ target: foo })
  p.start()
}
