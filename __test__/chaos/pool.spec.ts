/** Everything that can go wrong in a pool does: nothing hangs, nobody is left behind. */
import { setTimeout as sleep } from 'node:timers/promises'
import test from 'ava'
import * as mp from 'node-multiprocessing'
import { within } from '../fixtures/connection-patience.js'
import * as tasks from '../fixtures/pool-tasks.js'
import { program } from '../fixtures/process-programs.js'
import { until } from '../helpers/until.js'
import { underWatchdog } from '../helpers/watchdog.js'

const died = { instanceOf: mp.WorkerDiedError }
const tasksUrl = new URL('../fixtures/pool-tasks.js', import.meta.url).href
const withTasks = `import * as tasks from ${JSON.stringify(tasksUrl)}\n`

test.serial.afterEach('no worker is left', async () => {
  await until('no child is left', () => mp.activeChildren().length === 0)
})

const withPool = (
  options: mp.PoolOptions | number,
  use: (pool: mp.Pool) => Promise<void>,
): Promise<void> =>
  underWatchdog(async () => {
    const pool = new mp.Pool(options)
    try {
      await use(pool)
    } finally {
      pool.terminate()
      await pool.join()
    }
  })

test.serial('workers killed idle, all of them, again and again', async (t) => {
  await withPool(3, async (pool) => {
    for (let round = 0; round < 10; round++) {
      for (const worker of pool.workers) worker.kill()
      t.deepEqual(await pool.map(tasks.square, [1, 2, 3], 1), [1, 4, 9])
    }
  })
})

test.serial('workers killed idle, before a call that blocks', async (t) => {
  await withPool(3, async (pool) => {
    for (let round = 0; round < 10; round++) {
      for (const worker of pool.workers) worker.kill()
      const outcome = await Promise.resolve().then(() => pool.mapSync(tasks.square, [1, 2, 3], 1))
      t.deepEqual(outcome, [1, 4, 9])
    }
  })
})

test.serial('a worker killed in a task fails it, and says what it was', async (t) => {
  await withPool(2, async (pool) => {
    const error = await t.throwsAsync(pool.apply(tasks.kill), died)
    t.like(error, { exitcode: -9, signal: 'SIGKILL', code: 'ERR_WORKER_DIED' })
    t.is(error.task?.fn, tasks.kill)
    const blocking = t.throws(() => pool.applySync(tasks.kill), died)
    t.is(blocking.signal, 'SIGKILL')
    t.deepEqual(await pool.map(tasks.square, [1, 2]), [1, 4])
  })
})

test.serial('a worker that exits in a task fails it', async (t) => {
  await withPool(2, async (pool) => {
    for (const code of [0, 3]) {
      const error = await t.throwsAsync(pool.apply(tasks.exit, [code]), died)
      t.is(error.exitcode, code)
      t.is(error.signal, null)
      t.throws(() => pool.applySync(tasks.exit, [code]), died)
    }
  })
})

test.serial('a worker killed while it writes a large result', async (t) => {
  await withPool(2, async (pool) => {
    for (let round = 0; round < 5; round++) {
      // It may have come to its end before.
      const outcome = await pool.apply(tasks.killWhileSending).then(
        (bytes) => bytes.length,
        (error) => error,
      )
      t.true(outcome === 256e6 || outcome instanceof mp.WorkerDiedError, String(outcome))
      t.is(await pool.apply(tasks.square, [round]), round * round)
    }
  })
})

test.serial(
  'workers killed at random while much is going on: each task is accounted for',
  async (t) => {
    await withPool(3, async (pool) => {
      let stop = false
      const killer = (async () => {
        while (!stop) {
          await sleep(15)
          // On a busy machine nothing would ever be done if those were killed that have only started.
          const able = pool.stats().workers.filter(({ tasks }) => tasks > 0)
          const victim = able[Math.floor(Math.random() * able.length)]
          pool.workers.find(({ pid }) => pid === victim?.pid)?.kill()
        }
      })()
      const calls = Array.from({ length: 30_000 }, (_, i) => pool.apply(tasks.square, [i]))
      const outcomes = await Promise.allSettled(calls)
      stop = true
      await killer
      let lost = 0
      for (const [i, outcome] of outcomes.entries()) {
        if (outcome.status === 'fulfilled') t.is(outcome.value, i * i)
        else if (outcome.reason instanceof mp.WorkerDiedError) lost++
        else throw outcome.reason
      }
      t.true(lost < 1000, `${lost} tasks were lost`)
      const all = Array.from({ length: 30_000 }, (_, i) => i)
      const again = await pool.map(tasks.square, all, { chunksize: 10, retries: 100 })
      t.is(again.length, 30_000)
    })
  },
)

