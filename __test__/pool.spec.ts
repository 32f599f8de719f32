/** Pools under attack: workers that die, results that cannot travel, calls at the wrong time. */
import test from 'ava'
import * as mp from 'node-multiprocessing'
import { within } from './fixtures/connection-patience.js'
import { ownBusyPool } from './fixtures/pool-owner.js'
import * as tasks from './fixtures/pool-tasks.js'
import { program } from './fixtures/process-programs.js'
import { until } from './helpers/until.js'

const tasksUrl = new URL('./fixtures/pool-tasks.js', import.meta.url).href
const withTasks = `import * as tasks from ${JSON.stringify(tasksUrl)}\n`

const isGone = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return false
  } catch {
    return true
  }
}

test.serial(
  'a worker killed while idle is replaced, and the next call does not see it',
  async (t) => {
    await using pool = new mp.Pool(1)
    const pid = await pool.apply(tasks.workerPid)
    process.kill(pid, 'SIGKILL')
    await until('the worker is gone', () => mp.activeChildren().every((child) => child.pid !== pid))
    t.deepEqual(await within('map', pool.map(tasks.square, [1, 2, 3])), [1, 4, 9])
  },
)

test.serial('a worker killed while idle is replaced before the next blocking call', async (t) => {
  const { stdout, stderr } = await program(
    t,
    `${withTasks}
const pool = new mp.Pool(1)
const pid = pool.applySync(tasks.workerPid)
process.kill(pid, 'SIGKILL')
while (mp.activeChildren().some((child) => child.pid === pid)) await new Promise((r) => setTimeout(r, 5))
console.log(pool.mapSync(tasks.square, [1, 2, 3]).join())
pool.terminate()
`,
  )
  t.is(stdout, '1,4,9\n', stderr)
})

for (const [name, run] of [
  ['is killed', (pool: mp.Pool): Promise<unknown> => pool.apply(tasks.kill)],
  ['exits with 0', (pool: mp.Pool): Promise<unknown> => pool.apply(tasks.exit, [0])],
  ['exits with 7', (pool: mp.Pool): Promise<unknown> => pool.apply(tasks.exit, [7])],
] as const) {
  test.serial(`a worker that ${name} in a task, twenty times in a row`, async (t) => {
    await using pool = new mp.Pool(1)
    for (let i = 0; i < 20; i++) {
      const error = await t.throwsAsync(within('the call', run(pool)), {
        instanceOf: mp.WorkerDiedError,
      })
      t.true(error.pid > 0)
      t.is(error.exitcode, name === 'is killed' ? -9 : name.endsWith('0') ? 0 : 7)
    }
    t.is(await within('the pool still works', pool.apply(tasks.square, [5])), 25)
  })
}

test.serial('one call that kills its worker does not fail the calls of others', async (t) => {
  await using pool = new mp.Pool(2)
  const dying = t.throwsAsync(pool.apply(tasks.kill), { instanceOf: mp.WorkerDiedError })
  const others = Array.from({ length: 20 }, (_, i) => pool.apply(tasks.slowly, [i]))
  await dying
  const results = await within('the others', Promise.allSettled(others))
  t.deepEqual(
    results.map((result) => (result.status === 'fulfilled' ? result.value : String(result.reason))),
    Array.from({ length: 20 }, (_, i) => i),
  )
})

test.serial(
  'a result that cannot travel is a MaybeEncodingError, and the worker lives on',
  async (t) => {
    await using pool = new mp.Pool(1)
    const pid = await pool.apply(tasks.workerPid)
    for (const fn of [tasks.unencodable, tasks.secret, tasks.withThrowingGetter]) {
      const error = await t.throwsAsync(within(fn.name, pool.apply(fn)), {
        instanceOf: mp.MaybeEncodingError,
      })
      t.is(typeof error.exc, 'string')
      t.is(typeof error.value, 'string')
    }
    await t.throwsAsync(within('error', pool.apply(tasks.throwUnencodable)), {
      instanceOf: mp.MaybeEncodingError,
    })
    t.is(await pool.apply(tasks.workerPid), pid)
  },
)

