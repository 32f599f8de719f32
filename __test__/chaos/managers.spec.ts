/** A manager's server is killed under load, and its clients while they hold and wait. */
import test, { type ExecutionContext } from 'ava'
import * as mp from 'node-multiprocessing'
import type { SyncManager } from 'node-multiprocessing/managers'
import * as child from '../fixtures/managers/programs.js'
import { until } from '../helpers/until.js'
import { underWatchdog } from '../helpers/watchdog.js'

/** How soon after a death all has to be well again, in milliseconds. */
const SOON = 5000

const soon = async (t: ExecutionContext, what: string, run: () => Promise<unknown>) => {
  const before = performance.now()
  await run()
  const took = performance.now() - before
  t.true(took < SOON, `${what} took ${took} ms`)
}

const withManager = (run: (manager: SyncManager) => Promise<void>): Promise<void> =>
  underWatchdog(async () => {
    const manager = await mp.Manager()
    try {
      await run(manager)
    } finally {
      await manager.shutdown()
    }
  })

/** Starts one who holds or waits, and kills it once it does. */
const killed = async (
  target: (what: any, ready: mp.Event) => Promise<void>,
  what: unknown,
): Promise<void> => {
  const ready = new mp.Event()
  const p = new mp.Process({ target, args: [what, ready], daemon: true })
  p.start()
  await ready.wait(30_000)
  p.kill()
  await p.join()
  p.close()
}

test.serial('the server is killed under load', async (t) => {
  await withManager(async (manager) => {
    const dict = await manager.dict<string, number>()
    const clients = await Promise.all(
      Array.from({ length: 3 }, async () => {
        const running = new mp.Event()
        const [reader, writer] = mp.Pipe({ duplex: false })
        const p = new mp.Process({
          target: child.callForEver,
          args: [dict, running, writer],
          daemon: true,
        })
        p.start()
        writer.close()
        await running.wait(30_000)
        return { p, reader }
      }),
    )
    const own = Promise.allSettled(Array.from({ length: 100 }, () => dict.get('a')))
    const waiting = (await manager.Queue()).get()
    const refused = t.throwsAsync(waiting, { instanceOf: mp.EOFError, message: /is gone/ })
    manager._process!.kill()
    await soon(t, 'being told', async () => {
      for (const { p, reader } of clients) {
        const [name, message] = await reader.recv<[string, string]>()
        t.is(name, 'EOFError')
        t.regex(message, /^the manager at .* is gone$/)
        reader.close()
        await p.join()
        t.is(p.exitcode, 0)
      }
      await refused
      await own
    })
    t.throws(() => dict.getSync('a'), { instanceOf: mp.EOFError })
    await t.throwsAsync(dict.get('a'), { instanceOf: mp.EOFError })
    await manager.join()
    await t.throwsAsync(manager.list(), { instanceOf: mp.OSError })
  })
})

for (const type of ['Lock', 'RLock', 'Semaphore', 'BoundedSemaphore', 'Condition'] as const) {
  test.serial(`a client is killed that holds a ${type}`, async (t) => {
    await withManager(async (manager) => {
      const held = await manager[type]()
      const others = [held.acquire({ timeout: 0 })]
      t.true(await others[0])
      await held.release()
      const ready = new mp.Event()
      const p = new mp.Process({ target: child.holdForEver, args: [held, ready], daemon: true })
      p.start()
      await ready.wait(30_000)
      t.false(await held.acquire({ block: false }))
      const waiting = held.acquire()
      p.kill()
      await soon(t, 'taking over', async () => t.true(await waiting))
      await held.release()
      await p.join()
      p.close()
      // And when nobody waits for it.
      await killed(child.holdForEver, held)
      await soon(t, 'taking', async () => t.true(await held.acquire()))
    })
  })
}

test.serial('a client is killed that waits for an item: none is lost', async (t) => {
  await withManager(async (manager) => {
    const queue = await manager.Queue<number>()
    await killed(child.waitForEver, queue)
    await queue.put(1)
    await soon(t, 'getting', async () => t.is(await queue.get(), 1))
  })
})

test.serial('a client is killed that waits at a barrier: the others hear of it', async (t) => {
  await withManager(async (manager) => {
    const barrier = await manager.Barrier(3)
    const waiting = t.throwsAsync(barrier.wait(), { instanceOf: mp.BrokenBarrierError })
    await killed(child.waitForEver, barrier)
    await soon(t, 'hearing', () => waiting)
  })
})

test.serial('what only a killed client referred to goes', async (t) => {
  await withManager(async (manager) => {
    const lock = await manager.Lock()
    await lock.acquire()
    for (let i = 0; i < 5; i++) await killed(child.waitForEver, await manager.Queue())
    const before = await manager._numberOfObjects()
    t.true(before <= 6)
    const address = manager.address!
    const ready = new mp.Event()
    const p = new mp.Process({ target: child.createMany, args: [address, ready], daemon: true })
    p.start()
    await ready.wait(30_000)
    t.is(await manager._numberOfObjects(), before + 50)
    p.kill()
    await p.join()
    await soon(t, 'letting go', () =>
      until('they are gone', () => manager._controlSync('number_of_objects') === before),
    )
  })
})

test.serial('the program that has started a manager is killed: the server ends', async (t) => {
  await underWatchdog(async () => {
    const [reader, writer] = mp.Pipe({ duplex: false })
    const p = new mp.Process({ target: child.startManager, args: [writer] })
    p.start()
    writer.close()
    const pid = await reader.recv<number>()
    t.true(isAlive(pid))
    p.kill()
    await p.join()
    await soon(t, 'the end', () => until('it has ended', () => !isAlive(pid)))
    reader.close()
  })
})

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
