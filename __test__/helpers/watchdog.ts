import { once } from 'node:events'
import { Worker } from 'node:worker_threads'

/** How long one test may take before its processes are killed, in milliseconds. */
const limit = 60_000

let deadline: BigInt64Array | undefined

const startThread = async (): Promise<BigInt64Array> => {
  const shared = new BigInt64Array(new SharedArrayBuffer(BigInt64Array.BYTES_PER_ELEMENT))
  const thread = new Worker(new URL('./watchdog-thread.js', import.meta.url), {
    workerData: shared,
  })
  await once(thread, 'online')
  thread.unref()
  return shared
}

/**
 * Runs a test under a watchdog that works while the test blocks its thread: when the time is over, a
 * thread kills every descendant of this process, so that a call that waits for one of them returns and
 * the test can fail. If that does not help, the process itself is killed.
 */
export const underWatchdog = async (run: () => Promise<void> | void): Promise<void> => {
  deadline ??= await startThread()
  Atomics.store(deadline, 0, BigInt(Date.now() + limit))
  try {
    await run()
  } finally {
    Atomics.store(deadline, 0, 0n)
  }
}
