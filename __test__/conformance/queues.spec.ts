import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import test, { type ExecutionContext } from 'ava'
import * as mp from 'node-multiprocessing'
import * as dummy from 'node-multiprocessing/dummy'
import { register } from 'node-multiprocessing/reduction'
import * as child from '../fixtures/conformance/queues.js'
import { type Form, forms } from '../helpers/calls.js'
import { wait } from '../helpers/lock-calls.js'
import { rowOfBothKinds } from '../helpers/parties.js'
import { closeQueue, get, joinTasks, joinThread, put } from '../helpers/queue-calls.js'
import {
  nothingIsLeftBehind,
  row,
  rowInBothForms,
  rowWithThreadsInBothForms,
} from '../helpers/row.js'
import { runProgram } from '../helpers/run-program.js'
import { temporaryFolder } from '../helpers/temporary-folder.js'

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

rowOfBothKinds('_TestQueue.test_put', async (t, { form, start }) => {
  const queue = new mp.Queue(6)
  const canStart = new mp.Event()
  const canContinue = new mp.Event()
  const party = start(child.takeSix, form, queue, canStart, canContinue)
  t.true(queue.empty())
  t.false(queue.full())

  await put(form, queue, 1)
  await put(form, queue, 2, { block: true })
  await put(form, queue, 3, { block: true, timeout: null })
  await put(form, queue, 4, { block: false })
  await put(form, queue, 5, { block: false, timeout: null })
  queue.putNowait(6)
  t.false(queue.empty())
  t.true(queue.full())

  const refuses = (time: number, options: mp.AcquireSyncOptions) =>
    refusesAfter(t, time, mp.Full, () => put(form, queue, 7, options))
  await refuses(0, { block: false })
  await refuses(0, { block: false, timeout: null })
  await refusesAfter(t, 0, mp.Full, async () => queue.putNowait(7))
  await refuses(82, { block: true, timeout: 82 })
  await refuses(0, { block: false, timeout: 35_000 })
  await refuses(140, { timeout: 140 })

  canStart.set()
  t.true(await wait(form, canContinue))
  t.true(queue.empty())
  t.false(queue.full())
  t.is(await party.ended, 0)
  await closeQueue(form, queue)
})

rowOfBothKinds('_TestQueue.test_get', async (t, { form, start }) => {
  const queue = new mp.Queue()
  const canStart = new mp.Event()
  const canContinue = new mp.Event()
  const party = start(child.putFour, form, queue, canStart, canContinue)
  t.true(queue.empty())
  canStart.set()
  t.true(await wait(form, canContinue))
  t.false(queue.empty())

  t.is(await get(form, queue, { block: true, timeout: null }), 2)
  t.is(await get(form, queue, { block: true }), 3)
  t.is(await get(form, queue, { timeout: 1000 }), 4)
  t.is(queue.getNowait(), 5)
  t.true(queue.empty())

  const refuses = (time: number, options: mp.AcquireSyncOptions) =>
    refusesAfter(t, time, mp.Empty, () => get(form, queue, options))
  await refuses(0, { block: false })
  await refuses(0, { block: false, timeout: null })
  await refusesAfter(t, 0, mp.Empty, async () => queue.getNowait())
  await refuses(82, { block: true, timeout: 82 })
  await refuses(0, { block: false, timeout: 35_000 })
  await refuses(140, { timeout: 140 })
  t.is(await party.ended, 0)
  await closeQueue(form, queue)
})

rowOfBothKinds('_TestQueue.test_fork', async (t, { form, start }) => {
  const queue = new mp.Queue<number | Uint8Array>()
  // What does not fit is brought in by a thread, and the one who is started must have one of its own.
  const large = new Uint8Array(5_000_000).fill(7)
  await put(form, queue, large)
  for (let i = 0; i < 10; i++) await put(form, queue, i)
  const party = start(child.putTen, form, queue)
  const items: unknown[] = []
  for (let i = 0; i < 21; i++) items.push(await get(form, queue))
  const others = items.filter((item) => typeof item !== 'number')
  t.is(others.length, 1)
  t.is(Buffer.compare(others[0] as Uint8Array, large), 0)
  const numbers = items.filter((item) => typeof item === 'number')
  const expected = Array.from({ length: 20 }, (_, i) => i)
  t.deepEqual(
    numbers.toSorted((a, b) => a - b),
    expected,
  )
  // Between two who put in there is no order while one of them still has to wait for room.
  for (const own of [expected.slice(0, 10), expected.slice(10)]) {
    t.deepEqual(
      numbers.filter((item) => own.includes(item)),
      own,
    )
  }
  await t.throwsAsync(() => get(form, queue, { block: false }), { instanceOf: mp.Empty })
  t.is(await party.ended, 0)
  await closeQueue(form, queue)
})

