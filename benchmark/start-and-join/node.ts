/** What Node itself offers for starting something and waiting for its end. @module */
import { type ChildProcess, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { medianOfRepeats } from '../timing.js'

interface Amounts {
  readonly repeats: number
}

const emptyModule = new URL('./empty.js', import.meta.url)

const exit = async (started: ChildProcess | Worker): Promise<void> => {
  const [code] = await once(started, 'exit')
  if (code !== 0) throw new Error(`it ended with ${code}`)
}

/** Node with nothing to do: what no process of Node can be faster than. */
export const startBareNode = ({ repeats }: Amounts): Promise<number> =>
  medianOfRepeats(repeats, () => exit(spawn(process.execPath, ['-e', '0'], { stdio: 'ignore' })))

/** A process with a channel, as fork makes it. */
export const forkEmptyModule = ({ repeats }: Amounts): Promise<number> =>
  medianOfRepeats(repeats, () => exit(fork(fileURLToPath(emptyModule), { stdio: 'ignore' })))

/** A thread. */
export const startEmptyWorker = ({ repeats }: Amounts): Promise<number> =>
  medianOfRepeats(repeats, () => exit(new Worker(emptyModule)))
