/** A producer and a consumer, and a queue between them. */
import { isMainProcess, Process, Queue } from 'node-multiprocessing'

export async function producer(queue: Queue<number | null>) {
  for (let i = 0; i < 5; i++) await queue.put(i)
  await queue.put(null) // that was all
}

export async function consumer(queue: Queue<number | null>) {
  for (;;) {
    const item = await queue.get()
    if (item === null) break
    console.log(`Consumed: ${item}`)
  }
}

if (isMainProcess) {
  const q = new Queue<number | null>()
  const p1 = new Process({ target: producer, args: [q] })
  const p2 = new Process({ target: consumer, args: [q] })
  p1.start()
  p2.start()
  await p1.join()
  await p2.join()
}
