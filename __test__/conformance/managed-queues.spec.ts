import type { ExecutionContext } from 'ava'
import * as mp from 'node-multiprocessing'
import * as child from '../fixtures/conformance/managed.js'
import { type GivenManager, managedRow } from '../helpers/managed.js'
import { nothingIsLeftBehind } from '../helpers/row.js'

nothingIsLeftBehind()

/** Asserts that something is refused, not before so many milliseconds, and soon after them. */
const refusesAfter = async (
  t: ExecutionContext,
  time: number,
  error: typeof mp.Full | typeof mp.Empty,
  call: () => Promise<unknown>,
): Promise<void> => {
  const before = performance.now()
  await t.throwsAsync(call, { instanceOf: error })
  const elapsed = performance.now() - before
  t.true(elapsed >= time - 1 && elapsed < time + 5000, `${elapsed} ms, not ${time}`)
}

const besides = ({ context, calls }: GivenManager, target: any, ...args: unknown[]) => {
  const process = new context.Process({ target, args: [calls.form, ...args], daemon: true })
  process.start()
  return async (): Promise<number | null> => {
    await process.join()
    const { exitcode } = process
    process.close()
    return exitcode
  }
}

managedRow('_TestQueue.test_put', async (t, given) => {
  const { manager, call } = given
  const queue = await call(manager, 'Queue', 6)
  const [canStart, canContinue] = [await call(manager, 'Event'), await call(manager, 'Event')]
  const ended = besides(given, child.takeSix, queue, canStart, canContinue)
  t.true(await call(queue, 'empty'))
  t.false(await call(queue, 'full'))
  await call(queue, 'put', 1)
  await call(queue, 'put', 2, { block: true })
  await call(queue, 'put', 3, { block: true, timeout: null })
  await call(queue, 'put', 4, { block: false })
  await call(queue, 'put', 5, { block: false, timeout: null })
  await call(queue, 'putNowait', 6)
  t.false(await call(queue, 'empty'))
  t.true(await call(queue, 'full'))

  const refuses = (time: number, options: mp.AcquireSyncOptions) =>
    refusesAfter(t, time, mp.Full, () => call(queue, 'put', 7, options))
  await refuses(0, { block: false })
  await refuses(0, { block: false, timeout: null })
  await refusesAfter(t, 0, mp.Full, () => call(queue, 'putNowait', 7))
  await refuses(82, { block: true, timeout: 82 })
  await refuses(0, { block: false, timeout: 35_000 })
  await refuses(140, { timeout: 140 })

  await call(canStart, 'set')
  t.true(await call(canContinue, 'wait'))
  t.true(await call(queue, 'empty'))
  t.false(await call(queue, 'full'))
  t.is(await ended(), 0)
})

managedRow('_TestQueue.test_get', async (t, given) => {
  const { manager, call } = given
  const queue = await call(manager, 'Queue')
  const [canStart, canContinue] = [await call(manager, 'Event'), await call(manager, 'Event')]
  const ended = besides(given, child.putFour, queue, canStart, canContinue)
  t.true(await call(queue, 'empty'))
  await call(canStart, 'set')
  t.true(await call(canContinue, 'wait'))
  t.false(await call(queue, 'empty'))
  t.is(await call(queue, 'get', { block: true, timeout: null }), 2)
  t.is(await call(queue, 'get', { block: true }), 3)
  t.is(await call(queue, 'get', { timeout: 1000 }), 4)
  t.is(await call(queue, 'getNowait'), 5)
  t.true(await call(queue, 'empty'))

  const refuses = (time: number, options: mp.AcquireSyncOptions) =>
    refusesAfter(t, time, mp.Empty, () => call(queue, 'get', options))
  await refuses(0, { block: false })
  await refusesAfter(t, 0, mp.Empty, () => call(queue, 'getNowait'))
  await refuses(82, { block: true, timeout: 82 })
  await refuses(0, { block: false, timeout: 35_000 })
  await refuses(140, { timeout: 140 })
  t.is(await ended(), 0)
})

managedRow('_TestQueue.test_fork', async (t, given) => {
  const { manager, call } = given
  const queue = await call(manager, 'Queue')
  for (let i = 0; i < 10; i++) await call(queue, 'put', i)
  t.is(await besides(given, child.putTen, queue)(), 0)
  for (let i = 0; i < 20; i++) t.is(await call(queue, 'get'), i)
  await t.throwsAsync(() => call(queue, 'get', { block: false }), { instanceOf: mp.Empty })
})

managedRow('_TestQueue.test_qsize', async (t, { manager, call }) => {
  const queue = await call(manager, 'Queue')
  t.is(await call(queue, 'qsize'), 0)
  await call(queue, 'put', 1)
  t.is(await call(queue, 'qsize'), 1)
  await call(queue, 'put', 5)
  t.is(await call(queue, 'qsize'), 2)
  await call(queue, 'get')
  t.is(await call(queue, 'qsize'), 1)
  await call(queue, 'get')
  t.is(await call(queue, 'qsize'), 0)
})

managedRow('_TestQueue.test_task_done', async (t, given) => {
  const { manager, call } = given
  const queue = await call(manager, 'JoinableQueue')
  const workers = Array.from({ length: 4 }, () => besides(given, child.doTasks, queue))
  for (let i = 0; i < 10; i++) await call(queue, 'put', i)
  await call(queue, 'join')
  t.true(await call(queue, 'empty'))
  for (const _ of workers) await call(queue, 'put', null)
  for (const ended of workers) t.is(await ended(), 0)
})

managedRow('_TestQueue.test_timeout', async (t, { manager, call }) => {
  const queue = await call(manager, 'Queue')
  await refusesAfter(t, 200, mp.Empty, () => call(queue, 'get', { block: true, timeout: 200 }))
})
