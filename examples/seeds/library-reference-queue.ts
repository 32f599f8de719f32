/** An object goes from a child to its parent through a queue. */
import { isMainProcess, Process, Queue } from 'node-multiprocessing'

export async function f(q: Queue) {
  await q.put([42, null, 'hello'])
}

if (isMainProcess) {
  const q = new Queue()
  const p = new Process({ target: f, args: [q] })
  p.start()
  console.log(await q.get()) // prints "[ 42, null, 'hello' ]"
  await p.join()
}