test.serial('tasks of a worker that dies which it had not begun go to others', async (t) => {
  await withPool(1, async (pool) => {
    const counter = mp.share(new Int32Array(1))
    await pool.map(
      tasks.square,
      Array.from({ length: 1000 }, (_, i) => i),
      1,
    )
    const calls = Array.from({ length: 50 }, (_, i) =>
      i === 25 ? pool.apply(tasks.kill) : pool.apply(tasks.count, [counter]),
    )
    const outcomes = await Promise.allSettled(calls)
    const failed = outcomes.flatMap(({ status }, i) => (status === 'rejected' ? [i] : []))
    t.deepEqual(failed, [25])
    t.is(counter[0], 49, 'none was done twice')
  })
})

test.serial('a task is tried again as often as it may', async (t) => {
  await withPool(2, async (pool) => {
    const counter = mp.share(new Int32Array(1))
    const tried = pool.apply(tasks.dieUntil, [counter, 2], {}, { retries: 2 })
    t.is(await tried, 2)
    counter[0] = 0
    await t.throwsAsync(pool.apply(tasks.dieUntil, [counter, 2], {}, { retries: 1 }), died)
    t.is(counter[0], 2)
  })
})

test.serial('what cannot be sent or rebuilt is an error, and the worker lives', async (t) => {
  await withPool(1, async (pool) => {
    const pid = await pool.apply(tasks.workerPid)
    const maybe = { instanceOf: mp.MaybeEncodingError }
    await t.throwsAsync(pool.apply(tasks.unencodable), maybe)
    await t.throwsAsync(pool.apply(tasks.throwUnencodable), maybe)
    t.throws(() => pool.applySync(tasks.unencodable), maybe)
    for (const fn of [tasks.unreadable, tasks.largeUnreadable]) {
      const expected = { instanceOf: mp.UnpicklingError, message: /cannot be rebuilt/ }
      await t.throwsAsync(pool.apply(fn), expected)
      t.throws(() => pool.applySync(fn), expected)
    }
    const argument = t.throwsAsync(pool.apply(tasks.identity, [new tasks.Unreadable()]))
    t.regex((await argument).message, /rebuilt|not to be had/)
    const large = [new Uint8Array(1e6), new tasks.Unreadable()]
    await t.throwsAsync(pool.apply(tasks.identity, [large]))
    t.is(await pool.apply(tasks.workerPid), pid)
  })
})

test.serial('an initializer that throws once is forgiven', async (t) => {
  const flag = mp.share(new Int32Array(1))
  const options = { processes: 2, initializer: tasks.failOnce, initargs: [flag] }
  await withPool(options, async (pool) => {
    t.deepEqual(await pool.map(tasks.square, [1, 2, 3]), [1, 4, 9])
    await until('both are there', () => flag[0]! >= 3)
    t.is(pool.stats().started, 3)
  })
})

test.serial('an initializer that always throws breaks the pool', async (t) => {
  await withPool({ processes: 2, initializer: tasks.throwAlways }, async (pool) => {
    const broken = { instanceOf: mp.WorkerDiedError, message: /the pool is broken/ }
    await t.throwsAsync(pool.map(tasks.square, [1, 2, 3]), broken)
    await t.throwsAsync(pool.apply(tasks.square, [1]), broken)
    t.throws(() => pool.mapSync(tasks.square, [1]), broken)
    t.throws(() => pool.imap(tasks.square, [1]), broken)
    t.true(pool.stats().started <= 5)
  })
})

