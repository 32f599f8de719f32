/** Queues: what the reference's own tests do not ask. */
import { readdirSync } from 'node:fs'
import { isDeepStrictEqual } from 'node:util'
import { Worker } from 'node:worker_threads'
import test, { type ExecutionContext } from 'ava'
import * as mp from 'node-multiprocessing'
import * as queues from 'node-multiprocessing/queues'
import * as fixtures from './fixtures/queues.js'
import { isCollected } from './helpers/garbage.js'
import { until } from './helpers/until.js'
import { underWatchdog } from './helpers/watchdog.js'

const CLOSED = { instanceOf: mp.ValueError, message: /^Queue <Queue\(maxsize=0\)> is closed$/ }

/** More than the memory of a queue holds. */
const LARGE = 5 * 1024 * 1024

const bytes = (length: number, seed = 1): Uint8Array =>
  new Uint8Array(length).map((_, i) => i * 7 + (i >> 8) + seed)

/** Whether two values are alike; where they are large, showing how they differ takes too long. */
const alike = (t: ExecutionContext, came: unknown, expected: unknown): boolean =>
  t.true(isDeepStrictEqual(came, expected))

const started = <A extends unknown[]>(
  target: (...args: A) => unknown,
  args: NoInfer<A>,
): mp.Process => {
  const p = new mp.Process({ target, args, daemon: true })
  p.start()
  return p
}

test.serial('every context has the same classes, and so has the module', (t) => {
  const classes = [mp.Queue, mp.JoinableQueue, mp.SimpleQueue]
  t.deepEqual([queues.Queue, queues.JoinableQueue, queues.SimpleQueue], classes as never)
  t.is(queues.Empty, mp.Empty)
  t.is(queues.Full, mp.Full)
  for (const method of mp.getAllStartMethods()) {
    const { Queue, JoinableQueue, SimpleQueue } = mp.getContext(method)
    t.deepEqual([Queue, JoinableQueue, SimpleQueue], classes as never)
  }
})

test.serial('items come out in order, in both forms', async (t) => {
  const queue = new mp.Queue<unknown>()
  const items = [1, 'two', { three: [3] }, null, undefined, new Map([[4, new Date(5)]]), -0]
  for (const [i, item] of items.entries()) {
    if (i % 2 === 0) queue.putSync(item)
    else await queue.put(item)
  }
  t.is(queue.qsize(), items.length)
  t.false(queue.empty())
  for (const [i, item] of items.entries()) {
    t.deepEqual(i % 3 === 0 ? await queue.get() : queue.getSync(), item)
  }
  t.true(queue.empty())
  t.is(queue.qsize(), 0)
})

test.serial('wrong arguments are errors at the call', async (t) => {
  const wrong = 'soon' as never
  t.throws(() => new mp.Queue(1.5), { instanceOf: TypeError })
  t.throws(() => new mp.Queue('1' as never), { instanceOf: TypeError })
  t.throws(() => new mp.Queue(2 ** 31), { instanceOf: mp.ValueError })
  const queue = new mp.Queue<number>(-1)
  t.false(queue.full())
  for (const options of [{ timeout: wrong }, { block: wrong }]) {
    await t.throwsAsync(queue.put(1, options), { instanceOf: TypeError })
    await t.throwsAsync(queue.get(options), { instanceOf: TypeError })
    t.throws(() => queue.putSync(1, options), { instanceOf: TypeError })
    t.throws(() => queue.getSync(options), { instanceOf: TypeError })
    await t.throwsAsync(queue.putMany([1], options), { instanceOf: TypeError })
    await t.throwsAsync(queue.getMany(options), { instanceOf: TypeError })
  }
  await t.throwsAsync(queue.put(1, { signal: wrong }), { instanceOf: TypeError })
  await t.throwsAsync(queue.getMany({ max: 0 }), { instanceOf: mp.ValueError })
  t.throws(() => queue.getManySync({ max: 1.5 }), { instanceOf: TypeError })
  t.is(queue.qsize(), 0)
})

