/**
 * What a fork server does so that its children are quick as workers of a pool: it has been one itself.
 * @module
 */
import { isAbsolute } from 'node:path'
import { encode } from './codec/index.js'
import { native } from './native.js'
import { checked, DONE, errorOf } from './native-status.js'
import { PoolChannel } from './pool-channel.js'
import { functionBytes, MANY, TaskBatch } from './pool-wire.js'
import { poolWorkerMain, type WorkerSettings } from './pool-worker-main.js'
import type { ProcessOptions } from './process.js'

/** How many bytes the tasks have at most. */
const ROOM = 1024

/**
 * Has a process be a worker that finds two tasks, and that it is not needed any more. `rehearse` goes through
 * what a process does that has this role.
 */
export const rehearsePoolWorker = async (
  rehearse: (role: ProcessOptions) => Promise<void>,
): Promise<void> => {
  const channel = new PoolChannel(1)
  const { pool, tasks, results, block } = channel
  try {
    const batch = new TaskBatch(ROOM)
    const fn = functionBytes(isAbsolute)
    batch.add(0, 0, fn, encode('one', 'args'))
    batch.add(MANY, 0, fn, encode(['some'], 'args'))
    const give = (): void => {
      checked(native.queuePutMany(tasks.handle, batch.take(), false), 'put')
      const status = native.poolDismiss(pool, tasks.handle, true, 0)
      if (status !== DONE) throw errorOf(status, 'dismiss')
    }
    // It is to wait for them, too, unless that would take a thread of the engine's.
    if (process.getActiveResourcesInfo().length === 0) setImmediate(give)
    else give()
    const settings: WorkerSettings = {
      channel,
      place: 0,
      concurrency: 1,
      maxtasks: null,
      maxMemory: null,
      isRehearsal: true,
    }
    await rehearse({ target: poolWorkerMain, args: [settings, null, []], daemon: false })
  } finally {
    channel.release()
    // Children are to have nothing of it, and until it is collected may be long.
    for (const { handle } of [block, tasks.block, results.block]) native.releaseBlock(handle)
    native.leaveEmptyHeap()
  }
}
