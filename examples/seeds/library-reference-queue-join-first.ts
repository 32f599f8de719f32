/**
 * A child is waited for before what it has put in a queue is taken. It does not end before there is room
 * for all of it: a million characters find room, ten millions do not, and both wait for ever. The command
 * line may say how many.
 */
import { isMainProcess, Process, Queue } from 'node-multiprocessing'

export async function f(q: Queue<string>, count: number) {
  await q.put('X'.repeat(count))
}

if (isMainProcess) {
  const queue = new Queue<string>()
  const p = new Process({ target: f, args: [queue, Number(process.argv[2] ?? 1_000_000)] })
  p.start()
  await p.join() // this deadlocks if there is no room
  const obj = await queue.get()
  console.log(obj.length)
}
