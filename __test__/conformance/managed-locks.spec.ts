import { setTimeout as sleep } from 'node:timers/promises'
import { inspect } from 'node:util'
import * as mp from 'node-multiprocessing'
import * as child from '../fixtures/conformance/managed.js'
import { N } from '../fixtures/conformance/managed.js'
import { type GivenManager, managedRow } from '../helpers/managed.js'
import { nothingIsLeftBehind } from '../helpers/row.js'
import { until } from '../helpers/until.js'

nothingIsLeftBehind()

/** How long those have who are not to wake up. */
const DELTA = 100

managedRow('_TestLock.test_lock', async (t, { manager, call }) => {
  const lock = await call(manager, 'Lock')
  t.true(await call(lock, 'acquire'))
  t.true(await call(lock, 'locked'))
  t.false(await call(lock, 'acquire', { block: false }))
  await call(lock, 'release')
  t.false(await call(lock, 'locked'))
  await t.throwsAsync(() => call(lock, 'release'), { instanceOf: mp.RuntimeError })
})

managedRow('_TestLock.test_rlock', async (t, { manager, call }) => {
  const lock = await call(manager, 'RLock')
  for (let i = 0; i < 3; i++) t.true(await call(lock, 'acquire'))
  t.true(await call(lock, 'locked'))
  for (let i = 0; i < 3; i++) await call(lock, 'release')
  t.false(await call(lock, 'locked'))
  await t.throwsAsync(() => call(lock, 'release'), { instanceOf: mp.RuntimeError })
})

for (const [name, type] of [
  ['_TestLock.test_lock_context', 'Lock'],
  ['_TestLock.test_rlock_context', 'RLock'],
] as const) {
  managedRow(name, async (t, { manager, call }) => {
    const lock = await call(manager, type)
    const held = await call(lock, 'hold')
    t.true(await call(lock, 'locked'))
    held[Symbol.dispose]()
    t.false(await call(lock, 'locked'))
    t.is(await lock.runExclusive(async () => call(lock, 'locked')), true)
  })
}

for (const [name, type] of [
  ['_TestSemaphore.test_semaphore', 'Semaphore'],
  ['_TestSemaphore.test_bounded_semaphore', 'BoundedSemaphore'],
] as const) {
  managedRow(name, async (t, { manager, call }) => {
    const semaphore = await call(manager, type, 2)
    t.is(String(semaphore), `<${type} value=2>`)
    t.true(await call(semaphore, 'acquire'))
    t.true(await call(semaphore, 'acquire'))
    t.false(await call(semaphore, 'acquire', { block: false }))
    await call(semaphore, 'release')
    await call(semaphore, 'release')
    t.is(String(semaphore), `<${type} value=2>`)
    if (type === 'BoundedSemaphore') {
      await t.throwsAsync(() => call(semaphore, 'release'), { instanceOf: mp.ValueError })
      return
    }
    await call(semaphore, 'release')
    await call(semaphore, 'release')
    t.is(String(semaphore), '<Semaphore value=4>')
  })
}

/** Children that sleep at a condition, and what they count. */
const sleepers = async ({ manager, call, context, calls }: GivenManager) => {
  const condition = await call(manager, 'Condition')
  const sleeping = await call(manager, 'Semaphore', 0)
  const woken = await call(manager, 'Semaphore', 0)
  const children: InstanceType<typeof context.Process>[] = []
  const start = async (count: number, timeout: number | null): Promise<void> => {
    for (let i = 0; i < count; i++) {
      const args = [calls.form, condition, sleeping, woken, timeout]
      const process = new context.Process({ target: child.sleepAndWake, args, daemon: true })
      process.start()
      children.push(process)
    }
    for (let i = 0; i < count; i++) await call(sleeping, 'acquire', { timeout: 30_000 })
    // All wait when the lock can be had, as each has given it up.
    await notify(() => {})
  }
  const notify = async (how: () => unknown): Promise<void> => {
    await call(condition, 'acquire')
    await how()
    await call(condition, 'release')
  }
  const wokenUp = (): number => Number(/value=(\d+)/.exec(String(woken))![1])
  const ended = async (): Promise<void> => {
    for (const process of children) {
      await process.join()
      process.close()
    }
  }
  return { condition, woken, start, notify, wokenUp, ended }
}

managedRow('_TestCondition.test_notify', async (t, given) => {
  const { condition, start, notify, wokenUp, ended } = await sleepers(given)
  await start(2, null)
  await sleep(DELTA)
  t.is(wokenUp(), 0)
  for (const count of [1, 2]) {
    await notify(() => given.call(condition, 'notify'))
    await until(`${count} woke`, () => wokenUp() >= count)
    await sleep(DELTA)
    t.is(wokenUp(), count)
  }
  await ended()
})

