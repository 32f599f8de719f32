/** Threads with the interface of processes. */
import test, { type ExecutionContext } from 'ava'
import * as mp from 'node-multiprocessing'
import * as connections from 'node-multiprocessing/connection'
import * as dummy from 'node-multiprocessing/dummy'
import { packageUrl, program, write } from './fixtures/process-programs.js'
import * as thread from './fixtures/threads.js'
import { FORK_OPTIONS } from './helpers/fork-options.js'
import { isCollected } from './helpers/garbage.js'
import { leftBehindSince, resourcesOf } from './helpers/resources.js'
import { underWatchdog } from './helpers/watchdog.js'

const { SIGKILL, SIGTERM } = { SIGKILL: 9, SIGTERM: 15 }

/** Registers a test that is killed when it hangs, and that leaves no thread. */
const check = (title: string, run: (t: ExecutionContext) => Promise<void> | void): void => {
  test.serial(title, (t) =>
    underWatchdog(async () => {
      try {
        await run(t)
      } finally {
        const left = dummy.activeChildren()
        for (const p of left) p.terminate()
        for (const p of left) p.joinSync()
        t.deepEqual(left.map(String), [])
      }
    }),
  )
}

const header = `import * as dummy from ${JSON.stringify(packageUrl('node-multiprocessing/dummy'))}\n`

/** Runs a program with `dummy`, and says what it printed. */
const prints = (title: string, source: string, stdout: string, options = {}): void => {
  test(title, async (t) => {
    const outcome = await program(t, header + source, options)
    t.deepEqual([outcome.code, outcome.stdout], [0, stdout], outcome.stderr)
  })
}

check('a thread knows who it is', async (t) => {
  const [reader, writer] = dummy.Pipe(false)
  const p = new dummy.Process({ target: thread.describe, args: [writer], daemon: true })
  t.is(p.ident, null)
  t.is(p.pid, null)
  t.is(p.exitcode, null)
  t.throws(() => p.sentinel, { instanceOf: mp.ValueError, message: 'process not started' })
  t.regex(String(p), /^<DummyProcess\(DummyProcess-\d+, initial daemon\)>$/)
  p.start()
  t.is(String(p), `<DummyProcess(${p.name}, started daemon ${p.ident})>`)
  t.is(p.pid, process.pid)
  t.deepEqual(await reader.recv(), {
    name: p.name,
    isThread: true,
    ident: p.ident,
    pid: process.pid,
    daemon: true,
    isAlive: true,
    process: 'MainProcess',
    isMainProcess: false,
    parent: undefined,
    authkey: Buffer.from(mp.currentProcess().authkey).toString('hex'),
    children: 0,
    startMethod: mp.getStartMethod({ allowNone: true }),
  })
  await p.join()
  t.is(String(p), `<DummyProcess(${p.name}, stopped daemon ${p.ident})>`)
  const { name } = p
  p.close()
  t.is(String(p), `<DummyProcess(${name}, closed)>`)
  t.throws(() => p.isAlive(), { message: 'process object is closed' })
  t.is(dummy.currentProcess(), mp.currentProcess())
  reader.close()
  writer.close()
})

check('a thread is waited for: with and without the event loop, in time and in vain', async (t) => {
  const [ours, theirs] = dummy.Pipe()
  const p = new dummy.Process({ target: thread.stay, args: [theirs, 'loop'] })
  t.throws(() => p.joinSync(), { message: 'can only join a started process' })
  t.throws(() => p.terminate(), { message: 'can only signal a started process' })
  p.start()
  t.throws(() => p.start(), { message: 'cannot start a process twice' })
  t.is(ours.recvSync(), 'there')
  t.deepEqual(connections.waitSync([p.sentinel], { timeout: 0 }), [])
  for (const timeout of [0, -1, 20]) {
    p.joinSync(timeout)
    await p.join(timeout)
    t.true(p.isAlive())
    t.is(p.exitcode, null)
  }
  const reason = new Error('enough')
  await t.throwsAsync(p.join({ signal: AbortSignal.abort(reason) }), { is: reason })
  const soon = new AbortController()
  setTimeout(() => soon.abort(reason), 20)
  await t.throwsAsync(p.join({ signal: soon.signal }), { is: reason })
  t.throws(() => p.close(), { instanceOf: mp.ValueError })
  t.throws(() => p.interrupt(), { instanceOf: mp.NotImplementedError })
  t.true(dummy.activeChildren().includes(p))
  t.false(mp.activeChildren().includes(p))

  const waiting = connections.wait([p.sentinel], { timeout: 20_000 })
  p.terminate()
  t.deepEqual(await waiting, [p.sentinel])
  t.is(p.exitcode, -SIGTERM)
  p.joinSync()
  p.terminate()
  t.is(p.exitcode, -SIGTERM, 'how it ended is how it ended')
  ours.close()
  theirs.close()
})

