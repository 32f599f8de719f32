import { setTimeout as sleep } from 'node:timers/promises'
import * as mp from 'node-multiprocessing'
import * as child from '../fixtures/conformance/pool.js'
import { program } from '../fixtures/process-programs.js'
import { isCollected } from '../helpers/garbage.js'
import { nothingIsLeftBehind, row, rowWithThreads } from '../helpers/row.js'
import { until } from '../helpers/until.js'

nothingIsLeftBehind()

type Context = ReturnType<typeof mp.getContext>
type Pool = InstanceType<Context['Pool']>

class SayWhenError extends mp.ValueError {}

/** Counts down, and throws when it comes to a number. */
function* exceptionThrowing(total: number, when: number): Generator<number> {
  if (when === -1) throw new SayWhenError('Somebody said when')
  for (let i = 0; i < total; i++) {
    if (i === when) throw new SayWhenError('Somebody said when')
    yield i
  }
}

const range = (length: number): number[] => Array.from({ length }, (_, i) => i)
const squares = (length: number): number[] => range(length).map((x) => x * x)

const withPool = async (
  { Pool: Type }: Context,
  size: number,
  use: (pool: Pool) => Promise<void> | void,
): Promise<void> => {
  const pool = new Type(size)
  try {
    await use(pool)
  } finally {
    pool.terminate()
    await pool.join()
  }
}

rowWithThreads('_TestPool.test_apply', async (t, { context }) => {
  await withPool(context, 4, async (pool) => {
    t.is(await pool.apply(child.sqr, [5]), await child.sqr(5))
    t.is(await pool.apply(child.sqr, [5], { wait: 1 }), 25)
    t.is(pool.applySync(child.sqr, [5], { wait: 1 }), 25)
  })
})

rowWithThreads('_TestPool.test_map', async (t, { context }) => {
  await withPool(context, 4, async (pool) => {
    t.deepEqual(await pool.map(child.plainSqr, range(10)), squares(10))
    t.deepEqual(await pool.map(child.plainSqr, range(100), 20), squares(100))
    t.deepEqual(pool.mapSync(child.plainSqr, range(10)), squares(10))
    t.deepEqual(pool.mapSync(child.plainSqr, range(100), { chunksize: 20 }), squares(100))
  })
})

const tuples = range(100).map((x) => [x, 100 - x] as [number, number])
const products = tuples.map(([x, y]) => x * y)

rowWithThreads('_TestPool.test_starmap', async (t, { context }) => {
  await withPool(context, 4, async (pool) => {
    t.deepEqual(await pool.starmap(child.mul, tuples), products)
    t.deepEqual(await pool.starmap(child.mul, tuples, 20), products)
    t.deepEqual(pool.starmapSync(child.mul, tuples, 20), products)
  })
})

rowWithThreads('_TestPool.test_starmap_async', async (t, { context }) => {
  await withPool(context, 4, async (pool) => {
    t.deepEqual(await pool.starmapAsync(child.mul, tuples).get(), products)
    t.deepEqual(pool.starmapAsync(child.mul, tuples).getSync(), products)
  })
})

rowWithThreads('_TestPool.test_map_async', async (t, { context }) => {
  await withPool(context, 4, async (pool) => {
    t.deepEqual(await pool.mapAsync(child.plainSqr, range(10)).get(), squares(10))
    t.deepEqual(pool.mapAsync(child.plainSqr, range(10)).getSync(), squares(10))
  })
})

rowWithThreads('_TestPool.test_map_async_callbacks', async (t, { context }) => {
  await withPool(context, 1, async (pool) => {
    const seen: unknown[] = []
    const callback = (value: unknown): unknown => seen.push(value)
    const errorCallback = (error: unknown): unknown => seen.push(error)
    await pool.mapAsync(Number.parseFloat, ['1'], { callback, errorCallback }).wait()
    t.deepEqual(seen, [[1]])
    await pool.mapAsync(child.raising, ['1'], { callback, errorCallback }).wait()
    t.is(seen.length, 2)
    t.true(seen[1] instanceof mp.KeyError)
    pool.mapAsync(child.raising, ['1'], { callback, errorCallback }).waitSync()
    t.is(seen.length, 3)
  })
})

row('_TestPool.test_map_unplicklable', async (t, { context }) => {
  class Unpickleable {
    [Symbol.for('mp.reduce')](): never {
      throw new RangeError('cannot be taken apart')
    }
  }
  await withPool(context, 2, async (pool) => {
    const items = Array(10).fill(new Unpickleable())
    await t.throwsAsync(pool.map(child.identity, items), { instanceOf: Error })
    t.throws(() => pool.mapSync(child.identity, items), { instanceOf: Error })
    t.is(await pool.apply(child.plainSqr, [3]), 9)
  })
})