test.serial('a callback that throws is uncaught, and the pool goes on', async (t) => {
  const { stdout, stderr, code } = await program(
    t,
    `${withTasks}
process.on('uncaughtException', (error) => console.log('uncaught', error.message))
const pool = new mp.Pool(2)
const boom = (what) => () => { throw new Error(what) }
await pool.applyAsync(tasks.square, [2], {}, { callback: boom('callback') }).wait()
await pool.applyAsync(tasks.throwAlways, [], {}, { errorCallback: boom('errorCallback') }).wait()
await pool.map(tasks.square, [1, 2], { chunksize: 2, onProgress: boom('onProgress') })
console.log(pool.applyAsync(tasks.square, [3], {}, { callback: boom('blocking') }).getSync())
console.log(await pool.apply(tasks.square, [4]))
pool.close()
await pool.join()
`,
  )
  t.is(code, 0, stderr)
  const lines = stdout.trim().split('\n')
  for (const line of ['callback', 'errorCallback', 'onProgress', 'blocking']) {
    t.true(lines.includes(`uncaught ${line}`), stdout)
  }
  t.true(lines.includes('9') && lines.includes('16'))
})

test.serial('an error that nobody catches in a worker costs that worker', async (t) => {
  await withPool(1, async (pool) => {
    t.is(await pool.apply(tasks.throwLater), 'returned')
    await until('it is replaced', () => pool.stats().started === 2)
    t.is(await pool.apply(tasks.square, [3]), 9)
  })
})

test.serial('get after terminate fails, in both forms', async (t) => {
  const pool = new mp.Pool(1)
  const results = [pool.applyAsync(tasks.forever), pool.applyAsync(tasks.spinForEver)]
  const one = pool.imap(tasks.slowly, [1, 2, 3])
  pool.terminate()
  const gone = { instanceOf: mp.ValueError, message: 'Pool was terminated' }
  for (const result of results) {
    await within('get', t.throwsAsync(result.get(), gone))
    t.throws(() => result.getSync(), gone)
    t.false(result.successful())
  }
  await within('next', t.throwsAsync(one.next(), gone))
  t.true((await one.next()).done)
  await within('join', pool.join())
})

test.serial('joinSync after terminate ends workers that do not want to', async (t) => {
  const pool = new mp.Pool(2)
  const results = [pool.applyAsync(tasks.spinForEver), pool.applyAsync(tasks.spinForEver)]
  await until('they are at it', () => pool.stats().running === 2)
  pool.terminate()
  pool.joinSync()
  t.is(pool.workers.length, 0)
  for (const result of results) t.false(result.successful())
})

test.serial('a worker whose task has left something open still leaves', async (t) => {
  const pool = new mp.Pool(2)
  await pool.map(tasks.leaveOpen, [1, 2, 3, 4], 1)
  pool.close()
  await within('join', pool.join())
  t.is(pool.workers.length, 0)
})

test.serial(
  'a pool inside a worker of a pool is refused, as a daemon has no children',
  async (t) => {
    await withPool(1, async (pool) => {
      await t.throwsAsync(pool.apply(tasks.makePool), { instanceOf: mp.AssertionError })
      t.is(await pool.apply(tasks.square, [3]), 9)
    })
  },
)

test.serial('two hundred workers', async (t) => {
  await withPool(200, async (pool) => {
    const all = Array.from({ length: 1000 }, (_, i) => i)
    t.deepEqual(
      await pool.map(tasks.square, all, 1),
      all.map((x) => x * x),
    )
    t.is(pool.workers.length, 200)
  })
})

test.serial('a call that takes too long is ended, with its worker, and only that', async (t) => {
  await withPool(2, async (pool) => {
    const late = { instanceOf: mp.TimeoutError }
    const other = pool.applyAsync(tasks.spin, [300])
    await t.throwsAsync(pool.apply(tasks.spinForEver, [], {}, { timeout: 50 }), late)
    t.is(await other, 300)
    t.throws(() => pool.applySync(tasks.spinForEver, [], {}, { timeout: 50 }), late)
    t.is(pool.applySync(tasks.square, [5]), 25)
    const options = { chunksize: 1, timeout: 100 }
    await t.throwsAsync(pool.map(tasks.forever, [1, 2, 3, 4], options), late)
    t.deepEqual(await pool.map(tasks.square, [1, 2, 3]), [1, 4, 9])
  })
})

