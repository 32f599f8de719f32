/** What a thread of a {@link Party} runs: a function that comes over a connection, with its arguments. */
import { workerData } from 'node:worker_threads'
import { Connection } from 'node-multiprocessing/connection'

const connection = new Connection(workerData as number, { trusted: true })
const { target, args } = await connection.recv<{
  target: (...args: unknown[]) => unknown
  args: unknown[]
}>()
connection.close()
await target(...args)
