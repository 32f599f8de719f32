import { setTimeout as sleep } from 'node:timers/promises'
import * as mp from 'node-multiprocessing'
import * as child from '../fixtures/conformance/synchronize.js'
import { acquire, wait, waitFor } from '../helpers/lock-calls.js'
import { type GivenParties, type Party, rowOfBothKinds, startParty } from '../helpers/parties.js'
import { nothingIsLeftBehind } from '../helpers/row.js'
import { until } from '../helpers/until.js'

nothingIsLeftBehind()

/** How long those have who are not to wake up. */
const DELTA = 100

/** Sleepers, processes and threads as the row says, and what they count. */
const sleepers = ({ kind, form }: GivenParties) => {
  const cond = new mp.Condition()
  const [sleeping, woken] = [new mp.Semaphore(0), new mp.Semaphore(0)]
  const parties: Party[] = []
  /** As in the reference, each of the processes comes with a thread. */
  const start = async (count: number, timeout: number | null): Promise<void> => {
    for (let i = 0; i < count; i++) {
      // The threads come last: a process that is forked has no use for those that are there already.
      const own = i < count / 2 ? kind : 'threads'
      parties.push(startParty(own, child.sleepAndWake, form, cond, sleeping, woken, timeout))
    }
    for (let i = 0; i < count; i++) await sleeping.acquire({ timeout: 30_000 })
  }
  const notify = async (how: (cond: mp.Condition) => void): Promise<void> => {
    await acquire(form, cond)
    how(cond)
    cond.release()
  }
  const ended = (): Promise<unknown> => Promise.all(parties.map((party) => party.ended))
  return { cond, woken, start, notify, ended }
}

rowOfBothKinds('_TestCondition.test_notify', async (t, given) => {
  const { cond, woken, start, notify, ended } = sleepers(given)
  await start(2, null)
  await sleep(DELTA)
  t.is(woken.getValue(), 0)
  for (const count of [1, 2]) {
    await notify((c) => c.notify())
    await until(`${count} woke`, () => woken.getValue() >= count)
    await sleep(DELTA)
    t.is(woken.getValue(), count)
  }
  await ended()
  t.is(String(cond), '<Condition(<RLock(None, 0)>, 0)>')
})

rowOfBothKinds('_TestCondition.test_notify_all', async (t, given) => {
  const { cond, woken, start, notify, ended } = sleepers(given)
  await start(6, 100)
  for (let i = 0; i < 6; i++) t.true(await woken.acquire({ timeout: 30_000 }))
  t.is(woken.getValue(), 0)
  await ended()
  await start(6, null)
  await sleep(DELTA)
  t.is(woken.getValue(), 0)
  await notify((c) => c.notifyAll())
  await until('all woke', () => woken.getValue() === 6)
  await ended()
  t.is(String(cond), '<Condition(<RLock(None, 0)>, 0)>')
})

rowOfBothKinds('_TestCondition.test_notify_n', async (t, given) => {
  const { cond, woken, start, notify, ended } = sleepers(given)
  await start(6, null)
  await sleep(DELTA)
  t.is(woken.getValue(), 0)
  await notify((c) => c.notify(2))
  await until('two woke', () => woken.getValue() >= 2)
  await sleep(DELTA)
  t.is(woken.getValue(), 2)
  await notify((c) => c.notify(4))
  await until('all woke', () => woken.getValue() === 6)
  await notify((c) => c.notify(3))
  t.is(woken.getValue(), 6)
  await ended()
  t.is(String(cond), '<Condition(<RLock(None, 0)>, 0)>')
})

rowOfBothKinds('_TestCondition.test_timeout', async (t, { form }) => {
  const cond = new mp.Condition()
  await acquire(form, cond)
  const start = performance.now()
  t.false(await wait(form, cond, 100))
  t.true(performance.now() - start >= 99)
  cond.release()
})

rowOfBothKinds('_TestCondition.test_waitfor', async (t, { form, start }) => {
  const cond = new mp.Condition()
  const state = mp.share(Int32Array.of(-1))
  await acquire(form, cond)
  const p = start(child.waitForFour, form, cond, state)
  t.true(await waitFor(form, cond, () => state[0] === 0))
  t.is(state[0], 0)
  cond.release()
  for (let i = 0; i < 4; i++) {
    await sleep(10)
    await acquire(form, cond)
    state[0]!++
    cond.notify()
    cond.release()
  }
  t.is(await p.ended, 0)
})

rowOfBothKinds('_TestCondition.test_waitfor_timeout', async (t, { form, start }) => {
  const cond = new mp.Condition()
  const [state, success] = [mp.share(new Int32Array(1)), mp.share(new Int32Array(1))]
  const ready = new mp.Semaphore(0)
  const p = start(child.waitForFourInVain, form, cond, state, success, ready)
  t.true(await acquire(form, ready, { timeout: 30_000 }))
  for (let i = 0; i < 3; i++) {
    await sleep(10)
    await acquire(form, cond)
    state[0]!++
    cond.notify()
    cond.release()
  }
  await p.ended
  t.is(success[0], 1)
})

rowOfBothKinds('_TestCondition.test_wait_result', async (t, { kind, form, start }) => {
  const cond = new mp.Condition()
  await acquire(form, cond)
  t.false(await wait(form, cond, 0))
  t.false(await wait(form, cond, 100))
  const controller = new AbortController()
  const onInterrupt = (): void => controller.abort(new mp.KeyboardInterrupt())
  process.on('SIGINT', onInterrupt)
  try {
    const p = start(child.notifyAndInterrupt, form, cond, kind === 'processes' ? process.pid : null)
    t.true(await wait(form, cond, 60_000))
    if (kind === 'processes') {
      if (form === 'Sync') {
        t.throws(() => cond.waitSync(60_000), { instanceOf: mp.KeyboardInterrupt })
      } else {
        const waiting = cond.wait({ timeout: 60_000, signal: controller.signal })
        await t.throwsAsync(waiting, { instanceOf: mp.KeyboardInterrupt })
      }
      t.regex(String(cond), /MainProcess, 1/)
    }
    cond.release()
    await p.ended
  } finally {
    process.off('SIGINT', onInterrupt)
  }
})
