/** Locks and their like: what the reference's own tests do not ask. */
import test from 'ava'
import * as mp from 'node-multiprocessing'
import * as synchronize from 'node-multiprocessing/synchronize'
import * as fixtures from './fixtures/synchronize.js'
import { isCollected } from './helpers/garbage.js'
import { TOO_OFTEN } from './helpers/lock-calls.js'
import { until } from './helpers/until.js'
import { underWatchdog } from './helpers/watchdog.js'

test('every context has the same classes, and so has the module', (t) => {
  const ofThe = (from: typeof synchronize | mp.BaseContext): unknown[] => [
    from.Lock,
    from.RLock,
    from.Semaphore,
    from.BoundedSemaphore,
    from.Condition,
    from.Event,
    from.Barrier,
  ]
  const { Lock, RLock, Semaphore, BoundedSemaphore, Condition, Event, Barrier } = mp
  const classes = [Lock, RLock, Semaphore, BoundedSemaphore, Condition, Event, Barrier]
  t.deepEqual(ofThe(synchronize), classes)
  for (const method of mp.getAllStartMethods()) {
    t.deepEqual(ofThe(mp.getContext(method)), classes)
  }
  t.is(synchronize.SEM_VALUE_MAX, 2_147_483_647)
})

test('wrong arguments are errors at the call', async (t) => {
  const wrong = 'soon' as never
  for (const lock of [new mp.Lock(), new mp.RLock(), new mp.Semaphore(), new mp.Condition()]) {
    await t.throwsAsync(lock.acquire({ timeout: wrong }), { instanceOf: TypeError })
    await t.throwsAsync(lock.acquire({ block: wrong }), { instanceOf: TypeError })
    await t.throwsAsync(lock.acquire({ signal: wrong }), { instanceOf: TypeError })
    t.throws(() => lock.acquireSync({ timeout: wrong }), { instanceOf: TypeError })
    t.throws(() => lock.acquireSync({ block: wrong }), { instanceOf: TypeError })
    await t.throwsAsync(lock.runExclusive(wrong), { instanceOf: TypeError })
    t.false(lock.locked())
  }
  t.throws(() => new mp.Semaphore(-1), { instanceOf: mp.OSError, code: 'EINVAL' })
  t.throws(() => new mp.Semaphore(2 ** 31), { instanceOf: mp.ValueError })
  t.throws(() => new mp.Semaphore(1.5), { instanceOf: TypeError })
  t.throws(() => new mp.BoundedSemaphore('1' as never), { instanceOf: TypeError })
  t.throws(() => new mp.Condition({} as never), { instanceOf: TypeError })
  t.throws(() => new mp.Barrier(0), { instanceOf: mp.ValueError, message: 'parties must be > 0' })
  t.throws(() => new mp.Barrier(1.5), { instanceOf: TypeError })
  t.throws(() => new mp.Barrier(1, { action: wrong }), { instanceOf: TypeError })
  t.throws(() => new mp.Barrier(1, { timeout: wrong }), { instanceOf: TypeError })
  const event = new mp.Event()
  await t.throwsAsync(event.wait(wrong), { instanceOf: TypeError })
  t.throws(() => event.waitSync(wrong), { instanceOf: TypeError })
})

test('a lock is not acquired again by its owner; with block: false the timeout does not matter', async (t) => {
  const lock = new mp.Lock()
  t.true(lock.acquireSync())
  t.false(lock.acquireSync({ timeout: 20 }))
  t.false(await lock.acquire({ timeout: 20 }))
  t.false(lock.acquireSync({ block: false, timeout: 60_000 }))
  t.false(await lock.acquire({ block: false, timeout: 60_000 }))
  t.false(lock.acquireSync({ timeout: -1 }))
  lock.release()
  t.throws(() => lock.release(), TOO_OFTEN)
})

test('what others hold or have taken may be released here', async (t) => {
  const lock = new mp.Lock()
  const semaphore = new mp.Semaphore(1)
  const p = new mp.Process({ target: fixtures.acquireAndStay, args: [lock, semaphore] })
  p.start()
  await until('both are taken', () => lock.locked() && semaphore.locked())
  lock.release()
  semaphore.release()
  t.true(lock.acquireSync({ block: false }))
  t.true(semaphore.acquireSync({ block: false }))
  p.kill()
  await p.join()
})