managedRow('_TestCondition.test_notify_all', async (t, given) => {
  const { condition, woken, start, notify, wokenUp, ended } = await sleepers(given)
  await start(6, 100)
  for (let i = 0; i < 6; i++) t.true(await given.call(woken, 'acquire', { timeout: 30_000 }))
  t.is(wokenUp(), 0)
  await start(6, null)
  await sleep(DELTA)
  t.is(wokenUp(), 0)
  await notify(() => given.call(condition, 'notifyAll'))
  await until('all woke', () => wokenUp() === 6)
  await ended()
})

managedRow('_TestCondition.test_notify_n', async (t, given) => {
  const { condition, start, notify, wokenUp, ended } = await sleepers(given)
  await start(6, null)
  await sleep(DELTA)
  t.is(wokenUp(), 0)
  await notify(() => given.call(condition, 'notify', 2))
  await until('two woke', () => wokenUp() >= 2)
  await sleep(DELTA)
  t.is(wokenUp(), 2)
  await notify(() => given.call(condition, 'notify', 4))
  await until('all woke', () => wokenUp() === 6)
  await notify(() => given.call(condition, 'notify', 3))
  t.is(wokenUp(), 6)
  await ended()
})

managedRow('_TestCondition.test_timeout', async (t, { manager, call }) => {
  const condition = await call(manager, 'Condition')
  await call(condition, 'acquire')
  const start = performance.now()
  t.false(await call(condition, 'wait', 100))
  t.true(performance.now() - start >= 99)
  await call(condition, 'release')
})

managedRow('_TestCondition.test_waitfor', async (t, { manager, call, context, calls }) => {
  const condition = await call(manager, 'Condition')
  const state = await call(manager, 'Value', 'i', -1)
  await call(condition, 'acquire')
  const args = [calls.form, condition, state]
  const process = new context.Process({ target: child.waitForFour, args, daemon: true })
  process.start()
  t.true(await call(condition, 'waitFor', () => state.getSync() === 0))
  await call(condition, 'release')
  for (let i = 0; i < 4; i++) {
    await sleep(10)
    await call(condition, 'acquire')
    await call(state, 'set', state.value + 1)
    await call(condition, 'notify')
    await call(condition, 'release')
  }
  await calls.join(process)
  t.is(process.exitcode, 0)
  process.close()
})

managedRow('_TestCondition.test_waitfor_timeout', async (t, { manager, call, context, calls }) => {
  const condition = await call(manager, 'Condition')
  const state = await call(manager, 'Value', 'i', 0)
  const ready = await call(manager, 'Semaphore', 0)
  const args = [calls.form, condition, state, ready]
  const process = new context.Process({ target: child.waitForFourInVain, args, daemon: true })
  process.start()
  t.true(await call(ready, 'acquire', { timeout: 30_000 }))
  for (let i = 0; i < 3; i++) {
    await sleep(10)
    await call(condition, 'acquire')
    await call(state, 'set', state.value + 1)
    await call(condition, 'notify')
    await call(condition, 'release')
  }
  await calls.join(process)
  t.is(process.exitcode, 0)
  process.close()
})

managedRow('_TestCondition.test_wait_result', async (t, { manager, call, context, calls }) => {
  const condition = await call(manager, 'Condition')
  await call(condition, 'acquire')
  t.false(await call(condition, 'wait', 0))
  t.false(await call(condition, 'wait', 100))
  const args = [calls.form, condition]
  const process = new context.Process({ target: child.notifyOnce, args, daemon: true })
  process.start()
  t.true(await call(condition, 'wait', 60_000))
  await call(condition, 'release')
  await calls.join(process)
  process.close()
})

managedRow('_TestEvent.test_event', async (t, { manager, call, context, calls }) => {
  const event = await call(manager, 'Event')
  t.false(await call(event, 'isSet'))
  t.false(await call(event, 'wait', 0))
  t.false(await call(event, 'wait', 50))
  await call(event, 'set')
  t.true(await call(event, 'isSet'))
  t.true(await call(event, 'wait'))
  t.true(await call(event, 'wait', 50))
  await call(event, 'clear')
  t.false(await call(event, 'isSet'))
  const process = new context.Process({ target: child.setLater, args: [event], daemon: true })
  process.start()
  t.true(await call(event, 'wait'))
  await calls.join(process)
  process.close()
})