test.serial('what cannot travel throws at once, and takes no place', async (t) => {
  const queue = new mp.Queue<unknown>(1)
  const refused = { instanceOf: mp.PicklingError, message: /obj\.inner/ }
  t.throws(() => queue.putSync({ inner: Symbol('x') }), refused)
  await t.throwsAsync(queue.put({ inner: Symbol('x') }), refused)
  t.throws(() => queue.putManySync([{ inner: Symbol('x') }]), refused)
  t.is(queue.qsize(), 0)
  queue.putNowait('fine')
  t.is(queue.getNowait(), 'fine')
})

test.serial('a subclass may drop what cannot travel', async (t) => {
  const dropped: unknown[] = []
  class Lenient<T> extends mp.Queue<T> {
    static override _onQueueFeederError(error: unknown, item: unknown): void {
      dropped.push([(error as Error).name, item])
    }
  }
  const queue = new Lenient<unknown>()
  const symbol = Symbol('x')
  queue.putSync(symbol)
  await queue.put(symbol)
  queue.putManySync(['a', symbol, 'b'])
  t.deepEqual(queue.getManySync(), ['a', 'b'])
  t.deepEqual(dropped, Array(3).fill(['PicklingError', symbol]))
})

test.serial('an empty queue is Empty, at once or in time', async (t) => {
  const queue = new mp.Queue<number>()
  const empty = { instanceOf: mp.Empty, code: 'ERR_EMPTY' }
  t.throws(() => queue.getNowait(), empty)
  t.throws(() => queue.getSync({ timeout: -5 }), empty)
  await t.throwsAsync(queue.get({ block: false, timeout: 10_000 }), empty)
  const start = performance.now()
  t.throws(() => queue.getSync({ timeout: 30 }), empty)
  await t.throwsAsync(queue.get({ timeout: 30 }), empty)
  t.true(performance.now() - start >= 58)
})

test.serial('a full queue is Full, at once or in time', async (t) => {
  const queue = new mp.Queue<number>(2)
  const full = { instanceOf: mp.Full, code: 'ERR_FULL' }
  queue.putSync(1)
  t.false(queue.full())
  await queue.put(2)
  t.true(queue.full())
  t.throws(() => queue.putNowait(3), full)
  await t.throwsAsync(queue.put(3, { block: false }), full)
  t.throws(() => queue.putSync(3, { timeout: 20 }), full)
  await t.throwsAsync(queue.put(3, { timeout: 20 }), full)
  const put = [queue.put(3), queue.put(4), queue.put(5)]
  for (const number of [1, 2, 3, 4, 5]) t.is(await queue.get(), number)
  await Promise.all(put)
})

test.serial('large items count, too, where there may be only so many', async (t) => {
  const queue = new mp.Queue<Uint8Array>(2)
  queue.putSync(bytes(LARGE))
  await queue.put(bytes(LARGE, 2))
  t.true(queue.full())
  t.throws(() => queue.putNowait(bytes(1)), { instanceOf: mp.Full })
  alike(t, queue.getSync(), bytes(LARGE))
  alike(t, await queue.get(), bytes(LARGE, 2))
})

test.serial('putMany says how far it came', async (t) => {
  const queue = new mp.Queue<number>(5)
  t.throws(() => queue.putManySync([1, 2, 3, 4, 5, 6, 7], { block: false }), {
    instanceOf: mp.Full,
    message: 'the queue is full',
  })
  const error = await t.throwsAsync<mp.Full>(queue.putMany([6], { timeout: 5 }))
  t.is(error.done, 0)
  t.deepEqual(queue.getManySync({ max: 2 }), [1, 2])
  const partly = t.throws<mp.Full>(() => queue.putManySync([6, 7, 8], { timeout: 5 }))
  t.is(partly.done, 2)
  const rest = queue.putMany([8, 9])
  t.deepEqual(await queue.getMany(), [3, 4, 5, 6, 7])
  await rest
  t.deepEqual(await queue.getMany({ max: 10 }), [8, 9])
})