rowWithThreads('_TestPool.test_map_chunksize', async (t, { context }) => {
  await withPool(context, 2, async (pool) => {
    t.deepEqual(await pool.mapAsync(child.sqr, [], { chunksize: 1 }).get({ timeout: 30_000 }), [])
    t.deepEqual(pool.mapAsync(child.sqr, [], 1).getSync(30_000), [])
  })
})

rowWithThreads('_TestPool.test_map_handle_iterable_exception', async (t, { context }) => {
  const said = { instanceOf: SayWhenError }
  await withPool(context, 2, async (pool) => {
    await t.throwsAsync(pool.map(child.sqr, exceptionThrowing(1, -1), 1), said)
    await t.throwsAsync(pool.map(child.sqr, exceptionThrowing(10, 3), 1), said)
    t.throws(() => pool.mapSync(child.sqr, exceptionThrowing(1, -1), 1), said)
    t.deepEqual(await pool.map(child.plainSqr, range(3)), squares(3))
  })
})

rowWithThreads('_TestPool.test_async', async (t, { context }) => {
  await withPool(context, 2, async (pool) => {
    const result = pool.applyAsync(child.sqr, [7], { wait: 20 })
    t.false(result.ready())
    t.throws(() => result.successful(), { instanceOf: mp.ValueError })
    t.is(await result.get(), 49)
    t.true(result.ready())
    t.true(result.successful())
    t.is(await result, 49)
  })
})

rowWithThreads('_TestPool.test_async_timeout', async (t, { context }) => {
  await withPool(context, 2, async (pool) => {
    const late = pool.applyAsync(child.sqr, [6], { wait: 60_000 })
    await t.throwsAsync(late.get({ timeout: 20 }), { instanceOf: mp.TimeoutError })
    t.throws(() => late.getSync(20), { instanceOf: mp.TimeoutError })
  })
})

rowWithThreads('_TestPool.test_imap', async (t, { context }) => {
  await withPool(context, 2, async (pool) => {
    const all: number[] = []
    for await (const value of pool.imap(child.plainSqr, range(10))) all.push(value)
    t.deepEqual(all, squares(10))
    const iterator = pool.imap(child.plainSqr, range(10))
    for (const value of squares(10)) t.deepEqual(await iterator.next(), { value, done: false })
    t.true((await iterator.next()).done)
    t.true((await iterator.next()).done)
    const chunked = pool.imapSync(child.plainSqr, range(1000), 100)
    t.deepEqual([...chunked], squares(1000))
    t.true(chunked.next().done)
  })
})

rowWithThreads('_TestPool.test_imap_handle_iterable_exception', async (t, { context }) => {
  const said = { instanceOf: SayWhenError }
  await withPool(context, 2, async (pool) => {
    const first = pool.imap(child.sqr, exceptionThrowing(1, -1), 1)
    await t.throwsAsync(first.next(), said)
    for (const chunksize of [1, 2, 4]) {
      const iterator = pool.imap(child.plainSqr, exceptionThrowing(20, 7), chunksize)
      for (let i = 0; i < 7; i++) t.is((await iterator.next()).value, i * i)
      await t.throwsAsync(iterator.next(), said)
    }
    const blocking = pool.imapSync(child.plainSqr, exceptionThrowing(10, 3))
    for (let i = 0; i < 3; i++) t.is(blocking.next().value, i * i)
    t.throws(() => blocking.next(), said)
  })
})

rowWithThreads('_TestPool.test_imap_unordered', async (t, { context }) => {
  await withPool(context, 2, async (pool) => {
    for (const chunksize of [1, 100]) {
      const all: number[] = []
      const results = pool.imapUnordered(child.plainSqr, range(420), { chunksize })
      for await (const value of results) all.push(value)
      t.deepEqual(
        all.sort((a, b) => a - b),
        squares(420),
      )
    }
    const blocking = [...pool.imapUnorderedSync(child.plainSqr, range(10))]
    t.deepEqual(
      blocking.sort((a, b) => a - b),
      squares(10),
    )
  })
})

rowWithThreads(
  '_TestPool.test_imap_unordered_handle_iterable_exception',
  async (t, { context }) => {
    const said = { instanceOf: SayWhenError }
    await withPool(context, 2, async (pool) => {
      await t.throwsAsync(pool.imapUnordered(child.sqr, exceptionThrowing(1, -1)).next(), said)
      for (const chunksize of [1, 2]) {
        const expected = squares(10)
        const iterator = pool.imapUnordered(child.plainSqr, exceptionThrowing(10, 3), chunksize)
        await t.throwsAsync(async () => {
          for await (const value of iterator) {
            t.true(expected.includes(value))
            expected.splice(expected.indexOf(value), 1)
          }
        }, said)
      }
    })
  },
)

