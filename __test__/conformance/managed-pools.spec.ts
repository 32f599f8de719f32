import { setTimeout as sleep } from 'node:timers/promises'
import * as mp from 'node-multiprocessing'
import type { PoolProxy } from 'node-multiprocessing/managers'
import * as child from '../fixtures/conformance/pool.js'
import { isCollected } from '../helpers/garbage.js'
import { type GivenManager, managedRow } from '../helpers/managed.js'
import { nothingIsLeftBehind } from '../helpers/row.js'
import { until } from '../helpers/until.js'

nothingIsLeftBehind()

const range = (length: number): number[] => Array.from({ length }, (_, i) => i)
const squares = (length: number): number[] => range(length).map((x) => x * x)
const tuples = range(30).map((x) => [x, 30 - x] as [number, number])
const products = tuples.map(([x, y]) => x * y)

/** A pool of the manager's, which ends before that does. */
const withPool = async (
  { manager, call }: GivenManager,
  size: number,
  use: (pool: PoolProxy) => Promise<void>,
): Promise<void> => {
  const pool: PoolProxy = await call(manager, 'Pool', size)
  try {
    await use(pool)
  } finally {
    await call(pool, 'terminate')
    await call(pool, 'join')
  }
}

/** All that an iterator of a pool gives, in the row's form. */
const allOf = async <T>(
  { calls: { form } }: GivenManager,
  results: Iterable<T> & AsyncIterable<T>,
) => {
  if (form === 'Sync') return [...results]
  const all: T[] = []
  for await (const result of results) all.push(result)
  return all
}

const inOrder = (values: number[]): number[] => values.sort((a, b) => a - b)

managedRow('_TestPool.test_apply', async (t, given) => {
  const { call } = given
  await withPool(given, 2, async (pool) => {
    t.is(await call(pool, 'apply', child.sqr, [5]), 25)
    t.is(await call(pool, 'apply', child.sqr, [5], { wait: 1 }), 25)
  })
})

managedRow('_TestPool.test_map', async (t, given) => {
  const { call } = given
  await withPool(given, 2, async (pool) => {
    t.deepEqual(await call(pool, 'map', child.plainSqr, range(10)), squares(10))
    t.deepEqual(await call(pool, 'map', child.plainSqr, range(100), 20), squares(100))
    t.deepEqual(await call(pool, 'map', child.plainSqr, new Set(range(10))), squares(10))
  })
})

managedRow('_TestPool.test_starmap', async (t, given) => {
  const { call } = given
  await withPool(given, 2, async (pool) => {
    t.deepEqual(await call(pool, 'starmap', child.mul, tuples), products)
    t.deepEqual(await call(pool, 'starmap', child.mul, tuples, 20), products)
  })
})

managedRow('_TestPool.test_starmap_async', async (t, given) => {
  const { call } = given
  await withPool(given, 2, async (pool) => {
    const result = await call(pool, 'starmapAsync', child.mul, tuples)
    t.deepEqual(await call(result, 'get'), products)
  })
})

managedRow('_TestPool.test_map_async', async (t, given) => {
  const { call } = given
  await withPool(given, 2, async (pool) => {
    const result = await call(pool, 'mapAsync', child.plainSqr, range(10))
    t.deepEqual(await call(result, 'get'), squares(10))
  })
})

managedRow('_TestPool.test_map_async_callbacks', async (t, given) => {
  const { call, manager } = given
  const seen = await call(manager, 'list')
  const callback = (value: unknown): unknown => seen.append(value)
  const errorCallback = (error: unknown): unknown => seen.append(error)
  await withPool(given, 1, async (pool) => {
    const options = { callback, errorCallback }
    const good = await call(pool, 'mapAsync', Number.parseFloat, ['1'], options)
    await call(good, 'wait')
    await until('it was called', () => seen.lenSync() === 1)
    t.deepEqual(await call(seen, 'get', 0), [1])
    const bad = await call(pool, 'mapAsync', child.raising, ['1'], options)
    await call(bad, 'wait')
    await until('it was called', () => seen.lenSync() === 2)
    t.true((await call(seen, 'get', 1)) instanceof mp.KeyError)
  })
})

managedRow('_TestPool.test_map_unplicklable', async (t, given) => {
  const { call } = given
  class Unpickleable {
    [Symbol.for('mp.reduce')](): never {
      throw new RangeError('cannot be taken apart')
    }
  }
  await withPool(given, 2, async (pool) => {
    const items = Array(10).fill(new Unpickleable())
    await t.throwsAsync(() => call(pool, 'map', child.identity, items), { instanceOf: Error })
    t.is(await call(pool, 'apply', child.plainSqr, [3]), 9)
  })
})

managedRow('_TestPool.test_map_chunksize', async (t, given) => {
  const { call } = given
  await withPool(given, 2, async (pool) => {
    const result = await call(pool, 'mapAsync', child.sqr, [], { chunksize: 1 })
    t.deepEqual(await call(result, 'get', { timeout: 30_000 }), [])
  })
})

managedRow('_TestPool.test_async', async (t, given) => {
  const { call } = given
  await withPool(given, 2, async (pool) => {
    const late = await call(pool, 'applyAsync', child.sqr, [7], { wait: 60_000 })
    t.false(await call(late, 'ready'))
    await t.throwsAsync(() => call(late, 'successful'), { instanceOf: mp.ValueError })
    const result = await call(pool, 'applyAsync', child.sqr, [7], { wait: 20 })
    t.is(await call(result, 'get'), 49)
    t.true(await call(result, 'ready'))
    t.true(await call(result, 'successful'))
  })
})