test.serial('many of all kinds keep their order', async (t) => {
  const queue = new mp.Queue<unknown>()
  const items = Array.from({ length: 3000 }, (_, i) => {
    if (i % 500 === 3) return bytes(70_000, i)
    if (i % 900 === 7) return bytes(600_000, i)
    return i % 3 === 0 ? { i } : i
  })
  queue.putManySync(items)
  t.is(queue.qsize(), items.length)
  const came: unknown[] = []
  while (came.length < items.length) {
    came.push(...(came.length % 2 === 0 ? queue.getManySync({ max: 100 }) : await queue.getMany()))
  }
  alike(t, came, items)
})

test.serial('items of every size pass, and are what they were', async (t) => {
  await underWatchdog(async () => {
    const queue = new mp.Queue<unknown>()
    const whole = 512 * 1024
    for (const length of [0, 1, 8000, 65_500, 65_536, whole - 20, whole, whole + 1, LARGE]) {
      const item = { length, data: bytes(length), text: 'ü'.repeat(length / 8) }
      queue.putSync(item)
      alike(t, await queue.get(), item)
      await queue.put(item)
      alike(t, queue.getSync(), item)
    }
  })
})

test.serial('what was put in is not what is changed afterwards', async (t) => {
  const queue = new mp.Queue<Uint8Array>()
  const data = bytes(LARGE)
  queue.putSync(data)
  data.fill(0)
  alike(t, queue.getSync(), bytes(LARGE))
  data.set(bytes(LARGE))
  const put = queue.put(data)
  data.fill(0)
  await put
  alike(t, await queue.get(), bytes(LARGE))
})

test.serial('async gets are served first come, first served', async (t) => {
  const queue = new mp.Queue<unknown>()
  const order: unknown[] = []
  const gets = [0, 1, 2, 3].map(async (place) => order.push([place, await queue.get()]))
  queue.putSync('a')
  await queue.put(bytes(LARGE))
  queue.putManySync(['c', 'd'])
  await Promise.all(gets)
  alike(t, order, [
    [0, 'a'],
    [1, bytes(LARGE)],
    [2, 'c'],
    [3, 'd'],
  ])
})

test.serial('a get that was given up takes nothing', async (t) => {
  const queue = new mp.Queue<unknown>()
  const abort = new AbortController()
  const given = queue.get({ signal: abort.signal })
  const late = queue.get({ timeout: 10 })
  const last = queue.get()
  abort.abort(new Error('enough'))
  await t.throwsAsync(given, { message: 'enough' })
  await t.throwsAsync(late, { instanceOf: mp.Empty })
  queue.putSync('one')
  t.is(await last, 'one')
  await t.throwsAsync(queue.get({ signal: abort.signal }), { message: 'enough' })
  queue.putSync('two')
  t.is(queue.qsize(), 1)
  t.is(queue.getNowait(), 'two')
})

test.serial('a get that was given up does not get the call of one that waits', async (t) => {
  const queue = new mp.Queue<number>()
  const [ours, theirs] = mp.Pipe()
  const child = new mp.Process({ target: fixtures.putLater, args: [queue, theirs, 3] })
  child.start()
  for (let i = 0; i < 3; i++) {
    const abort = new AbortController()
    const given = queue.get({ signal: abort.signal })
    // It sleeps by then.
    ours.sendSync('ready')
    t.is(ours.recvSync(), 'ready')
    abort.abort()
    await t.throwsAsync(given, { name: 'AbortError', any: true })
    ours.sendSync('put')
    t.is(queue.getSync({ timeout: 5000 }), i)
  }
  await child.join()
  queue.close()
})

test.serial('a large item is not lost with a get that was given up', async (t) => {
  const queue = new mp.Queue<Uint8Array>()
  for (const sync of [false, true]) {
    const abort = new AbortController()
    const given = queue.get({ signal: abort.signal })
    await queue.put(bytes(LARGE))
    abort.abort()
    const came = await given.catch(() => undefined)
    alike(t, came ?? (sync ? queue.getSync() : await queue.get()), bytes(LARGE))
  }
  t.true(queue.empty())
})