for (const [name, target, ...args] of [
  ['waits in its event loop', thread.stay, 'loop'],
  ['computes', thread.stay, 'call'],
  ['blocks in a Sync form', thread.blockForEver],
] as [string, (...args: any[]) => unknown, ...string[]][]) {
  check(`a thread that ${name} can be ended without the event loop`, (t) => {
    const [ours, theirs] = dummy.Pipe()
    const p = new dummy.Process({ target, args: [theirs, ...args] })
    p.start()
    t.is(ours.recvSync(), 'there')
    p.kill()
    p.joinSync()
    t.is(p.exitcode, -SIGKILL)
    ours.close()
    theirs.close()
  })
}

check('a thread that is ended before it has begun', async (t) => {
  for (const wait of [0, 1, 5, 15, 30]) {
    const p = new dummy.Process({ target: () => {} })
    p.start()
    p.joinSync(wait)
    p.terminate()
    p.joinSync()
    t.true([0, -SIGTERM].includes(p.exitcode ?? 1), `${p.exitcode}`)
  }
})

check('what a thread held when it was ended is given on', async (t) => {
  const lock = new dummy.Lock()
  const [ours, theirs] = dummy.Pipe()
  const p = new dummy.Process({ target: thread.holdForEver, args: [lock, theirs] })
  p.start()
  t.is(ours.recvSync(), 'there')
  t.is(String(lock), '<Lock(owner=SomeOtherThread)>')
  t.false(lock.acquireSync({ block: false }))
  p.terminate()
  p.joinSync()
  t.true(lock.acquireSync({ timeout: 20_000 }))
  t.true(lock.abandoned)
  lock.release()
  ours.close()
  theirs.close()
})

check('what can be shared is shared', async (t) => {
  const lock = new dummy.Lock()
  const queue = new dummy.Queue<unknown>()
  const event = new dummy.Event()
  const value = new dummy.Value('i', 41)
  const array = new dummy.Array('d', [1, 2, 3])
  const p = new dummy.Process({ target: thread.useAll, args: [lock, queue, event, value, array] })
  p.start()
  t.true(event.waitSync(20_000))
  t.is(queue.getSync(), 'from the thread')
  t.is(value.value, 42)
  t.deepEqual([...array], [1, 7, 3])
  p.joinSync()
  t.is(p.exitcode, 0)
  queue.close()
})

check('a function by value brings what it captures', async (t) => {
  const [reader, writer] = dummy.Pipe(false)
  const base = 40
  const p = new dummy.Process({
    target: (connection: mp.Connection, added: number) => connection.sendSync(base + added),
    args: [writer, 2],
  })
  p.start()
  p.joinSync()
  t.is(reader.recvSync(), 42)
  reader.close()
  writer.close()
})

check('what cannot travel is an error of start, and nothing is left', async (t) => {
  const before = resourcesOf()
  const p = new dummy.Process({ target: thread.describe, args: [new WeakMap()] })
  t.throws(() => p.start(), { instanceOf: mp.PicklingError, message: /args\[0\]/ })
  t.false(p.isAlive())
  t.deepEqual((await leftBehindSince(before)).descriptors, [])
})

check('a subclass runs its own run()', async (t) => {
  const [reader, writer] = dummy.Pipe(false)
  const p = new thread.Adder(writer, [1, 2, 3])
  p.start()
  t.deepEqual(await reader.recv(), ['adder', 'Adder', true, 6])
  await p.join()
  t.is(p.exitcode, 0)
  t.regex(String(p), /^<Adder\(adder, stopped \d+\)>$/)
  reader.close()
  writer.close()
})