test.serial('what a call throws comes as it was thrown', async (t) => {
  await using pool = new mp.Pool(1)
  const outer = await t.throwsAsync(pool.apply(tasks.throwNested), { instanceOf: TypeError })
  t.is(outer.message, 'outer')
  t.true(outer.cause instanceof RangeError)
  t.is((outer.cause as Error).cause, 'innermost')
  const odd = await t.throwsAsync(pool.map(tasks.throwOdd, [0, 2, 3, 4]), {
    instanceOf: RangeError,
    message: 'odd: 3',
  })
  t.true(odd.cause instanceof mp.RemoteTraceback)
  t.regex(String((odd.cause as Error).stack), /throwOdd/)
  for (const value of ['text', 5, null, undefined, { plain: true }]) {
    const thrown = await pool.apply(tasks.throwPlain, [value]).then(
      () => 'nothing',
      (error) => ({ error }),
    )
    t.deepEqual(thrown, { error: value })
  }
})

test.serial('a SystemExit in a task does not end the pool', async (t) => {
  await using pool = new mp.Pool(1)
  await t.throwsAsync(within('the call', pool.apply(tasks.exitWith, [3])), { instanceOf: Error })
  t.is(await within('the next', pool.apply(tasks.square, [2])), 4)
})

test.serial('arguments that cannot travel fail their call alone, with the path', async (t) => {
  await using pool = new mp.Pool(1)
  const culprit = { conn: { socket: new WeakSet() } }
  const local = (): unknown => culprit
  const refused = { instanceOf: mp.PicklingError, message: /socket/ }
  await t.throwsAsync(within('apply', pool.apply(tasks.identity, [culprit])), refused)
  await t.throwsAsync(within('map', pool.map(tasks.identity, [1, culprit, 3])), refused)
  await t.throwsAsync(within('a function', pool.apply(local)), refused)
  t.is(await within('the next', pool.apply(tasks.identity, [3])), 3)
})

test.serial('arguments that cannot travel fail a blocking call, with the path', async (t) => {
  const { stdout, stderr } = await program(
    t,
    `${withTasks}
const pool = new mp.Pool(1)
const culprit = { conn: { socket: new WeakSet() } }
for (const call of [
  () => pool.applySync(tasks.identity, [culprit]),
  () => pool.mapSync(tasks.identity, [1, culprit, 3]),
  () => pool.applySync(() => culprit),
]) {
  try {
    call()
    console.log('came')
  } catch (error) {
    console.log(error.name)
  }
}
console.log(pool.applySync(tasks.identity, [3]))
pool.terminate()
`,
    { limit: 10_000 },
  )
  t.is(stdout, `${'PicklingError\n'.repeat(3)}3\n`, stderr)
})

test.serial('every wrong argument is refused', async (t) => {
  const wrong = (error: unknown, call: () => unknown): void => {
    t.throws(call, { instanceOf: error as typeof Error })
  }
  for (const count of [0, -1]) wrong(mp.ValueError, () => new mp.Pool(count))
  for (const count of [1.5, Number.NaN, Infinity, '2', 2n, true]) {
    wrong(TypeError, () => new mp.Pool(count as number))
    wrong(TypeError, () => new mp.Pool({ processes: count as number }))
  }
  wrong(TypeError, () => new mp.Pool({ processes: 1, initializer: 5 as never }))
  wrong(TypeError, () => new mp.Pool({ processes: 1, initargs: 5 as never }))
  const local = new WeakMap()
  wrong(mp.PicklingError, () => new mp.Pool({ processes: 1, initializer: () => local }))
  wrong(mp.PicklingError, () => new mp.Pool({ processes: 1, initargs: [local] }))
  await using pool = new mp.Pool(1)
  for (const size of [0, -1]) {
    await t.throwsAsync(pool.map(tasks.square, [1], size), { instanceOf: mp.ValueError })
    wrong(mp.ValueError, () => pool.mapSync(tasks.square, [1], size))
    wrong(mp.ValueError, () => pool.starmapSync(tasks.add, [[1]], size))
  }
  for (const size of [0.5, Number.NaN, Infinity, '1', 1n]) {
    await t.throwsAsync(pool.map(tasks.square, [1], size as number), { instanceOf: TypeError })
    wrong(TypeError, () => pool.mapSync(tasks.square, [1], size as number))
  }
  for (const fn of [null, undefined, 'square', {}]) {
    await t.throwsAsync(pool.map(fn as never, [1]), { instanceOf: TypeError })
    await t.throwsAsync(pool.apply(fn as never), { instanceOf: TypeError })
  }
  for (const list of [null, undefined, 5, {}]) {
    await t.throwsAsync(pool.map(tasks.square, list as never), { instanceOf: TypeError })
    wrong(TypeError, () => pool.mapSync(tasks.square, list as never))
    if (list === undefined) continue
    await t.throwsAsync(pool.starmap(tasks.add, [list as never]), { instanceOf: TypeError })
  }
  t.deepEqual(await pool.map(tasks.square, [3], 1e9), [9])
})