test.serial('a put that was given up puts in nothing', async (t) => {
  const queue = new mp.Queue<number>(1)
  queue.putSync(1)
  const abort = new AbortController()
  const given = queue.put(2, { signal: abort.signal })
  const next = queue.put(3)
  abort.abort()
  await t.throwsAsync(given, { name: 'AbortError', any: true })
  t.is(await queue.get(), 1)
  await next
  t.is(await queue.get(), 3)
  t.true(queue.empty())
})

test.serial('a closed queue says so, to those who wait too', async (t) => {
  const queue = new mp.Queue<number>()
  t.throws(() => queue.joinThreadSync(), { instanceOf: mp.AssertionError })
  await t.throwsAsync(queue.joinThread(), { instanceOf: mp.AssertionError })
  const waiting = queue.get()
  queue.putSync(1)
  t.is(await waiting, 1)
  const left = queue.get()
  queue.close()
  queue.close()
  await t.throwsAsync(left, CLOSED)
  t.throws(() => queue.putSync(1), CLOSED)
  await t.throwsAsync(queue.put(1), CLOSED)
  t.throws(() => queue.getSync(), CLOSED)
  await t.throwsAsync(queue.get(), CLOSED)
  t.throws(() => queue.putManySync([]), CLOSED)
  t.throws(() => queue.empty(), { instanceOf: mp.OSError, message: 'handle is closed' })
  queue.joinThreadSync()
  await queue.joinThread()
  const unused = new mp.Queue()
  unused.close()
  t.true(unused.empty())
})

test.serial('joinThread waits until all is where others can take it', async (t) => {
  await underWatchdog(async () => {
    for (const sync of [true, false]) {
      const queue = new mp.Queue<unknown>()
      const back = new mp.Queue<unknown>()
      const child = started(fixtures.echo, [queue, back])
      for (let i = 0; i < 30_000; i++) queue.putSync(i.toString().padStart(100))
      queue.putSync(null)
      queue.close()
      if (sync) queue.joinThreadSync()
      else await queue.joinThread()
      for (let i = 0; i < 30_000; i++) t.assert(Number(await back.get()) === i)
      await child.join()
    }
  })
})

/** Some that were used, half of them closed. */
const usedQueues = (): WeakRef<object>[] => {
  const made = Array.from({ length: 20 }, () => new mp.Queue<number>())
  for (const [i, queue] of made.entries()) {
    queue.putSync(1)
    if (i % 2 === 0) queue.close()
  }
  return made.map((queue) => new WeakRef(queue))
}

test.serial('a queue leaves no descriptors behind', async (t) => {
  const open = (): number => readdirSync('/proc/self/fd').length
  new mp.Queue().close()
  const before = open()
  const references = usedQueues()
  t.true(open() > before)
  for (const reference of references) t.true(await isCollected(reference))
  await until('the descriptors are closed', () => open() <= before)
  t.pass()
})

test.serial('descriptors come with their items, in order', async (t) => {
  const queue = new mp.Queue<unknown>()
  const pipes = Array.from({ length: 30 }, () => mp.Pipe())
  for (const [i, [end]] of pipes.entries()) {
    queue.putSync({ end, data: i % 10 === 3 ? bytes(600_000) : null })
    queue.putSync(i)
    end.close()
  }
  for (const [i, [, other]] of pipes.entries()) {
    const { end } = (i % 2 === 0 ? queue.getSync() : await queue.get()) as { end: mp.Connection }
    end.sendSync(i)
    end.close()
    t.is(other.recvSync(), i)
    t.is(queue.getSync(), i)
  }
})