rowOfBothKinds('_TestQueue.test_fork, small items only', async (t, { form, start }) => {
  const queue = new mp.Queue<number>()
  for (let i = 0; i < 10; i++) await put(form, queue, i)
  const party = start(child.putTen, form, queue)
  for (let i = 0; i < 20; i++) t.is(await get(form, queue), i)
  await t.throwsAsync(() => get(form, queue, { block: false }), { instanceOf: mp.Empty })
  t.is(await party.ended, 0)
  await closeQueue(form, queue)
})

rowWithThreadsInBothForms('_TestQueue.test_qsize', async (t, { calls: { form }, api }) => {
  const q = new api.Queue()
  t.is(q.qsize(), 0)
  await put(form, q, 1)
  t.is(q.qsize(), 1)
  await put(form, q, 5)
  t.is(q.qsize(), 2)
  t.is(await get(form, q), 1)
  t.is(q.qsize(), 1)
  t.is(await get(form, q), 5)
  t.is(q.qsize(), 0)
  await closeQueue(form, q)
})

rowOfBothKinds('_TestQueue.test_task_done', async (t, { form, start }) => {
  const queue = new mp.JoinableQueue<number | null>()
  const workers = Array.from({ length: 4 }, () => start(child.doTasks, form, queue))
  for (let i = 0; i < 10; i++) await put(form, queue, i)
  await joinTasks(form, queue)
  t.true(queue.empty())
  t.throws(() => queue.taskDone(), {
    instanceOf: mp.ValueError,
    message: 'task_done() called too many times',
  })
  for (const _ of workers) await put(form, queue, null)
  t.deepEqual(await Promise.all(workers.map(({ ended }) => ended)), [0, 0, 0, 0])
  await closeQueue(form, queue)
})

const duringImport = {
  Promise: ["await q.put('knock knock')", 'await q.get({ timeout: 3000 })'],
  Sync: ["q.putSync('knock knock')", 'q.getSync({ timeout: 3000 })'],
}

/** The URL of a module that uses a queue while it is evaluated. */
const knockingModule = (t: ExecutionContext, form: Form, module: string): string => {
  const entry = pathToFileURL(fileURLToPath(import.meta.resolve(module)))
  const [putting, getting] = duringImport[form]
  const file = join(temporaryFolder(t), 'imported-by-an-imported-module.mjs')
  writeFileSync(
    file,
    [
      `import { Queue } from ${JSON.stringify(entry.href)}`,
      'const q = new Queue()',
      putting,
      `export const got = ${getting}`,
      'q.close()',
    ].join('\n'),
  )
  return pathToFileURL(file).href
}

for (const form of forms) {
  const row = '_TestQueue.test_no_import_lock_contention: while a module is evaluated'
  test.serial(`${row}, ${form} form`, async (t) => {
    const url = knockingModule(t, form, 'node-multiprocessing')
    const { got } = (await import(url)) as { got: unknown }
    t.is(got, 'knock knock')
  })

  test.serial(`${row} [threads], ${form} form`, async (t) => {
    const url = knockingModule(t, form, 'node-multiprocessing/dummy')
    const [reader, writer] = dummy.Pipe(false)
    const p = new dummy.Process({ target: child.sendImported, args: [url, writer] })
    p.start()
    writer.close()
    t.is(await reader.recv(), 'knock knock')
    await p.join()
    t.is(p.exitcode, 0)
    reader.close()
  })
}

rowWithThreadsInBothForms('_TestQueue.test_timeout', async (t, { calls: { form }, api }) => {
  const q = new api.Queue()
  await refusesAfter(t, 200, mp.Empty, () => get(form, q, { block: true, timeout: 200 }))
  await closeQueue(form, q)
})

/** What cannot travel, and knows who has tried. */
class NotSerializable {
  reduceWasCalled = false
  onQueueFeederErrorWasCalled = false
}

register(
  NotSerializable,
  (object) => {
    object.reduceWasCalled = true
    throw new TypeError('not serializable')
  },
  () => new NotSerializable(),
)

rowInBothForms('_TestQueue.test_queue_feeder_donot_stop_onexc', async (t, { calls: { form } }) => {
  for (const maxsize of [0, 1]) {
    const q = new mp.Queue<unknown>(maxsize)
    // It is encoded in `put` itself, so that is where one hears of it.
    await t.throwsAsync(() => put(form, q, new NotSerializable()))
    await put(form, q, true)
    t.is(q.qsize(), 1)
    t.is(q.full(), maxsize === 1)
    t.true(await get(form, q, { timeout: 5000 }))
    t.true(q.empty())
    await closeQueue(form, q)
  }
})