test.serial('nothing in, nothing out; asynchronous and endless inputs', async (t) => {
  await using pool = new mp.Pool(2)
  t.deepEqual(await pool.map(tasks.square, []), [])
  t.deepEqual(pool.mapSync(tasks.square, new Set<number>()), [])
  t.deepEqual(await pool.starmap(tasks.add, []), [])
  const items = async function* (): AsyncGenerator<number> {
    for (let i = 0; i < 5; i++) yield i
  }
  t.deepEqual(await pool.map(tasks.square, items()), [0, 1, 4, 9, 16])
  const failing = async function* (): AsyncGenerator<number> {
    yield 1
    throw new RangeError('no more')
  }
  await t.throwsAsync(pool.map(tasks.square, failing()), { instanceOf: RangeError })
  t.deepEqual(await pool.starmap(tasks.add, [[], [1], [1, 2], new Set([4, 5])]), [0, 1, 3, 9])
})

test.serial('ten thousand tasks, in both forms, in order', async (t) => {
  await using pool = new mp.Pool(2)
  const items = Array.from({ length: 10_000 }, (_, i) => i)
  const squares = items.map((x) => x * x)
  t.deepEqual(await pool.map(tasks.square, items), squares)
  t.deepEqual(await pool.map(tasks.square, items, 1), squares)
  t.deepEqual(pool.mapSync(tasks.square, items, 7), squares)
})

test.serial(
  'states: closed and terminated pools refuse calls, running ones refuse to be joined',
  async (t) => {
    const pool = new mp.Pool(1)
    const running = { instanceOf: mp.ValueError, message: 'Pool is still running' }
    await t.throwsAsync(pool.join(), running)
    t.throws(() => pool.joinSync(), running)
    const last = pool.map(tasks.slowly, [1, 2, 3, 4, 5])
    pool.close()
    pool.close()
    const refused = { instanceOf: mp.ValueError, message: 'Pool not running' }
    await t.throwsAsync(pool.map(tasks.square, [1]), refused)
    await t.throwsAsync(pool.apply(tasks.square, [1]), refused)
    t.throws(() => pool.mapSync(tasks.square, [1]), refused)
    t.deepEqual(await within('what was taken', last), [1, 2, 3, 4, 5])
    await within('join', pool.join())
    await pool.join()
    pool.joinSync()
    const second = new mp.Pool(2)
    const lost = t.throwsAsync(second.apply(tasks.forever), { instanceOf: mp.ValueError })
    second.terminate()
    second.terminate()
    second.close()
    await within('the call fails', lost)
    await within('join', second.join())
    await t.throwsAsync(second.apply(tasks.square, [1]), refused)
  },
)

test.serial('close lets results come that are on their way, joinSync too', async (t) => {
  const pool = new mp.Pool(2)
  const results = pool.map(tasks.slowly, [1, 2, 3, 4, 5, 6], 1)
  pool.close()
  pool.joinSync()
  t.deepEqual(await within('the results', results), [1, 2, 3, 4, 5, 6])
})

for (const [name, source] of [
  ['a large argument', 'pool.applySync(tasks.lengthOf, [new Uint8Array(20e6)])'],
  ['a large plain argument', "pool.applySync(tasks.identity, ['x'.repeat(20e6)]).length"],
  ['a large result', 'pool.applySync(tasks.zeros, [20e6]).length'],
  [
    'many large arguments',
    'pool.mapSync(tasks.lengthOf, Array.from({ length: 20 }, () => new Uint8Array(1e6)).concat(new Uint8Array(0)), 1).reduce((a, b) => a + b)',
  ],
  [
    'large arguments and results',
    "pool.mapSync(tasks.identity, Array.from({ length: 20 }, () => 'x'.repeat(1e6)), 1).reduce((a, b) => a + b.length, 0)",
  ],
]) {
  test.serial(`blocking calls do not lock up: ${name}`, async (t) => {
    const { stdout, stderr } = await program(
      t,
      `${withTasks}
const pool = new mp.Pool(1)
console.log(${source})
pool.terminate()
`,
      { limit: 15_000 },
    )
    t.is(stdout, '20000000\n', stderr)
  })
}

