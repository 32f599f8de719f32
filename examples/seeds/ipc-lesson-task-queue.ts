/** Four workers take tasks from one queue and put what comes of them into another. */
import { isMainProcess, Process, Queue } from 'node-multiprocessing'

export async function worker(taskQueue: Queue<number | null>, resultQueue: Queue<number>) {
  for (;;) {
    const task = await taskQueue.get()
    if (task === null) break
    await resultQueue.put(task ** 2)
  }
}

if (isMainProcess) {
  const tasks = new Queue<number | null>()
  const results = new Queue<number>()

  const workers = Array.from(
    { length: 4 },
    () => new Process({ target: worker, args: [tasks, results] }),
  )
  for (const w of workers) w.start()

  for (let i = 0; i < 100; i++) await tasks.put(i)
  for (const _ of workers) await tasks.put(null)

  const output: number[] = []
  for (let i = 0; i < 100; i++) output.push(await results.get())
  for (const w of workers) await w.join()

  const sum = output.reduce((total, result) => total + result, 0)
  console.log(`${output.length} results, ${sum} in all`)
}