rowWithThreads('_TestPool.test_make_pool', async (t, { context }) => {
  t.throws(() => new context.Pool(-1), { instanceOf: mp.ValueError })
  t.throws(() => new context.Pool(0), { instanceOf: mp.ValueError })
  const pool = new context.Pool(3)
  t.is(pool.workers.length, 3)
  t.is(String(pool), `<multiprocessing.pool.${context.Pool.name} state=RUN pool_size=3>`)
  pool.close()
  await pool.join()
})

rowWithThreads('_TestPool.test_terminate', async (t, { context }) => {
  const pool = new context.Pool(3)
  const result = pool.mapAsync(child.waitFor, Array(10_000).fill(60_000), { chunksize: 1 })
  // A worker may have begun, or not.
  await sleep(50)
  pool.terminate()
  await pool.join()
  await t.throwsAsync(result.get(), { instanceOf: mp.ValueError, message: 'Pool was terminated' })
})

rowWithThreads('_TestPool.test_empty_iterable', async (t, { context }) => {
  const pool = new context.Pool(1)
  t.deepEqual(await pool.map(child.sqr, []), [])
  t.deepEqual([...pool.imapSync(child.sqr, [])], [])
  t.deepEqual([...pool.imapUnorderedSync(child.sqr, [])], [])
  t.true((await pool.imap(child.sqr, []).next()).done)
  t.deepEqual(await pool.mapAsync(child.sqr, []).get(), [])
  t.deepEqual(await pool.starmap(child.mul, []), [])
  pool.close()
  await pool.join()
})

rowWithThreads('_TestPool.test_context', async (t, { context }) => {
  let left: Pool
  {
    await using pool = new context.Pool(2)
    left = pool
    const result = pool.mapAsync(child.plainSqr, range(10))
    t.deepEqual(await result.get(), squares(10))
  }
  t.throws(() => left.mapAsync(child.sqr, range(10)), { instanceOf: mp.ValueError })
})

rowWithThreads('_TestPool.test_traceback', async (t, { context }) => {
  await withPool(context, 1, async (pool) => {
    const error = await t.throwsAsync(pool.apply(child.throwRuntime), { instanceOf: RangeError })
    t.is(error.message, '123')
    t.true(error.cause instanceof mp.RemoteTraceback)
    t.regex(String((error.cause as Error).stack), /throwRuntime/)
    t.regex(String((error.cause as Error).stack), /fixtures\/conformance\/pool\.[jt]s/)
    const said = await t.throwsAsync(pool.map(child.sqr, exceptionThrowing(1, -1), 1), {
      instanceOf: SayWhenError,
    })
    t.is(said.cause, undefined)
  })
})

rowWithThreads('_TestPool.test_wrapped_exception', async (t, { context }) => {
  await withPool(context, 1, async (pool) => {
    await t.throwsAsync(pool.apply(child.raising), { instanceOf: mp.KeyError })
    t.throws(() => pool.applySync(child.raising), { instanceOf: mp.KeyError })
  })
})

rowWithThreads('_TestPool.test_map_no_failfast', async (t, { context }) => {
  const started = performance.now()
  await withPool(context, 2, async (pool) => {
    await t.throwsAsync(pool.map(child.raiseOrWait, [0, 500], 1), { instanceOf: mp.ValueError })
    t.true(performance.now() - started > 450, 'all were waited for')
    pool.close()
    await pool.join()
  })
})

rowWithThreads('_TestPool.test_release_task_refs', async (t, { context }) => {
  await withPool(context, 2, async (pool) => {
    const references: WeakRef<object>[] = []
    const call = async (): Promise<void> => {
      const items = range(10).map((number) => ({ number }))
      for (const item of items) references.push(new WeakRef(item))
      const results = await pool.map(child.identity, items)
      for (const result of results) references.push(new WeakRef(result))
    }
    await call()
    for (const reference of references) t.true(await isCollected(reference))
  })
})

rowWithThreads('_TestPool.test_enter', async (t, { context }) => {
  const pool = new context.Pool(1)
  {
    await using entered = pool
    t.is(entered, pool)
  }
  await t.throwsAsync(
    async () => {
      await using entered = pool
      t.fail(`${entered}`)
    },
    { instanceOf: mp.ValueError },
  )
  await pool.join()
})

rowWithThreads('_TestPool.test_resource_warning', async (t, { context }) => {
  const warnings: Error[] = []
  const listen = (warning: Error): unknown => warnings.push(warning)
  process.on('warning', listen)
  t.teardown(() => process.off('warning', listen))
  const closed = new context.Pool(1)
  closed.close()
  await closed.join()
  const make = (): WeakRef<object> => new WeakRef(new context.Pool(1))
  t.true(await isCollected(make()))
  await until('there is a warning', () => warnings.length > 0)
  t.deepEqual(
    warnings.map(({ name, message }) => [name, message]),
    [['ResourceWarning', 'unclosed running multiprocessing pool']],
  )
  await until('its worker has ended', () => context.activeChildren().length === 0)
})