test.serial('an initializer runs in every worker, replacements too', async (t) => {
  await using pool = new mp.Pool({
    processes: 1,
    initializer: tasks.initialize,
    initargs: [1, 'b'],
  })
  t.deepEqual(await pool.apply(tasks.initializedWith), [1, 'b'])
  await t.throwsAsync(pool.apply(tasks.kill), { instanceOf: mp.WorkerDiedError })
  t.deepEqual(await pool.apply(tasks.initializedWith), [1, 'b'])
})

for (const form of ['await pool.map', 'pool.mapSync']) {
  test.serial(
    `an initializer that throws fails the calls, for ever and quietly enough: ${form}`,
    async (t) => {
      const { stdout, stderr, code } = await program(
        t,
        `${withTasks}
const pool = new mp.Pool({ processes: 2, initializer: tasks.failToInitialize })
for (let i = 0; i < 3; i++) {
  try {
    ${form}(tasks.square, [1, 2, 3])
    console.log('came')
  } catch (error) {
    console.log(error.name)
  }
}
pool.close()
await pool.join()
`,
        { limit: 20_000 },
      )
      t.deepEqual([code, stdout], [0, 'WorkerDiedError\n'.repeat(3)], stderr)
      t.regex(stderr, /initializer failed/)
      t.true(stderr.split('initializer failed').length < 20, 'workers are not restarted for ever')
    },
  )
}

test.serial(
  'an initializer that throws does not start workers for ever when nobody calls',
  async (t) => {
    const { code, stderr } = await program(
      t,
      `${withTasks}
const pool = new mp.Pool({ processes: 1, initializer: tasks.failToInitialize })
await new Promise((resolve) => setTimeout(resolve, 2500))
pool.terminate()
await pool.join()
`,
    )
    t.is(code, 0)
    t.true(stderr.split('initializer failed').length < 12, stderr.slice(0, 2000))
  },
)

test.serial('a pool left open lets the program end, with its workers', async (t) => {
  const { code, stdout, stderr } = await program(
    t,
    `${withTasks}
const pool = new mp.Pool(2)
console.log((await pool.map(tasks.square, [1, 2])).join())
pool.apply(tasks.workerPid).then((pid) => process.stdout.write('pid ' + (pid > 0) + '\\n'))
`,
  )
  t.deepEqual([code, stdout], [0, '1,4\npid true\n'], stderr)
})

test.serial('a pool that is busy for ever ends with process.exit', async (t) => {
  const { code } = await program(
    t,
    `${withTasks}
const pool = new mp.Pool(2)
pool.apply(tasks.forever).catch(() => {})
pool.apply(tasks.forever).catch(() => {})
await pool.apply
setTimeout(() => process.exit(4), 300)
`,
  )
  t.is(code, 4)
})

test.serial('workers of a killed process with a busy pool are gone', async (t) => {
  const [reader, writer] = mp.Pipe(false)
  const owner = new mp.Process({ target: ownBusyPool, args: [writer] })
  owner.start()
  writer.close()
  const pids = await within('the pool runs', reader.recv<number[]>())
  owner.kill()
  await owner.join()
  await until('the workers are gone', () => pids.every(isGone))
  t.is(owner.exitcode, -9)
  reader.close()
})

test.serial('results can be asked for, awaited, and waited for in both forms', async (t) => {
  await using pool = new mp.Pool(1)
  const result = pool.applyAsync(tasks.slowly, [5])
  t.false(result.ready())
  t.throws(() => result.successful(), { instanceOf: mp.ValueError, message: /not ready/ })
  await result.wait(1)
  await t.throwsAsync(result.get(1), { instanceOf: mp.TimeoutError })
  const reason = new Error('no patience')
  await t.throwsAsync(result.get({ signal: AbortSignal.abort(reason) }), { is: reason })
  t.is(await result, 5)
  t.is(result.getSync(), 5)
  t.true(result.successful())
  const failed = pool.applyAsync(tasks.throwOdd, [3])
  failed.waitSync()
  t.true(failed.ready())
  t.false(failed.successful())
  t.throws(() => failed.getSync(), { instanceOf: RangeError })
  t.is(await failed.catch(() => 'caught'), 'caught')
  t.is(await failed.finally(() => {}).then(null, () => 'rejected'), 'rejected')
  t.is(String(result), '<AsyncResult>')
})