managedRow('_TestEvent.test_repr', async (t, { manager, call }) => {
  const event = await call(manager, 'Event')
  t.regex(inspect(event), /^<EventProxy object, typeid 'Event' at 0x[\da-f]+>$/)
  t.regex(String(event), /unset/)
  await call(event, 'set')
  t.regex(String(event), /: set/)
})

/** How long a barrier waits that is not to be waited for in vain, in seconds as in the reference. */
const PATIENCE = 30

/** Does the work in so many processes, one of them this one; all end well. */
const runParties = async (
  { context, calls: { form } }: GivenManager,
  work: (...args: any[]) => Promise<void>,
  ...args: unknown[]
): Promise<void> => {
  const children = Array.from({ length: N - 1 }, () => {
    const all = [work, form, ...args]
    const process = new context.Process({ target: child.takePart, args: all, daemon: true })
    process.start()
    return process
  })
  await work(form, ...args)
  for (const process of children) {
    await process.join()
    if (process.exitcode !== 0) throw new Error(`a party ended with ${process.exitcode}`)
    process.close()
  }
}

const lists = async ({ manager, call }: GivenManager) => [
  await call(manager, 'list'),
  await call(manager, 'list'),
]

const lengths = async ({ call }: GivenManager, results: any[]): Promise<number[]> =>
  Promise.all(results.map((result) => call(result, 'len')))

for (const [name, times] of [
  ['_TestBarrier.test_barrier', 1],
  ['_TestBarrier.test_barrier_10', 10],
] as const) {
  managedRow(name, async (t, given) => {
    const barrier = await given.call(given.manager, 'Barrier', N, null, PATIENCE)
    const results = await lists(given)
    await runParties(given, child.multipass, barrier, results, times)
    t.deepEqual(await lengths(given, results), [times * N, times * N])
    t.is(await given.call(barrier, 'nWaiting'), 0)
    t.false(await given.call(barrier, 'broken'))
  })
}

managedRow('_TestBarrier.test_wait_return', async (t, given) => {
  const barrier = await given.call(given.manager, 'Barrier', N, null, PATIENCE)
  const results = await lists(given)
  await runParties(given, child.noteIndex, barrier, results)
  t.deepEqual([...results[0]].sort(), [0, 1, 2, 3, 4])
})

managedRow('_TestBarrier.test_action', async (t, given) => {
  const count = mp.share(new Int32Array(1))
  const action = (): void => void Atomics.add(count, 0, 1)
  const barrier = await given.call(given.manager, 'Barrier', N, action, PATIENCE)
  await runParties(given, child.noteIndex, barrier, await lists(given))
  t.is(count[0], 1)
})

managedRow('_TestBarrier.test_abort', async (t, given) => {
  const barrier = await given.call(given.manager, 'Barrier', N, null, PATIENCE)
  const results = await lists(given)
  await runParties(given, child.abortOnce, barrier, results)
  t.deepEqual(await lengths(given, results), [0, N])
  t.true(await given.call(barrier, 'broken'))
})

managedRow('_TestBarrier.test_reset', async (t, given) => {
  const barrier = await given.call(given.manager, 'Barrier', N, null, PATIENCE)
  const results = await lists(given)
  await runParties(given, child.resetOnce, barrier, results)
  t.deepEqual(await lengths(given, results), [N, N - 1])
  t.false(await given.call(barrier, 'broken'))
})

managedRow('_TestBarrier.test_abort_and_reset', async (t, given) => {
  const barrier = await given.call(given.manager, 'Barrier', N, null, PATIENCE)
  const other = await given.call(given.manager, 'Barrier', N, null, PATIENCE)
  const results = await lists(given)
  await runParties(given, child.abortAndReset, barrier, results, other)
  t.deepEqual(await lengths(given, results), [N, N - 1])
  t.false(await given.call(barrier, 'broken'))
})

managedRow('_TestBarrier.test_timeout', async (t, given) => {
  const barrier = await given.call(given.manager, 'Barrier', N, null, PATIENCE)
  const results = await lists(given)
  await runParties(given, child.oneIsLate, barrier, results, 50)
  t.deepEqual(await lengths(given, results), [0, N])
  t.true(await given.call(barrier, 'broken'))
})

managedRow('_TestBarrier.test_default_timeout', async (t, { manager, call }) => {
  const barrier = await call(manager, 'Barrier', N, null, 0.1)
  await t.throwsAsync(() => call(barrier, 'wait'), { instanceOf: mp.BrokenBarrierError })
  t.true(await call(barrier, 'broken'))
})

managedRow('_TestBarrier.test_single_thread', async (t, { manager, call }) => {
  const barrier = await call(manager, 'Barrier', 1)
  t.is(await call(barrier, 'wait'), 0)
  t.is(await call(barrier, 'wait'), 0)
})