test('conditions want their lock held', async (t) => {
  for (const cond of [new mp.Condition(), new mp.Condition(new mp.Lock())]) {
    const waiting = {
      instanceOf: mp.AssertionError,
      message: 'must acquire() condition before using wait()',
    } as const
    await t.throwsAsync(cond.wait(10), waiting)
    t.throws(() => cond.waitSync(10), waiting)
    await t.throwsAsync(
      cond.waitFor(() => false, 60_000),
      waiting,
    )
    const notifying = { instanceOf: mp.AssertionError, message: 'lock is not owned' } as const
    t.throws(() => cond.notify(), notifying)
    t.throws(() => cond.notifyAll(), notifying)
    t.is(await cond.waitFor(() => 'at once', 10), 'at once')
    cond.acquireSync()
    t.throws(() => cond.notify(0.5), { instanceOf: TypeError })
    t.notThrows(() => cond.notify(0))
    t.is(
      cond.waitForSync(() => 0, 10),
      0,
    )
    cond.release()
  }
})

test('a condition gives its recursive lock up altogether, and takes it back as often', async (t) => {
  const cond = new mp.Condition()
  for (let i = 0; i < 3; i++) cond.acquireSync()
  const waiting = cond.wait(60_000)
  t.false(cond.locked())
  cond.acquireSync()
  cond.notify()
  cond.release()
  t.true(await waiting)
  t.regex(String(cond), /<RLock\(MainProcess, 3\)>, 0/)
  for (let i = 0; i < 3; i++) cond.release()
  t.false(cond.locked())
})

test('an AbortSignal ends each wait, and what was waited for is not taken', async (t) => {
  const reason = new Error('enough')
  const soon = (): AbortSignal => {
    const controller = new AbortController()
    setTimeout(() => controller.abort(reason), 20)
    return controller.signal
  }
  const [lock, semaphore, cond] = [new mp.Lock(), new mp.Semaphore(0), new mp.Condition()]
  lock.acquireSync()
  await t.throwsAsync(lock.acquire({ signal: soon() }), { is: reason })
  await t.throwsAsync(lock.hold({ signal: soon() }), { is: reason })
  await t.throwsAsync(semaphore.acquire({ signal: soon() }), { is: reason })
  await t.throwsAsync(new mp.Event().wait({ signal: soon() }), { is: reason })
  cond.acquireSync()
  await t.throwsAsync(cond.wait({ signal: soon() }), { is: reason })
  t.regex(String(cond), /<RLock\(MainProcess, 1\)>, 0/)
  const barrier = new mp.Barrier(2)
  await t.throwsAsync(barrier.wait({ signal: soon() }), { is: reason })
  t.is(barrier.nWaiting, 0)
  t.false(barrier.broken)
  lock.release()
  semaphore.release()
  t.true(await lock.acquire({ timeout: 1000 }))
  t.is(semaphore.getValue(), 1)
  const aborted = AbortSignal.abort(reason)
  await t.throwsAsync(semaphore.acquire({ signal: aborted }), { is: reason })
  t.is(semaphore.getValue(), 1)
})

test('one who gives up first does not keep those behind', async (t) => {
  const lock = new mp.Lock()
  lock.acquireSync()
  const controller = new AbortController()
  const reason = new Error('enough')
  const first = t.throwsAsync(lock.acquire({ signal: controller.signal }), { is: reason })
  const late = lock.acquire({ timeout: 10 })
  const second = lock.acquire({ timeout: 60_000 })
  t.false(await late)
  controller.abort(reason)
  lock.release()
  await first
  t.true(await second)
})

test('those of a thread are served first come, first served', async (t) => {
  for (const what of [new mp.Lock(), new mp.Semaphore(1)]) {
    const order: number[] = []
    what.acquireSync()
    const all = Array.from({ length: 100 }, (_, i) =>
      what.acquire().then(() => {
        order.push(i)
        what.release()
      }),
    )
    what.release()
    await Promise.all(all)
    t.deepEqual(
      order,
      Array.from({ length: 100 }, (_, i) => i),
    )
  }
})