managedRow('_TestPool.test_async_timeout', async (t, given) => {
  const { call } = given
  await withPool(given, 2, async (pool) => {
    const late = await call(pool, 'applyAsync', child.sqr, [6], { wait: 60_000 })
    const began = performance.now()
    await t.throwsAsync(() => call(late, 'get', { timeout: 200 }), { instanceOf: mp.TimeoutError })
    const took = performance.now() - began
    t.true(took > 190 && took < 30_000, `it took ${took} ms`)
  })
})

managedRow('_TestPool.test_imap', async (t, given) => {
  const { call } = given
  await withPool(given, 2, async (pool) => {
    const all = await call(pool, 'imap', child.plainSqr, range(10))
    t.deepEqual(await allOf(given, all), squares(10))
    const steps = await call(pool, 'imap', child.plainSqr, range(3))
    for (const value of squares(3)) t.deepEqual(await call(steps, 'next'), { value, done: false })
    t.true((await call(steps, 'next')).done)
    t.true((await call(steps, 'next')).done)
    const chunked = await call(pool, 'imap', child.plainSqr, range(100), 20)
    t.deepEqual(await allOf(given, chunked), squares(100))
  })
})

managedRow('_TestPool.test_imap_unordered', async (t, given) => {
  const { call } = given
  await withPool(given, 2, async (pool) => {
    for (const chunksize of [1, 30]) {
      const results = await call(pool, 'imapUnordered', child.plainSqr, range(100), chunksize)
      t.deepEqual(inOrder(await allOf<number>(given, results)), squares(100))
    }
  })
})

managedRow('_TestPool.test_make_pool', async (t, given) => {
  const { call, manager } = given
  for (const size of [-1, 0]) {
    await t.throwsAsync(() => call(manager, 'Pool', size), { instanceOf: mp.RemoteError })
  }
  await withPool(given, 3, async (pool) => {
    t.regex(String(pool), /state=RUN pool_size=3/)
  })
})

managedRow('_TestPool.test_terminate', async (t, given) => {
  const { call, manager } = given
  const pool: PoolProxy = await call(manager, 'Pool', 3)
  const items = Array(10_000).fill(60_000)
  const result = await call(pool, 'mapAsync', child.waitFor, items, { chunksize: 1 })
  // A worker may have begun, or not.
  await sleep(50)
  await call(pool, 'terminate')
  await call(pool, 'join')
  await t.throwsAsync(() => call(result, 'get'), {
    instanceOf: mp.ValueError,
    message: 'Pool was terminated',
  })
})

managedRow('_TestPool.test_empty_iterable', async (t, given) => {
  const { call } = given
  await withPool(given, 1, async (pool) => {
    t.deepEqual(await call(pool, 'map', child.sqr, []), [])
    t.deepEqual(await allOf(given, await call(pool, 'imap', child.sqr, [])), [])
    t.deepEqual(await allOf(given, await call(pool, 'imapUnordered', child.sqr, [])), [])
    t.deepEqual(await call(await call(pool, 'mapAsync', child.sqr, []), 'get'), [])
    t.deepEqual(await call(pool, 'starmap', child.mul, []), [])
  })
})

managedRow('_TestPool.test_context', async (t, { call, manager }) => {
  let left: PoolProxy
  {
    await using pool: PoolProxy = await call(manager, 'Pool', 2)
    left = pool
    const result = await call(pool, 'mapAsync', child.plainSqr, range(10))
    t.deepEqual(await call(result, 'get'), squares(10))
  }
  await t.throwsAsync(() => call(left, 'mapAsync', child.sqr, range(10)), {
    instanceOf: mp.ValueError,
  })
  await call(left, 'join')
})

managedRow('_TestPool.test_traceback', async (t, given) => {
  const { call } = given
  await withPool(given, 1, async (pool) => {
    const error = await t.throwsAsync(() => call(pool, 'apply', child.throwRuntime), {
      instanceOf: RangeError,
    })
    t.is(error.message, '123')
    t.true(error.cause instanceof mp.RemoteTraceback)
    t.regex(String((error.cause as Error).stack), /throwRuntime/)
  })
})

managedRow('_TestPool.test_wrapped_exception', async (t, given) => {
  const { call } = given
  await withPool(given, 1, async (pool) => {
    await t.throwsAsync(() => call(pool, 'apply', child.raising), { instanceOf: mp.KeyError })
  })
})

managedRow('_TestPool.test_map_no_failfast', async (t, given) => {
  const { call } = given
  await withPool(given, 2, async (pool) => {
    const started = performance.now()
    await t.throwsAsync(() => call(pool, 'map', child.raiseOrWait, [0, 500], 1), {
      instanceOf: mp.ValueError,
    })
    t.true(performance.now() - started > 450, 'all were waited for')
    await call(pool, 'close')
    await call(pool, 'join')
  })
})

managedRow('_TestPool.test_release_task_refs', async (t, given) => {
  const { call } = given
  await withPool(given, 2, async (pool) => {
    const references: WeakRef<object>[] = []
    const map = async (): Promise<void> => {
      const items = range(10).map((number) => ({ number }))
      for (const item of items) references.push(new WeakRef(item))
      const results: object[] = await call(pool, 'map', child.identity, items)
      for (const result of results) references.push(new WeakRef(result))
    }
    await map()
    for (const reference of references) t.true(await isCollected(reference))
  })
})