test.serial('callbacks get the outcome once', async (t) => {
  await using pool = new mp.Pool(2)
  const seen: unknown[] = []
  const callback = (value: unknown): unknown => seen.push(value)
  const errorCallback = (error: unknown): unknown => seen.push((error as Error).name)
  const options = { callback, errorCallback }
  await pool.applyAsync(tasks.square, [3], {}, options)
  await pool.applyAsync(tasks.throwOdd, [3], {}, options).wait()
  await pool.mapAsync(tasks.square, [1, 2], options)
  await pool.starmapAsync(tasks.add, [[1, 2]], { chunksize: 1, ...options })
  t.deepEqual(seen, [9, 'RangeError', [1, 4], [3]])
  t.deepEqual(await pool.mapAsync(tasks.square, [], options).get(), [])
  t.deepEqual(seen.at(-1), [])
})

test.serial('imap takes no more of its input than it may', async (t) => {
  await using pool = new mp.Pool(2)
  let taken = 0
  let ended = false
  const endless = function* (): Generator<number> {
    try {
      for (;;) yield taken++
    } finally {
      ended = true
    }
  }
  const results = pool.imap(tasks.square, endless(), { buffersize: 5 })
  t.true(taken <= 5)
  for (let i = 0; i < 20; i++) {
    t.is((await results.next()).value, i * i)
    t.true(taken <= i + 1 + 5)
  }
  for await (const value of results) if (value >= 900) break
  t.true(ended, 'the input is told')
  t.true((await results.next()).done)
  taken = 0
  for (const value of pool.imapSync(tasks.square, endless(), { buffersize: 3, chunksize: 2 })) {
    if (value >= 100) break
  }
  t.true(taken <= 10 + 1 + 3)
})

test.serial(
  'imap of an input without end takes as it goes, also without a buffersize',
  async (t) => {
    await using pool = new mp.Pool(2)
    const endless = function* (): Generator<number> {
      for (let i = 0; ; i++) yield i
    }
    const results = pool.imap(tasks.square, endless())
    for (let i = 0; i < 100; i++) t.is((await results.next()).value, i * i)
    await results.return()
    t.is(await pool.apply(tasks.square, [3]), 9)
  },
)

test.serial('imap of an asynchronous input', async (t) => {
  await using pool = new mp.Pool(2)
  const input = async function* (): AsyncGenerator<number> {
    for (let i = 0; i < 7; i++) yield i
    throw new RangeError('no more')
  }
  for (const chunksize of [1, 3]) {
    const results = pool.imap(tasks.square, input(), { chunksize })
    for (let i = 0; i < 7; i++) t.is((await results.next()).value, i * i)
    await t.throwsAsync(results.next(), { message: 'no more' })
    t.true((await results.next()).done)
  }
  t.throws(() => pool.imapSync(tasks.square, input() as never), { instanceOf: mp.ValueError })
  const unordered: number[] = []
  const some = async function* (): AsyncGenerator<number> {
    for (let i = 0; i < 5; i++) yield i
  }
  for await (const value of pool.imapUnordered(tasks.square, some())) unordered.push(value)
  t.deepEqual(
    unordered.sort((a, b) => a - b),
    [0, 1, 4, 9, 16],
  )
})

test.serial('what one call of an imap throws takes one place', async (t) => {
  await using pool = new mp.Pool(2)
  const results = pool.imap(tasks.throwOdd, [0, 1, 2, 3, 4])
  const seen: unknown[] = []
  for (;;) {
    const step = await results
      .next()
      .catch((error: Error) => ({ done: false, value: error.message }))
    if (step.done) break
    seen.push(step.value)
  }
  t.deepEqual(seen, [0, 'odd: 1', 2, 'odd: 3', 4])
  const chunked = pool.imap(tasks.throwOdd, [0, 2, 3, 4, 6], 3)
  t.is((await chunked.next()).value, 0)
  t.is((await chunked.next()).value, 2)
  await t.throwsAsync(chunked.next(), { message: 'odd: 3' })
  t.is((await chunked.next()).value, 4)
})