test('tasks exclude each other in runExclusive and hold, and each may enter again', async (t) => {
  const lock = new mp.RLock()
  let inside = 0
  const alone = async (): Promise<void> => {
    t.is(++inside, 1)
    await new Promise((resolve) => setTimeout(resolve, 1))
    t.is(inside--, 1)
  }
  const nested = (): Promise<void> =>
    lock.runExclusive(async () => {
      await lock.runExclusive(async () => {
        const held = await lock.hold()
        t.regex(String(lock), /, 3\)/)
        await alone()
        held.release()
      })
      t.regex(String(lock), /, 1\)/)
    })
  const holding = async (): Promise<void> => {
    const held = await lock.hold()
    try {
      await alone()
    } finally {
      held[Symbol.dispose]()
    }
  }
  await Promise.all([nested(), holding(), nested(), holding(), holding(), nested()])
  t.false(lock.locked())
  // What was begun inside and goes on outside is another task.
  let late: Promise<void> | undefined
  await lock.runExclusive(() => {
    late = new Promise<void>((resolve) => setTimeout(resolve, 10)).then(nested)
  })
  await Promise.all([late, holding(), nested()])
  await t.throwsAsync(
    lock.runExclusive(() => lock.runExclusive(() => Promise.reject(new TypeError('no')))),
    { instanceOf: TypeError },
  )
  t.false(lock.locked())
})

test('a task that waits for another one may run out of time', async (t) => {
  const lock = new mp.RLock()
  const held = await lock.hold()
  await t.throwsAsync(lock.hold({ timeout: 10 }), { instanceOf: mp.TimeoutError })
  await t.throwsAsync(
    lock.runExclusive(() => {}, { timeout: 10 }),
    { instanceOf: mp.TimeoutError },
  )
  held.release()
  t.is(await lock.runExclusive(() => 5, { timeout: 10 }), 5)
  const plain = new mp.Lock()
  plain.acquireSync()
  t.throws(() => plain.holdSync({ timeout: 10 }), { instanceOf: mp.TimeoutError })
})

test('one task of a condition waits, and another one notifies', async (t) => {
  const cond = new mp.Condition()
  let ready = false
  const waiting = cond.runExclusive(() => cond.waitFor(() => ready, 60_000))
  await cond.runExclusive(() => {
    ready = true
    cond.notify()
  })
  t.true(await waiting)
  t.false(cond.locked())
})

test('an event that is cleared at once has woken whoever waited', async (t) => {
  const event = new mp.Event()
  const all = Array.from({ length: 300 }, () => event.wait(60_000))
  event.set()
  event.clear()
  t.true((await Promise.all(all)).every(Boolean))
  t.false(await event.wait(0))
})

test('waits in the Promise form for hundreds of things at once', async (t) => {
  const events = Array.from({ length: 300 }, () => new mp.Event())
  const all = events.map((event) => event.wait(60_000))
  const p = new mp.Process({ target: fixtures.setAll, args: [events] })
  p.start()
  t.true((await Promise.all(all)).every(Boolean))
  await p.join()
})

test('the action of a barrier may wait, and breaks it when it fails', async (t) => {
  let ran = 0
  const action = async (): Promise<void> => {
    await new Promise((resolve) => setTimeout(resolve, 10))
    if (++ran > 1) throw new RangeError('enough')
  }
  const barrier = new mp.Barrier(2, { action })
  t.deepEqual((await Promise.all([barrier.wait(), barrier.wait()])).sort(), [0, 1])
  const [one, two] = await Promise.allSettled([barrier.wait(), barrier.wait()])
  t.true((one as PromiseRejectedResult).reason instanceof mp.BrokenBarrierError)
  t.true((two as PromiseRejectedResult).reason instanceof RangeError)
  t.true(barrier.broken)
  await t.throwsAsync(barrier.wait(), {
    instanceOf: mp.BrokenBarrierError,
    code: 'ERR_BROKEN_BARRIER',
  })
  barrier.reset()
  t.false(barrier.broken)
  const sync = new mp.Barrier(1, { action: () => Promise.resolve() })
  t.throws(() => sync.waitSync(), { instanceOf: TypeError })
  t.true(sync.broken)
  t.true(new mp.BrokenBarrierError() instanceof mp.RuntimeError)
})

