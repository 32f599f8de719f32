/** What a child has put in a queue is taken before the child is waited for: any size will do. */
import { isMainProcess, Process, Queue } from 'node-multiprocessing'

export async function f(q: Queue<string>, count: number) {
  await q.put('X'.repeat(count))
}

if (isMainProcess) {
  const queue = new Queue<string>()
  const p = new Process({ target: f, args: [queue, Number(process.argv[2] ?? 1_000_000)] })
  p.start()
  const obj = await queue.get()
  await p.join()
  console.log(obj.length)
}