rowInBothForms(
  '_TestQueue.test_queue_feeder_on_queue_feeder_error',
  async (t, { calls: { form } }) => {
    class SafeQueue extends mp.Queue<unknown> {
      static override _onQueueFeederError(error: unknown, item: unknown): void {
        if (error instanceof Error && item instanceof NotSerializable) {
          item.onQueueFeederErrorWasCalled = true
        }
      }
    }
    const item = new NotSerializable()
    const q = new SafeQueue()
    await put(form, q, item)
    await put(form, q, true)
    t.true(await get(form, q, { timeout: 5000 }))
    t.true(item.reduceWasCalled)
    t.true(item.onQueueFeederErrorWasCalled)
    await closeQueue(form, q)
  },
)

/** Both kinds of queue that have a feeder. */
const queues = (): mp.Queue[] => [new mp.Queue(), new mp.JoinableQueue()]

rowWithThreadsInBothForms(
  '_TestQueue.test_closed_queue_empty_exceptions',
  async (t, { calls: { form } }) => {
    for (const q of queues()) {
      q.close()
      await joinThread(form, q)
      t.true(q.empty())
    }
    for (const q of queues()) {
      await put(form, q, 'foo')
      q.close()
      await joinThread(form, q)
      t.throws(() => q.empty(), { instanceOf: mp.OSError, message: /is closed/ })
    }
  },
)

rowWithThreadsInBothForms(
  '_TestQueue.test_closed_queue_put_get_exceptions',
  async (t, { calls: { form } }) => {
    const closed = { instanceOf: mp.ValueError, message: /is closed/ }
    for (const q of queues()) {
      q.close()
      await t.throwsAsync(() => put(form, q, 'foo'), closed)
      await t.throwsAsync(() => get(form, q), closed)
    }
  },
)

row('TestSimpleQueue.test_empty_exceptions', (t) => {
  const q = new mp.SimpleQueue()
  q.close()
  t.throws(() => q.empty(), { instanceOf: mp.OSError, message: /is closed/ })
})

rowInBothForms('TestSimpleQueue.test_empty', async (t, { calls, context }) => {
  const { form } = calls
  const queue = new context.SimpleQueue<boolean>()
  const canStart = new context.Event()
  const canContinue = new context.Event()
  const args = [form, queue, canStart, canContinue] as const
  const p = new context.Process({ target: child.putWhetherEmpty, args, daemon: true })
  p.start()
  t.true(queue.empty())
  canStart.set()
  t.true(await wait(form, canContinue))
  t.false(queue.empty())
  t.true(await get(form, queue))
  t.false(await get(form, queue))
  t.true(queue.empty())
  await calls.join(p)
  t.is(p.exitcode, 0)
  queue.close()
})

row('TestSimpleQueue.test_close', (t) => {
  const queue = new mp.SimpleQueue()
  queue.close()
  t.notThrows(() => queue.close())
})

rowInBothForms(
  'TestSimpleQueue.test_closed: neither end can be used',
  async (t, { calls: { form } }) => {
    const queue = new mp.SimpleQueue()
    await put(form, queue, 1)
    queue.close()
    const closed = { instanceOf: mp.ValueError, message: /is closed/ }
    await t.throwsAsync(() => put(form, queue, 2), closed)
    await t.throwsAsync(() => get(form, queue), closed)
  },
)

rowInBothForms('TestStartMethod.test_nested_startmethod', async (t, { calls, context }) => {
  const { form } = calls
  const queue = new context.Queue<number>()
  const p = new context.Process({ target: child.putTwoAndNestOnce, args: [form, queue] })
  p.start()
  await calls.join(p)
  t.is(p.exitcode, 0)
  const results: number[] = []
  while (!queue.empty()) results.push(await get(form, queue))
  t.deepEqual(results.toSorted(), [1, 2])
  await closeQueue(form, queue)
})

/** Runs the row's child in a program that has closed its standard input. */
const withoutInput = async (t: ExecutionContext, form: Form): Promise<void> => {
  const program = new URL('../fixtures/queue-without-input.js', import.meta.url)
  const { code, stdout, stderr } = await runProgram(program, { args: [form] })
  t.is(stderr, '')
  for (const method of mp.getAllStartMethods()) t.regex(stdout, RegExp(`^${method}: 0$`, 'm'))
  t.is(code, 0)
}

for (const form of forms) {
  test.serial(`TestStdinBadfiledescriptor.test_queue_in_process ${form} form`, (t) =>
    withoutInput(t, form),
  )
}