test.serial('a call that is aborted is ended, with its worker', async (t) => {
  await withPool(1, async (pool) => {
    const controller = new AbortController()
    const running = pool.apply(tasks.spinForEver, [], {}, { signal: controller.signal })
    const waiting = pool.apply(tasks.square, [7])
    const failed = t.throwsAsync(running, { message: 'no longer wanted' })
    await until('it runs', () => pool.stats().running > 0)
    controller.abort(new Error('no longer wanted'))
    await failed
    t.is(await waiting, 49)
    const { signal } = controller
    await t.throwsAsync(pool.apply(tasks.square, [1], {}, { signal }), { message: /no longer/ })
  })
})

test.serial('one slow task does not keep others waiting while workers are idle', async (t) => {
  await withPool(2, async (pool) => {
    await pool.map(
      tasks.square,
      Array.from({ length: 5000 }, (_, i) => i),
      1,
    )
    // The workers take several at a time now.
    const slow = pool.apply(tasks.spin, [3000])
    const quick = Array.from({ length: 64 }, (_, i) => pool.apply(tasks.square, [i]))
    const isDone = slow.then(() => 'slow')
    t.not(await Promise.race([Promise.all(quick), isDone]), 'slow')
    t.is(await slow, 3000)
  })
})

test.serial('a pool is resized while it works', async (t) => {
  await withPool(2, async (pool) => {
    const all = Array.from({ length: 150 }, (_, i) => i)
    const work = pool.map(tasks.slowly, all, 1)
    pool.resize(6)
    t.is(pool.workers.length, 6)
    await sleep(100)
    pool.resize(1)
    t.deepEqual(await work, all)
    await until('one is left', () => pool.workers.length === 1)
    t.is(await pool.apply(tasks.square, [3]), 9)
    pool.resize(3)
    t.deepEqual(await pool.map(tasks.square, [1, 2, 3], 1), [1, 4, 9])
    t.is(pool.workers.length, 3)
    for (const size of [0, -1]) t.throws(() => pool.resize(size), { instanceOf: mp.ValueError })
    t.throws(() => pool.resize(1.5), { instanceOf: TypeError })
  })
})

test.serial('a worker that has grown too large makes room for another', async (t) => {
  await withPool({ processes: 1, maxMemoryPerChild: 250e6 }, async (pool) => {
    const first = await pool.apply(tasks.hog, [1])
    await pool.apply(tasks.hog, [300])
    await until('it is replaced', () => pool.stats().started === 2)
    t.not(await pool.apply(tasks.hog, [1]), first)
  })
})

test.serial('the pool of a killed program is gone', async (t) => {
  const { stdout } = await program(
    t,
    `${withTasks}
const pool = new mp.Pool(2)
pool.apply(tasks.spinForEver).catch(() => {})
pool.apply(tasks.forever).catch(() => {})
const idle = new mp.Pool(1)
await idle.apply(tasks.workerPid)
process.stdout.write('ready\\n', () => process.kill(process.pid, 'SIGKILL'))
`,
    // A program that leaves processes behind is an error.
    { limit: 20_000 },
  )
  t.is(stdout, 'ready\n')
})

for (const [name, use] of [
  ['idle', ''],
  ['busy', 'pool.map(tasks.spin, Array(40).fill(1000), 1).catch(() => {})\n'],
] as const) {
  test.serial(
    `Ctrl-C ends a program and its pool, ${name}, without a word of the workers`,
    async (t) => {
      const { stdout, stderr, signal } = await program(
        t,
        `${withTasks}
const pool = new mp.Pool(8)
await pool.map(tasks.square, [1, 2, 3])
${use}setTimeout(() => pool.terminate(), 60_000)
process.stdout.write('ready\\n', () => setTimeout(() => process.kill(-process.pid, 'SIGINT'), 200))
`,
        { limit: 20_000 },
      )
      t.deepEqual([stdout, stderr, signal], ['ready\n', '', 'SIGINT'])
    },
  )
}

test.serial('a program that listens for Ctrl-C ends its pool in order', async (t) => {
  const { stdout, stderr, code } = await program(
    t,
    `${withTasks}
const pool = new mp.Pool(4)
const work = pool.map(tasks.slowly, Array.from({ length: 40 }, (_, i) => i), 1)
process.on('SIGINT', async () => {
  pool.close()
  console.log((await work).length)
  await pool.join()
  console.log('in order')
})
setTimeout(() => process.kill(-process.pid, 'SIGINT'), 60)
`,
    { limit: 20_000 },
  )
  t.deepEqual([code, stdout, stderr], [0, '40\nin order\n', ''])
})