check('threads have threads and processes of their own', async (t) => {
  const [reader, writer] = dummy.Pipe(false)
  const p = new dummy.Process({ target: thread.startBoth, args: [writer], daemon: true })
  p.start()
  const inThread = await reader.recv<{ name: string; process: string; isThread: boolean }>()
  t.is(inThread.name, `${p.name}:1`)
  t.like(inThread, { process: 'MainProcess', isThread: true, daemon: true })
  const inChild = await reader.recv<{ name: string; isThread: boolean; parent: unknown }>()
  t.like(inChild, {
    process: 'SpawnProcess-1',
    isThread: false,
    daemon: false,
    isMainProcess: false,
  })
  t.deepEqual(await reader.recv(), [0, 0])
  await p.join()
  reader.close()
  writer.close()
})

check('a spawned process has threads; a forked one says that it can have none', async (t) => {
  for (const method of mp.getAllStartMethods()) {
    const [reader, writer] = dummy.Pipe(false)
    const { Process } = mp.getContext(method)
    const p = new Process({ target: thread.tryThread, args: [writer] })
    p.start()
    const said = await reader.recv<unknown>()
    if (method === 'spawn') t.is(said, 'started')
    else {
      const [error, exitcode, threads] = said as [string, null, number]
      t.regex(error, /^Error: worker threads cannot be used .*'spawn'/)
      t.deepEqual([exitcode, threads], [null, 0])
    }
    await p.join()
    t.is(p.exitcode, 0)
    reader.close()
    writer.close()
  }
})

for (const [how, exitcode] of [
  ['return', 0],
  ['exit 3', 3],
  ['exitcode 4', 4],
  ['SystemExit 6', 6],
  ['SystemExit', 0],
  ['SystemExit later', 7],
  ['handler', 9],
] as const) {
  check(`a thread that ends by ${how} has the exit code ${exitcode}`, async (t) => {
    for (const join of ['join', 'joinSync'] as const) {
      const p = new dummy.Process({ target: thread.endBy, args: [how] })
      p.start()
      await p[join]()
      t.is(p.exitcode, exitcode)
    }
  })
}

check('many threads at once, and nothing is left of them', async (t) => {
  const round = async (): Promise<void> => {
    const all = Array.from({ length: 20 }, () => new dummy.Process({ target: () => {} }))
    for (const p of all) p.start()
    for (const [index, p] of all.entries()) if (index % 3 === 0) p.terminate()
    for (const p of all) await p.join()
  }
  await round()
  const before = resourcesOf()
  await round()
  t.deepEqual((await leftBehindSince(before)).descriptors, [])
})

check('a process object that nobody has any more is collected', async (t) => {
  const started = (): WeakRef<object> => {
    const p = new dummy.Process({ target: () => {} })
    p.start()
    p.joinSync()
    return new WeakRef(p)
  }
  const reference = started()
  t.true(await isCollected(reference))
})

check('the names of a manager are those of the module', async (t) => {
  const manager = await dummy.Manager()
  t.is(manager.Lock, dummy.Lock)
  t.is(manager.Manager(), manager)
  const listed = manager.list('ab')
  listed.push('c')
  t.deepEqual(listed, ['a', 'b', 'c'])
  t.deepEqual(manager.list(), [])
  t.deepEqual(manager.dict([[1, 'one']]), new Map([[1, 'one']]))
  t.deepEqual(manager.dict({ a: 1 }), new Map([['a', 1]]))
  t.deepEqual(manager.dict(), new Map())
  const namespace = new manager.Namespace({ x: 10 })
  namespace.y = 'hello'
  namespace._z = 12.3
  t.is(namespace.x, 10)
  t.is(String(namespace), "Namespace(x=10, y='hello')")
  manager.shutdown()
  manager.freezeSupport()
  t.deepEqual(dummy.connection.families, connections.families)
})

