/** A program that chooses its start method, which the command line may name. */
import { isMainProcess, Process, Queue, setStartMethod } from 'node-multiprocessing'

export async function foo(q: Queue) {
  await q.put('hello')
}

if (isMainProcess) {
  setStartMethod(process.argv[2] ?? 'spawn')
  const q = new Queue()
  const p = new Process({ target: foo, args: [q] })
  p.start()
  console.log(await q.get())
  await p.join()
}
