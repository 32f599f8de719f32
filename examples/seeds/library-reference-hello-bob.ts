/** A function that runs in a process of its own. */
import { isMainProcess, Process } from 'node-multiprocessing'

export function f(name: string) {
  console.log('hello', name)
}

if (isMainProcess) {
  const p = new Process({ target: f, args: ['bob'] })
  p.start()
  await p.join()
}