prints(
  'an error that nobody catches ends the thread alone',
  `
const fails = (how) => {
  const error = new TypeError('by ' + how)
  if (how === 'throw') throw error
  if (how === 'reject') return Promise.reject(error)
  if (how === 'timer') setTimeout(() => { throw error }, 1)
  else if (how === 'rejection') Promise.reject(error)
}
for (const how of ['throw', 'reject', 'timer', 'rejection']) {
  const p = new dummy.Process({ target: fails, args: [how], name: how })
  let text = ''
  p.start()
  p.joinSync()
  console.log(how, p.exitcode)
}`,
  'throw 1\nreject 1\ntimer 1\nrejection 1\n',
)

test('its traceback is on stderr', async (t) => {
  const { stderr, code } = await program(
    t,
    `${header}
const p = new dummy.Process({ target: () => { throw new TypeError('of mine') }, name: 'failing' })
p.start()
p.joinSync()
process.exit(p.exitcode === 1 ? 0 : 5)`,
  )
  t.is(code, 0)
  t.regex(stderr, /^Exception in thread failing:\nTypeError: of mine\n {4}at .*main\.mjs:\d+:\d+/)
})

prints(
  'what a thread prints is there when it has ended, without the event loop',
  `
const talk = () => { console.log('from the thread'); process.stdout.write('x'.repeat(200_000) + '\\n') }
const p = new dummy.Process({ target: talk })
p.start()
p.joinSync()
console.log('from the main thread')
process.exit(0)`,
  `from the thread\n${'x'.repeat(200_000)}\nfrom the main thread\n`,
)

prints(
  'the end of the process waits for threads, and ends those that are daemons',
  `
const late = () => setTimeout(() => console.log('last'), 200)
const never = () => { process.on('exit', () => console.log('no')); for (;;); }
new dummy.Process({ target: late }).start()
new dummy.Process({ target: never, daemon: true }).start()
process.exit(0)`,
  'last\n',
)

prints(
  'a thread that is no daemon keeps the event loop alive, and one that is does not',
  `
const { Process } = dummy
new Process({ target: () => setTimeout(() => console.log('last'), 200) }).start()
new Process({ target: () => setInterval(() => {}, 1000), daemon: true }).start()
process.on('beforeExit', () => console.log('first', dummy.activeChildren().length))`,
  'last\nfirst 1\n',
)

prints(
  'a thread that is ended while it imports leaves nothing of what it was sent',
  `
const [ours, theirs] = mp.Pipe()
const { nap } = await import('./napping.mjs')
for (let i = 0; i < 3; i++) {
  const p = new dummy.Process({ target: nap, args: [theirs] })
  process.env.IMPORTING = ''
  p.start()
  while (process.env.IMPORTING === '') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1)
  p.terminate()
  p.joinSync()
  p.close()
}
theirs.close()
console.log(await ours.recv().catch((error) => error.name))`,
  'EOFError\n',
  {
    files: {
      'napping.mjs': `
import { isMainThread } from 'node:worker_threads'
if (!isMainThread) {
  process.env.IMPORTING = 'yes'
  await new Promise(() => setInterval(() => {}, 1000))
}
export const nap = () => {}`,
    },
  },
)

prints(
  'a thread imports the main module, and skips what is guarded',
  `
export const name = (connection) => connection.sendSync(dummy.currentProcess().name)
if (mp.isMainProcess) {
  const [reader, writer] = dummy.Pipe(false)
  const p = new dummy.Process({ target: name, args: [writer], name: 'mine' })
  p.start()
  p.joinSync()
  console.log(p.exitcode, reader.recvSync())
} else console.log('imported')`,
  'imported\n0 mine\n',
)

test('threads of a main module without the guard are a RuntimeError in the thread', async (t) => {
  const { code, stdout, stderr } = await program(
    t,
    `${header}
export const nothing = () => {}
const p = new dummy.Process({ target: nothing, name: 'mine' })
p.start()
await p.join()
console.log(p.exitcode)`,
  )
  t.deepEqual([code, stdout], [0, '1\n'])
  t.regex(
    stderr,
    /Exception in thread mine:\n(?:.*\n)*?.*RuntimeError: A process cannot be started while this one, mine, /,
  )
})