test('a barrier that is reset or aborted while its action runs is broken for all of them', async (t) => {
  for (const how of ['reset', 'abort'] as const) {
    const barrier: mp.Barrier = new mp.Barrier(2, { action: () => barrier[how]() })
    const both = await Promise.allSettled([barrier.wait(), barrier.wait()])
    for (const end of both) {
      t.true((end as PromiseRejectedResult).reason instanceof mp.BrokenBarrierError)
    }
    t.is(barrier.broken, how === 'abort')
  }
})

test('they travel, inside of anything, and come back as what they were', async (t) => {
  const [ours, theirs] = mp.Pipe()
  const p = new mp.Process({ target: fixtures.useAll, args: [theirs] })
  p.start()
  theirs.close()
  const all = {
    lock: new mp.Lock(),
    recursive: new mp.RLock(),
    semaphore: new mp.Semaphore(3),
    bounded: new mp.BoundedSemaphore(2),
    condition: new mp.Condition(),
    event: new mp.Event(),
    barrier: new mp.Barrier(2, { timeout: 5000 }),
  }
  await ours.send({ all, again: all.lock })
  await all.event.wait()
  t.true(all.lock.locked())
  t.true(all.recursive.locked())
  t.is(all.semaphore.getValue(), 2)
  t.is(all.bounded.getValue(), 1)
  await all.barrier.wait()
  await all.condition.runExclusive(() => all.condition.notify())
  const back = await ours.recv<{ all: typeof all; same: boolean }>()
  t.true(back.same)
  for (const [name, object] of Object.entries(back.all)) t.is(object, all[name as keyof typeof all])
  await p.join()
  t.is(p.exitcode, 0)
  ours.close()
})

test('they go nowhere over a connection that is not trusted', async (t) => {
  const [a, b] = mp.Pipe()
  const { DupFd } = await import('node-multiprocessing/reduction')
  const { Connection } = await import('node-multiprocessing/connection')
  const untrusted = new Connection(new DupFd(b.fileno()).detach())
  await a.send(new mp.Lock())
  await t.throwsAsync(untrusted.recv(), { instanceOf: mp.UnpicklingError })
  untrusted.close()
  a.close()
  b.close()
})

test('what nobody uses any more is collected', async (t) => {
  const make = (): WeakRef<object>[] =>
    [new mp.Lock(), new mp.RLock(), new mp.Barrier(2), new mp.Condition(), new mp.Event()].map(
      (object) => new WeakRef(object),
    )
  for (const reference of make()) t.true(await isCollected(reference))
})

test('two processes count exactly, in both forms together', async (t) => {
  const lock = new mp.Lock()
  const count = mp.share(new Int32Array(1))
  const children = (['Promise', 'Sync', 'Sync'] as const).map(
    (form) => new mp.Process({ target: fixtures.count, args: [form, lock, count, 20_000] }),
  )
  for (const child of children) child.start()
  await fixtures.count('Promise', lock, count, 20_000)
  for (const child of children) await child.join()
  t.is(count[0], 80_000)
})

test('nobody starves while others hammer', async (t) => {
  for (const lock of [new mp.Lock(), new mp.Semaphore(1)]) {
    const stop = new mp.Event()
    const started = new mp.Semaphore(0)
    const hammers = [1, 2].map(
      () => new mp.Process({ target: fixtures.hammer, args: [lock, started, stop] }),
    )
    for (const hammer of hammers) hammer.start()
    for (const _ of hammers) await started.acquire()
    const times: number[] = []
    await underWatchdog(async () => {
      for (let i = 0; i < 40; i++) {
        const start = performance.now()
        if (i % 2) lock.acquireSync()
        else await lock.acquire()
        times.push(performance.now() - start)
        lock.release()
      }
    })
    stop.set()
    for (const hammer of hammers) await hammer.join()
    // Whoever is unlucky and not served would wait for as long as the others go on.
    t.true(Math.max(...times) < 2000, `the waits took ${times.map(Math.round)} ms`)
  }
})