test.serial('queues, locks and shared memory travel through queues', async (t) => {
  const queue = new mp.Queue<any>()
  const inner = new mp.JoinableQueue<string>()
  const simple = new mp.SimpleQueue<string>()
  const shared = mp.share(new Float64Array([1, 2, 3]))
  const lock = new mp.Lock()
  queue.putSync({ inner, simple, shared, lock, queue })
  const came = queue.getSync()
  t.is(came.inner, inner)
  t.is(came.simple, simple)
  t.is(came.queue, queue)
  t.is(came.lock, lock)
  came.shared[1] = 7
  t.is(shared[1], 7)
})

test.serial('a child and its parent talk through queues', async (t) => {
  await underWatchdog(async () => {
    for (const method of mp.getAllStartMethods()) {
      const context = mp.getContext(method)
      const [there, back] = [new context.Queue<unknown>(), new context.Queue<unknown>()]
      const child = new context.Process({ target: fixtures.echo, args: [there, back] })
      child.start()
      const items = [1, { two: 2 }, bytes(LARGE), 'four', bytes(100_000), new mp.Queue()]
      for (const [i, item] of items.entries()) {
        there.putSync(item)
        const came = i % 2 === 0 ? await back.get() : back.getSync()
        if (item instanceof mp.Queue) t.is(came, item)
        else alike(t, came, item)
      }
      await there.put(null)
      await child.join()
      t.is(child.exitcode, 0)
    }
  })
})

test.serial('each item is taken once, those of one sender in order', async (t) => {
  await underWatchdog(async () => {
    const queue = new mp.Queue<[number, number] | null>()
    const results = new mp.Queue<[number, number][]>()
    const each = 5000
    const senders = [0, 1, 2].map((who) =>
      started(fixtures.scatter, [queue as mp.Queue<[number, number]>, who, each]),
    )
    const takers = [0, 1, 2].map(() => started(fixtures.gather, [queue, results]))
    for (const sender of senders) await sender.join()
    for (const _ of takers) await queue.put(null)
    const seen = new Set<number>()
    for (const _ of takers) {
      const last = [-1, -1, -1]
      for (const [who, i] of await results.get()) {
        t.assert(i > last[who]!)
        last[who] = i
        seen.add(who * each + i)
      }
    }
    t.is(seen.size, 3 * each)
    for (const taker of takers) await taker.join()
  })
})

test.serial('a process ends when all that it has put in is in the queue', async (t) => {
  await underWatchdog(async () => {
    const queue = new mp.Queue<number>()
    const items = 300_000
    const child = started(fixtures.count, [queue, items])
    await until('the child puts in', () => queue.qsize() > 1000)
    t.is(await child.join({ timeout: 200 }), undefined as never)
    t.is(child.exitcode, null)
    for (let i = 0; i < items; i++) t.assert(queue.getSync() === i)
    await child.join()
    t.is(child.exitcode, 0)
    const hasty = started(fixtures.countAndGo, [queue, items])
    await hasty.join()
    t.is(hasty.exitcode, 0)
    t.true(queue.qsize() < items)
  })
})

test.serial('a queue goes on when those who wait for it are killed', async (t) => {
  await underWatchdog(async () => {
    const queue = new mp.Queue<number>()
    const waiting = Array.from({ length: 3 }, () => started(fixtures.waitForever, [queue]))
    for (const child of waiting.slice(1)) {
      child.kill()
      await child.join()
    }
    queue.putSync(1)
    await waiting[0]!.join()
    t.is(waiting[0]!.exitcode, 0)
    t.true(queue.empty())
  })
})

test.serial('SIGINT ends a wait that blocks, where the program listens for it', async (t) => {
  await underWatchdog(async () => {
    const [queue, results] = [new mp.Queue<number>(), new mp.Queue<string>()]
    const child = started(fixtures.interrupted, [queue, results])
    t.is(await results.get(), 'ready')
    const again = setInterval(() => process.kill(child.pid!, 'SIGINT'), 50)
    t.is(await results.get(), 'KeyboardInterrupt')
    clearInterval(again)
    await child.join()
  })
})

