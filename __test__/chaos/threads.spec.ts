/** Threads are ended wherever they are: the others go on, and nothing is left. `MP_CHAOS_SECONDS` says for how long. */
import test from 'ava'
import * as mp from 'node-multiprocessing'
import * as dummy from 'node-multiprocessing/dummy'
import { workWithoutEnd } from '../fixtures/threads.js'
import { leftBehindSince, resourcesOf } from '../helpers/resources.js'
import { underWatchdog } from '../helpers/watchdog.js'

const DURATION = Number(process.env.MP_CHAOS_SECONDS ?? 8) * 1000

test('threads that work with locks and queues are ended at random', (t) =>
  underWatchdog(async () => {
    const lock = new mp.Lock()
    const queue = new mp.Queue<string>()
    const numbers = mp.share(new Int32Array(3))
    const round = async (join: (p: dummy.Process) => Promise<void> | void): Promise<void> => {
      const args = [lock, queue, numbers]
      const all = Array.from(
        { length: 4 },
        () => new dummy.Process({ target: workWithoutEnd, args }),
      )
      for (const p of all) p.start()
      for (const p of all) {
        await p.join(Math.random() * 80)
        p.terminate()
      }
      for (const p of all) {
        await join(p)
        t.is(p.exitcode, -15)
        p.close()
      }
      t.true(lock.acquireSync({ timeout: 20_000 }), 'the lock is given on')
      if (lock.abandoned) numbers[1] = numbers[0]!
      t.is(numbers[0], numbers[1])
      lock.release()
      queue.putSync('ours')
      while (!queue.empty()) queue.getSync({ timeout: 20_000 })
    }
    await round((p) => p.join())
    const before = resourcesOf()
    const end = performance.now() + DURATION
    for (let rounds = 0; performance.now() < end; rounds++) {
      await round(rounds % 2 === 0 ? (p) => p.join() : (p) => p.joinSync())
    }
    t.is(numbers[2], 0, 'nobody was inside with somebody else')
    t.true(numbers[0]! > 0)
    t.log(`${numbers[0]} turns`)
    queue.close()
    const left = (await leftBehindSince(before)).descriptors
    // The arena that new blocks come from may be another one by now.
    t.true(left.length <= 2, String(left))
  }))