test.serial('next of an imap waits as long as it is told', async (t) => {
  await using pool = new mp.Pool(1)
  const results = pool.imap(tasks.spin, [200])
  await t.throwsAsync(results.next(10), { instanceOf: mp.TimeoutError })
  await t.throwsAsync(results.next({ timeout: 1 }), { instanceOf: mp.TimeoutError })
  t.is((await results.next({ timeout: 30_000 })).value, 200)
  const blocking = pool.imapSync(tasks.spin, [200])
  t.throws(() => blocking.next(10), { instanceOf: mp.TimeoutError })
  t.is(blocking.next({ timeout: 30_000 }).value, 200)
  const three = pool.imap(tasks.square, [1, 2, 3])
  const all = await Promise.all([three.next(), three.next(), three.next(), three.next()])
  t.deepEqual(
    all.map(({ value }) => value),
    [1, 4, 9, undefined],
  )
})

test.serial('typed arrays are cut, wherever they are', async (t) => {
  await using pool = new mp.Pool(2)
  for (const items of [Float64Array.of(1, 2, 3, 4, 5), mp.share(Float64Array.of(1, 2, 3, 4, 5))]) {
    t.deepEqual(await pool.map(tasks.half, items, 2), [0.5, 1, 1.5, 2, 2.5])
    t.deepEqual(pool.mapSync(tasks.half, items), [0.5, 1, 1.5, 2, 2.5])
  }
  t.deepEqual(await pool.map(tasks.big, BigInt64Array.of(3n, -4n), 1), [6n, -8n])
  const large = new Float64Array(200_000).fill(3)
  const halves = await pool.map(tasks.half, large)
  t.is(halves.length, large.length)
  t.true(halves.every((value) => value === 1.5))
})

test.serial('results of a map go into shared memory', async (t) => {
  await using pool = new mp.Pool(2)
  const input = mp.share(Float64Array.from({ length: 1000 }, (_, i) => i))
  const output = mp.share(new Float64Array(1001).fill(-1))
  const returned: unknown = await pool.map(tasks.half, input, { into: output })
  t.is(returned, output)
  t.deepEqual([output[0], output[1], output[999], output[1000]], [0, 0.5, 499.5, -1])
  pool.mapSync(tasks.square, [2, 3], { into: output })
  t.deepEqual([output[0], output[1], output[2]], [4, 9, 1])
  await pool.map(tasks.slowly, [7, 8, 9], { into: output, chunksize: 2 })
  t.deepEqual([...output.subarray(0, 4)], [7, 8, 9, 1.5])
  const refused = { instanceOf: mp.ValueError }
  await t.throwsAsync(pool.map(tasks.half, input, { into: output.subarray(0, 3) }), refused)
  const wrong = { instanceOf: TypeError }
  await t.throwsAsync(pool.map(tasks.half, input, { into: [] as never }), wrong)
  const own = new Float64Array(1000)
  await t.throwsAsync(pool.map(tasks.half, input, { into: own }), {
    instanceOf: mp.ValueError,
    message: /shared memory/,
  })
})

test.serial('progress is told', async (t) => {
  await using pool = new mp.Pool(2)
  const seen: [number, number | undefined][] = []
  const onProgress = (done: number, total: number | undefined): unknown => seen.push([done, total])
  await pool.map(tasks.square, [1, 2, 3, 4, 5], { chunksize: 2, onProgress })
  t.is(seen.length, 3)
  t.deepEqual(seen.at(-1), [5, 5])
  seen.length = 0
  for await (const _ of pool.imap(tasks.square, [1, 2, 3], { onProgress }));
  t.deepEqual(seen, [
    [1, undefined],
    [2, undefined],
    [3, undefined],
  ])
})

test.serial('a bar is shown on a terminal only', async (t) => {
  const { code, stdout, stderr } = await program(
    t,
    `${withTasks}
const pool = new mp.Pool(2)
console.log((await pool.map(tasks.square, [1, 2, 3], { progress: true })).join())
for await (const value of pool.imap(tasks.square, [4], { progress: true })) console.log(value)
pool.terminate()
`,
  )
  t.deepEqual([code, stdout, stderr], [0, '1,4,9\n16\n', ''])
})

