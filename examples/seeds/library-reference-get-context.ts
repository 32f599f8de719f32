/** A context: the names of the package, bound to a start method, which the command line may name. */
import { getContext, isMainProcess, type Queue } from 'node-multiprocessing'

export async function foo(q: Queue) {
  await q.put('hello')
}

if (isMainProcess) {
  const ctx = getContext(process.argv[2] ?? 'spawn')
  const q = new ctx.Queue()
  const p = new ctx.Process({ target: foo, args: [q] })
  p.start()
  console.log(await q.get())
  await p.join()
}
