/** The entry point of the program, protected, so that a child can import the main module. */
import { freezeSupport, isMainProcess, Process, setStartMethod } from 'node-multiprocessing'

export function foo() {
  console.log('hello')
}

if (isMainProcess) {
  freezeSupport()
  setStartMethod('spawn')
  const p = new Process({ target: foo })
  p.start()
}