row('_TestPoolWorkerErrors.test_async_error_callback', async (t, { context }) => {
  const pool = new context.Pool(2)
  const scratchpad: unknown[] = []
  const errorCallback = (error: unknown): unknown => scratchpad.push(error)
  const result = pool.applyAsync(child.raising, [], {}, { errorCallback })
  await t.throwsAsync(result.get(), { instanceOf: mp.KeyError })
  t.is(scratchpad.length, 1)
  t.true(scratchpad[0] instanceof mp.KeyError)
  pool.close()
  await pool.join()
})

row('_TestPoolWorkerErrors.test_unpickleable_result', async (t, { context }) => {
  const pool = new context.Pool(2)
  for (let i = 0; i < 20; i++) {
    const scratchpad: unknown[] = []
    const errorCallback = (error: unknown): unknown => scratchpad.push(error)
    const result = pool.applyAsync(child.unpickleable, [], {}, { errorCallback })
    const error = await t.throwsAsync(result.get(), { instanceOf: mp.MaybeEncodingError })
    t.is(scratchpad[0], error)
    t.truthy(error.exc)
    t.truthy(error.value)
  }
  t.is(pool.stats().started, 2)
  pool.close()
  await pool.join()
})

row('_TestPoolWorkerLifetime.test_pool_worker_lifetime', async (t, { context }) => {
  const pool = new context.Pool({ processes: 3, maxtasksperchild: 10 })
  t.is(pool.workers.length, 3)
  const before = pool.workers.map((worker) => worker.pid)
  const results = range(100).map((i) => pool.applyAsync(child.plainSqr, [i]))
  for (const [i, result] of results.entries()) t.is(await result.get(), i * i)
  await until('all workers are others, and alive', () => {
    const now = pool.workers.map((worker) => worker.pid)
    const areOthers = now.length === 3 && now.every((pid) => !before.includes(pid))
    return areOthers && pool.workers.every((worker) => worker.isAlive())
  })
  t.is(pool.workers.length, 3)
  pool.close()
  await pool.join()
})

row('_TestPoolWorkerLifetime.test_pool_worker_lifetime_early_close', async (t, { context }) => {
  const pool = new context.Pool({ processes: 3, maxtasksperchild: 1 })
  const results = range(6).map((i) => pool.applyAsync(child.sqr, [i], { wait: 100 }))
  pool.close()
  await pool.join()
  for (const [i, result] of results.entries()) t.is(await result.get(), i * i)
})

row('_TestPoolWorkerLifetime.test_pool_maxtasksperchild_invalid', (t, { context }) => {
  for (const value of [0, -1, 0.5, '12']) {
    t.throws(() => new context.Pool({ processes: 3, maxtasksperchild: value as number }), {
      instanceOf: mp.ValueError,
    })
  }
})

row(
  '_TestPoolWorkerLifetime.test_worker_finalization_via_atexit_handler_of_multiprocessing',
  async (t, { method }) => {
    const { code, stdout, stderr } = await program(
      t,
      `
const pool = new (mp.getContext(${JSON.stringify(method)}).Pool)(1)
globalThis.problem = pool
const lived = await pool.map((x) => x, [1, 2, 3])
console.log(lived.join())
`,
    )
    t.deepEqual([code, stdout], [0, '1,2,3\n'], stderr)
  },
)

row('TestInitializers.test_pool_initializer', async (t, { context }) => {
  t.throws(() => new context.Pool({ processes: 1, initializer: 1 as never }), {
    instanceOf: TypeError,
  })
  const counter = new mp.Value('i', 0)
  const pool = new context.Pool({ processes: 1, initializer: child.setUp, initargs: [counter] })
  await pool.apply(child.nothing)
  pool.close()
  await pool.join()
  t.is(counter.value, 1)
})

row('TestPoolNotLeakOnFailure.test_release_unused_processes', (t, { context }) => {
  const { forked } = child.FailingProcess
  forked.length = 0
  t.throws(() => new mp.Pool({ processes: 10, context: { Process: child.FailingProcess } }), {
    instanceOf: mp.OSError,
    message: 'Manually induced OSError',
  })
  t.is(forked.length, child.FailingProcess.willFailIn)
  t.true(forked.every((process_) => !process_.isAlive()))
  t.is(context.activeChildren().length, 0)
})

row('MiscTestCase.test_large_pool', async (t, { context, method }) => {
  // A spawned node has some 40 MB to itself; a copy of this process, with all that ava has loaded, takes long.
  const workers = method === 'spawn' ? 12 : method === 'fork' ? 50 : 200
  await withPool(context, workers, async (pool) => {
    t.deepEqual(await pool.map(child.plainSqr, range(1000)), squares(1000))
  })
})