test.serial('a worker has several tasks under way that wait', async (t) => {
  await using pool = new mp.Pool({ processes: 1, concurrency: 8 })
  const begun = performance.now()
  const results = await Promise.all(Array.from({ length: 24 }, () => pool.apply(tasks.together)))
  t.is(Math.max(...results), 8)
  t.true(performance.now() - begun < 24 * 30, 'not one after the other')
  t.deepEqual(await pool.map(tasks.square, [1, 2, 3], 1), [1, 4, 9])
  pool.close()
  await within('join', pool.join())
})

test.serial('a pool tells what it does', async (t) => {
  const { channel } = await import('node:diagnostics_channel')
  const seen: string[] = []
  const told: object[] = []
  const listener = (message: unknown, name: string | symbol): void => {
    seen.push(String(name).replace('multiprocessing.pool.', ''))
    told.push(message as object)
  }
  const names = ['worker.started', 'worker.ended', 'task.ended']
  const channels = names.map((name) => channel(`multiprocessing.pool.${name}`))
  for (const each of channels) each.subscribe(listener)
  const pool = new mp.Pool(1)
  t.is(pool.stats().latency, undefined)
  await pool.apply(tasks.square, [3])
  await pool.apply(tasks.throwOdd, [3]).catch(() => {})
  await pool.apply(tasks.spin, [50])
  const stats = pool.stats()
  t.like(stats, { completed: 3, failed: 1, waiting: 0, running: 0, started: 1 })
  t.is(stats.workers.length, 1)
  t.is(stats.workers[0]!.pid, await pool.apply(tasks.workerPid))
  t.true(stats.utilization > 0 && stats.utilization <= 1)
  t.true(stats.latency!.p99 >= 50 && stats.latency!.p50 <= stats.latency!.p99)
  pool.close()
  await pool.join()
  for (const each of channels) each.unsubscribe(listener)
  t.deepEqual(seen, ['worker.started', ...Array(4).fill('task.ended'), 'worker.ended'])
  t.like(told[2], { failed: true, items: 1, fn: tasks.throwOdd })
  t.like(told.at(-1), { exitcode: 0, tasks: 4 })
})

test.serial('every wrong option of a pool and of its calls is refused', async (t) => {
  const wrong = (error: unknown, call: () => unknown): void => {
    t.throws(call, { instanceOf: error as typeof Error })
  }
  for (const value of [0, -1, 0.5, '12', Number.NaN]) {
    wrong(mp.ValueError, () => new mp.Pool({ processes: 1, maxtasksperchild: value as number }))
    wrong(mp.ValueError, () => new mp.Pool({ processes: 1, maxMemoryPerChild: value as number }))
  }
  wrong(mp.ValueError, () => new mp.Pool({ processes: 1, concurrency: 0 }))
  wrong(TypeError, () => new mp.Pool({ processes: 1, concurrency: '2' as never }))
  wrong(mp.ValueError, () => new mp.Pool({ processes: 1, retries: -1 }))
  await using pool = new mp.Pool(1)
  const call = (options: mp.CallOptions) => pool.apply(tasks.square, [1], {}, options)
  await t.throwsAsync(call({ retries: -1 }), { instanceOf: mp.ValueError })
  await t.throwsAsync(call({ retries: 1.5 }), { instanceOf: TypeError })
  await t.throwsAsync(call({ timeout: 'soon' as never }), { instanceOf: TypeError })
  await t.throwsAsync(call({ signal: {} as never }), { instanceOf: TypeError })
  for (const size of [0, -1]) {
    wrong(mp.ValueError, () => pool.imap(tasks.square, [1], size))
    wrong(mp.ValueError, () => pool.imapUnordered(tasks.square, [1], { chunksize: size }))
    wrong(mp.ValueError, () => pool.imap(tasks.square, [1], { buffersize: size }))
    wrong(mp.ValueError, () => pool.mapAsync(tasks.square, [1], size))
  }
  wrong(TypeError, () => pool.imap(null as never, [1]))
  wrong(TypeError, () => pool.imap(tasks.square, 5 as never))
  wrong(TypeError, () => pool.mapAsync(tasks.square, null as never))
  wrong(TypeError, () => pool.imap(tasks.square, [1], { buffersize: '1' as never }))
  t.throws(() => new mp.Queue().putSync(pool), {
    instanceOf: mp.PicklingError,
    message: /pool objects cannot be passed between processes/,
  })
})
