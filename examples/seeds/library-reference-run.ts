/** The activity of a process, run in this one; the arguments may be any iterable. */
import { isMainProcess, Process } from 'node-multiprocessing'

if (isMainProcess) {
  let p = new Process({ target: console.log, args: [1] })
  await p.run()
  p = new Process({ target: console.log, args: new Set([1]) })
  await p.run()
}
