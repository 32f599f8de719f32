/** Queues feed tasks to several workers, and bring back what came of them. */
import { currentProcess, isMainProcess, Process, Queue } from 'node-multiprocessing'

type Task = [name: (a: number, b: number) => Promise<number>, a: number, b: number]

const pause = () => new Promise((resolve) => setTimeout(resolve, 10 * Math.random()))

export async function mul(a: number, b: number) {
  await pause()
  return a * b
}

export async function plus(a: number, b: number) {
  await pause()
  return a + b
}

export async function worker(input: Queue<Task | 'STOP'>, output: Queue<string>) {
  for (;;) {
    const task = await input.get()
    if (task === 'STOP') return
    const [name, a, b] = task
    const result = await name(a, b)
    await output.put(`${currentProcess().name} says that ${name.name}(${a}, ${b}) = ${result}`)
  }
}

if (isMainProcess) {
  const first = Array.from({ length: 20 }, (_, i): Task => [mul, i, 7])
  const second = Array.from({ length: 10 }, (_, i): Task => [plus, i, 8])

  const taskQueue = new Queue<Task | 'STOP'>()
  const doneQueue = new Queue<string>()
  for (const task of first) await taskQueue.put(task)

  const workers = Array.from(
    { length: 4 },
    () => new Process({ target: worker, args: [taskQueue, doneQueue] }),
  )
  for (const p of workers) p.start()

  console.log('Unordered results:')
  for (const _ of first) console.log(`\t${await doneQueue.get()}`)

  // More may be put in at any time.
  await taskQueue.putMany(second)
  for (const _ of second) console.log(`\t${await doneQueue.get()}`)

  for (const _ of workers) await taskQueue.put('STOP')
  for (const p of workers) await p.join()
}