test.serial('a joinable queue knows when all is done', async (t) => {
  await underWatchdog(async () => {
    const queue = new mp.JoinableQueue<unknown>()
    const tooOften = { instanceOf: mp.ValueError, message: 'task_done() called too many times' }
    await queue.join()
    queue.joinSync()
    t.throws(() => queue.taskDone(), tooOften)
    for (let i = 0; i < 100; i++) queue.putSync(i)
    queue.putSync(bytes(LARGE))
    const abort = new AbortController()
    const given = queue.join({ signal: abort.signal })
    abort.abort(new Error('enough'))
    await t.throwsAsync(given, { message: 'enough' })
    const child = started(fixtures.work, [queue, 101])
    await queue.join()
    t.true(queue.empty())
    await child.join()
    t.throws(() => queue.taskDone(), tooOften)
    const more = started(fixtures.work, [queue, 10])
    queue.putManySync(Array(10).fill('x'))
    queue.joinSync()
    await more.join()
    t.is(more.exitcode, 0)
    queue.close()
    await t.throwsAsync(queue.join(), { instanceOf: mp.ValueError })
  })
})

test.serial('a simple queue waits for room in put', async (t) => {
  await underWatchdog(async () => {
    const queue = new mp.SimpleQueue<unknown>()
    t.true(queue.empty())
    let put = 0
    let over = false
    const putting = (async () => {
      for (let i = 0; i < 100; i++) {
        await queue.put(bytes(100_000, i))
        put++
      }
      over = true
    })()
    await until('some are put in', () => put > 10)
    await new Promise((resolve) => setTimeout(resolve, 20))
    t.false(over)
    t.true(put < 30)
    for (let i = 0; i < 100; i++) alike(t, await queue.get(), bytes(100_000, i))
    await putting
    const large = queue.put(bytes(LARGE))
    alike(t, await queue.get(), bytes(LARGE))
    await large
    queue.putSync('last')
    t.is(queue.getSync(), 'last')
    queue.close()
    queue.close()
    t.throws(() => queue.putSync(1), { instanceOf: mp.ValueError })
    await t.throwsAsync(queue.get(), { instanceOf: mp.ValueError })
    t.throws(() => queue.empty(), { instanceOf: mp.OSError })
  })
})

test.serial('threads of a process share queues', async (t) => {
  await underWatchdog(async () => {
    const [queue, there] = [new mp.Queue<unknown>(), new mp.Queue<unknown>()]
    const [ours, theirs] = mp.Pipe()
    const thread = new Worker(
      `const { workerData } = require('node:worker_threads')
       import('node-multiprocessing').then(async (mp) => {
         const end = new mp.Connection(workerData, { trusted: true })
         const [queue, there] = await end.recv()
         for (let i = 0; i < 100; i++) queue.putSync({ i, data: new Uint8Array(i * 1000).fill(i) })
         queue.putSync(await there.get())
       })`,
      { eval: true, workerData: new mp.DupFd(theirs.fileno()).detach() },
    )
    await ours.send([queue, there])
    for (let i = 0; i < 100; i++) {
      alike(t, await queue.get(), { i, data: new Uint8Array(i * 1000).fill(i) })
    }
    const ended = new Promise((resolve) => thread.once('exit', resolve))
    await there.put('back')
    await ended
    t.is(queue.getSync(), 'back')
  })
})

test.serial(
  'a program that cannot go on ends its waits: terminate ends a thread that blocks',
  async (t) => {
    await underWatchdog(async () => {
      const thread = new Worker(
        `import('node-multiprocessing').then((mp) => {
         require('node:worker_threads').parentPort.postMessage('ready')
         new mp.Queue().getSync()
       })`,
        { eval: true },
      )
      await new Promise((resolve) => thread.once('message', resolve))
      t.is(await thread.terminate(), 1)
    })
  },
)

test.serial('a queue is shown as what it is', (t) => {
  t.is(String(new mp.Queue(3)), '<Queue(maxsize=3)>')
  t.is(String(new mp.JoinableQueue()), '<JoinableQueue(maxsize=0)>')
  t.is(String(new mp.SimpleQueue()), '<SimpleQueue>')
})