prints(
  'threads share the environment, and the working directory is that of the process',
  `
process.env.SHARED = 'one'
process.chdir('/')
const look = (connection) => {
  connection.sendSync([process.env.SHARED, process.cwd()])
  process.env.SHARED = 'two'
}
const [reader, writer] = dummy.Pipe(false)
const p = new dummy.Process({ target: look, args: [writer] })
p.start()
p.joinSync()
console.log(...reader.recvSync(), process.env.SHARED)`,
  'one / two\n',
)

const onLinux = process.platform === 'linux' ? test : test.skip

onLinux(
  'copies of a program neither have its threads nor keep their ends from being seen',
  async (t) => {
    const { code, stdout, stderr } = await program(
      t,
      `${header}
const ForkProcess = mp.getContext('fork').Process
const [hold, held] = mp.Pipe()
const [reader, writer] = mp.Pipe(false)
const wait = (connection) => { connection.recvSync() }
const thread = new dummy.Process({ target: wait, args: [held] })
thread.start()
const gate = new mp.Event()
const copy = new ForkProcess({ target: async () => {
  let error = 'none'
  try { new dummy.Process({ target: wait, args: [held] }).start() } catch (thrown) { error = String(thrown) }
  writer.sendSync([dummy.activeChildren().length, error])
  await gate.wait()
} })
copy.start()
const [threads, error] = await reader.recv()
console.log(threads, error.slice(0, 36))
hold.sendSync('go')
thread.joinSync(10_000)
console.log(thread.exitcode)
gate.set()
copy.joinSync()
console.log(copy.exitcode)
`,
      { execArgv: FORK_OPTIONS },
    )
    t.deepEqual([code, stdout], [0, '0 Error: worker threads cannot be used\n0\n0\n'], stderr)
  },
)

test('a thread that cannot even begin fails', async (t) => {
  const { folder, run } = write(
    t,
    `${header}
const p = new dummy.Process({ target: () => {}, name: 'mine' })
p.start()
await p.join()
console.log(p.exitcode)
`,
    {
      files: {
        'preload.cjs': `
if (!require('node:worker_threads').isMainThread) {
  console.log('early')
  throw new Error('not in threads')
}`,
      },
    },
  )
  const { code, stdout, stderr } = await run({ execArgv: ['--require', `${folder}/preload.cjs`] })
  t.is(code, 0, stderr)
  t.is(stdout, 'early\n1\n')
  t.regex(stderr, /^Exception in thread mine:\nError: not in threads/)
})

check('a ThreadPool is a Pool of threads', async (t) => {
  for (const type of [mp.ThreadPool, dummy.Pool]) {
    const pool = new type(2)
    t.true(pool instanceof mp.Pool)
    const squares = [0, 1, 4, 9, 16]
    t.deepEqual(await pool.map((x: number) => x * x, [0, 1, 2, 3, 4]), squares)
    t.deepEqual(
      pool.mapSync((x: number) => x * x, [0, 1, 2, 3, 4]),
      squares,
    )
    t.is(await pool.apply(() => process.pid), process.pid)
    t.is(dummy.activeChildren().length, 2)
    t.deepEqual(mp.activeChildren(), [])
    pool.close()
    await pool.join()
  }
  t.throws(() => new mp.ThreadPool(0), { instanceOf: mp.ValueError })
})

for (const form of ['joinSync(20_000)', 'joinSync()', 'join()']) {
  test(`a thread that ends before anything of ours is loaded is joined by ${form}`, async (t) => {
    const { folder, run } = write(
      t,
      `${header}
export const nothing = () => {}
if (mp.isMainProcess) {
  const p = new dummy.Process({ target: nothing, name: 'early' })
  p.start()
  await p.${form}
  console.log(p.exitcode, p.isAlive())
}`,
      {
        files: {
          'preload.cjs': `if (!require('node:worker_threads').isMainThread) throw new Error('not for threads')`,
        },
      },
    )
    const { code, stdout, stderr } = await run({ execArgv: ['--require', `${folder}/preload.cjs`] })
    t.deepEqual([code, stdout], [0, '1 false\n'], stderr)
    t.regex(stderr, /^Exception in thread early:\nError: not for threads\n/)
    t.is(stderr.match(/not for threads/g)?.length, 1)
  })
}
