/** When the memory of blocks is let go that nobody has any more, and when V8 looks for it. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import test from 'ava'
import * as mp from 'node-multiprocessing'
import { within } from './fixtures/connection-patience.js'
import { program } from './fixtures/process-programs.js'
import { segments, takeAndDrop } from './fixtures/shared-memory.js'
import { confined } from './helpers/confined-programs.js'
import { isCollected } from './helpers/garbage.js'

const MEBIBYTE = 2 ** 20

// In a version of Node that is not known, V8 cannot be asked.
const isKnown = ['115', '127', '131', '137', '141', '147'].includes(process.versions.modules)
const testOfV8 = isKnown ? test.serial : test.serial.skip

/** Sizes in bytes, and how many arrays: some share a segment, others have one of their own. */
const amounts = [
  [MEBIBYTE, 1000],
  [3 * MEBIBYTE, 2000],
  [256 * MEBIBYTE, 100],
] as const

for (const method of mp.getAllStartMethods()) {
  for (const [size, count] of amounts) {
    const title = `${count} arrays of ${size / MEBIBYTE} MiB`
    testOfV8(`loops that block their threads let go of ${title} [${method}]`, async (t) => {
      const [connection, theirs] = mp.Pipe()
      const child = new (mp.getContext(method).Process)({ target: takeAndDrop, args: [theirs] })
      child.start()
      theirs.close()
      const had = { ours: [segments()], theirs: [] as number[] }
      for (let i = 0; i < count; i++) {
        const array = mp.RawArray('B', size).typedArray()
        array[0] = 7
        connection.sendSync(array)
        t.true(connection.pollSync(60_000))
        had.theirs.push(connection.recvSync<number>())
        had.ours.push(segments())
      }
      connection.sendSync(null)
      await within('the end of the child', child.join(), 60_000)
      t.is(child.exitcode, 0)
      child.close()
      connection.close()
      // What V8 may have left is not more than 4 GiB, nor than a quarter of the machine's memory.
      const most = Math.max(70, (4096 * MEBIBYTE) / size + 2)
      for (const numbers of Object.values(had)) {
        const more = Math.max(...numbers) - numbers[0]!
        t.true(more <= Math.min(most, count / 2), `${more} segments at most`)
      }
    })
  }
}

testOfV8('V8 does not count large blocks, and does without a collection', (t) => {
  const before = process.memoryUsage()
  const arrays = Array.from({ length: 3 }, () => mp.RawArray('B', 2 ** 30).typedArray())
  const { external, arrayBuffers } = process.memoryUsage()
  t.true(external - before.external < 2 ** 24)
  t.true(arrayBuffers - before.arrayBuffers < 2 ** 24)
  t.is(arrays.length, 3)
})

testOfV8('memory that was moved to another buffer stays, and stays shared', async (t) => {
  const before = segments()
  const view = mp.share(new Uint8Array(4 * MEBIBYTE).fill(5))
  const [connection, theirs] = mp.Pipe()
  const child = new mp.Process({ target: takeAndDrop, args: [theirs] })
  child.start()
  theirs.close()
  connection.sendSync(view)
  await within('the answer', connection.recv(), 60_000)
  const move = (): Uint8Array => {
    try {
      return new Uint8Array((view.buffer as any).transfer())
    } catch (error) {
      // Node 20 has no way to move it, 24 does not let it be moved.
      t.is((error as Error).name, 'TypeError')
      return view
    }
  }
  const moved = move()
  for (let i = 0; i < 5; i++) await nextTurn()
  t.deepEqual([moved.length, moved[0], moved.at(-1)], [4 * MEBIBYTE, 6, 5])
  if (moved !== view) {
    t.is(view.length, 0)
    // What has no memory any more is none of ours.
    connection.sendSync(mp.share(new Uint8Array(1)))
    await within('the answer', connection.recv(), 60_000)
  }
  connection.sendSync(null)
  await child.join()
  connection.close()
  child.close()
  t.true(segments() > before)
})

testOfV8(
  'memory that was moved to another thread outlives the first, and much is not moved',
  async (t) => {
    const outcome = await program(
      t,
      `
import { once } from 'node:events'
import { isMainThread, parentPort, Worker } from 'node:worker_threads'
if (isMainThread) {
  const worker = new Worker(new URL(import.meta.url))
  const [bytes] = await once(worker, 'message')
  const [what] = await once(worker, 'message')
  await once(worker, 'exit')
  const sum = bytes.reduce((a, b) => a + b, 0)
  bytes.fill(2)
  console.log(bytes.length, sum, bytes.at(-1), what)
} else {
  const [small, large] = [2 << 20, (2 << 20) + 1].map((size) => mp.share(new Uint8Array(size).fill(1)))
  parentPort.postMessage(small, [small.buffer])
  try {
    // Without an error it is copied.
    parentPort.postMessage(large.length, [large.buffer])
  } catch (error) {
    parentPort.postMessage(error.name === 'DataCloneError' ? large.length : error)
  }
}
`,
    )
    t.is(outcome.stdout.trim(), '2097152 2097152 2 2097153', outcome.stderr)
    t.is(outcome.code, 0)
  },
)

testOfV8('a copy of the process has memory that was moved to its thread', async (t) => {
  const outcome = await program(
    t,
    `
import { once } from 'node:events'
import { isMainThread, parentPort, Worker } from 'node:worker_threads'
if (isMainThread) {
  const worker = new Worker(new URL(import.meta.url))
  const received = await once(worker, 'message')
  await once(worker, 'exit')
  const sum = () => received[0].reduce((sum, bytes) => sum + bytes.at(-1) + bytes.length, 0)
  const child = new (mp.getContext('fork').Process)({ target: () => process.exit(sum() % 251) })
  child.start()
  await child.join()
  console.log(child.exitcode === sum() % 251, sum())
} else {
  const views = [5000, 2 << 20].map((size) => mp.share(new Uint8Array(size).fill(7)))
  parentPort.postMessage(views, views.map(({ buffer }) => buffer))
}
`,
    { execArgv: ['--single-threaded', '--v8-pool-size=1'] },
  )
  t.deepEqual([outcome.code, outcome.stdout.trim()], [0, 'true 2102166'], outcome.stderr)
})

test('an array without its memory is not sent', (t) => {
  const [a, b] = mp.Pipe()
  for (const size of [100, 3 * MEBIBYTE]) {
    const shared = mp.RawArray('B', size)
    const buffer = shared.typedArray().buffer as ArrayBuffer
    try {
      structuredClone(buffer, { transfer: [buffer] })
    } catch {
      // Then it has its memory still.
    }
    if (buffer.byteLength === 0) {
      t.throws(() => a.sendSync(shared), { instanceOf: mp.PicklingError, message: /was moved/ })
    } else {
      a.sendSync(shared)
      t.true(b.recvSync<typeof shared>().typedArray().buffer === buffer)
    }
  }
  a.close()
  b.close()
})

testOfV8('what nobody uses takes no more than some of the descriptors', (t) => {
  const outcome = confined(
    t,
    'ulimit -n 256',
    `
import { readdirSync } from 'node:fs'
const open = () => readdirSync('/proc/self/fd').length
const before = open()
let most = 0
for (const turn of [() => {}, () => new Promise(setImmediate)]) {
  for (let i = 0; i < 1000; i++) {
    mp.RawArray('B', 2_200_000).typedArray()[0] = 1
    most = Math.max(most, open())
    await turn()
  }
}
const kept = []
try {
  for (;;) kept.push(mp.RawArray('B', 2_200_000).typedArray())
} catch (error) {
  kept.length = 0
  console.log(most - before <= 66, error.code)
}
console.log(mp.RawArray('B', 2_200_000).length)
`,
  )
  t.deepEqual(outcome, { status: 0, signal: null, stdout: 'true EMFILE\n2200000\n', stderr: '' })
})

test('two copies of the package in a thread have the same memory', async (t) => {
  const outcome = await program(
    t,
    `
import { createRequire } from 'node:module'
const require = createRequire(process.argv[2])
const load = () => {
  for (const file of Object.keys(require.cache)) {
    if (file.endsWith('.cjs')) delete require.cache[file]
  }
  return require('./dist/index.cjs')
}
const [ours, theirs] = [load(), load()]
const [a, b] = ours.Pipe()
const end = new theirs.Connection(b.fileno())
const [c, d] = theirs.Pipe()
for (const view of [new Uint8Array([1, 2, 3]), new Uint8Array(3 << 20).fill(4)].map((bytes) => ours.share(bytes))) {
  a.sendSync(view)
  const received = end.recvSync()
  received[0] = 9
  c.sendSync(received)
  const again = d.recvSync()
  console.log(ours.Pipe !== theirs.Pipe, again.buffer === received.buffer, view[0], again.length)
}
`,
    { args: [fileURLToPath(new URL('../../index.js', import.meta.url))] },
  )
  const lines = outcome.stdout.trim().split('\n')
  t.deepEqual([outcome.code, lines], [0, ['true true 9 3', 'true true 9 3145728']], outcome.stderr)
})

test('a thread that ends, and one that is ended, leave nothing mapped', async (t) => {
  const outcome = await program(
    t,
    `
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
const segments = () => readFileSync('/proc/self/maps', 'utf8').split('/memfd:node-multiprocessing').length - 1
if (isMainThread) {
  for (const workerData of ['ends', 'is ended']) {
    const worker = new Worker(new URL(import.meta.url), { workerData })
    const ended = once(worker, 'exit')
    const [mapped] = await once(worker, 'message')
    if (workerData === 'is ended') await worker.terminate()
    await ended
    console.log(mapped > 3, segments())
  }
} else {
  globalThis.views = [100, 2 << 20, 3 << 20, 64 << 20].map((size) => mp.share(new Uint8Array(size)))
  parentPort.postMessage(segments())
  if (workerData === 'is ended') setInterval(() => {}, 1000)
}
`,
  )
  // One segment is kept for blocks to come.
  t.deepEqual([outcome.code, outcome.stdout.trim().split('\n')], [0, ['true 1', 'true 1']])
})

test.serial(
  'the one buffer of a block is found for as long as it lives, and a new one then',
  async (t) => {
    const [a, b] = mp.Pipe()
    const view = mp.share(new Float64Array([1, 2]))
    const received = () => {
      a.sendSync(view)
      return b.recvSync<Float64Array>()
    }
    t.is(received().buffer, view.buffer)
    // A hundred more that are known, so that those that are gone are looked for.
    const others = Array.from({ length: 100 }, (_, i) => mp.share(new Uint8Array([i])))
    a.sendSync(others)
    t.deepEqual(
      b.recvSync<Uint8Array[]>().map(({ buffer }) => buffer),
      others.map(({ buffer }) => buffer),
    )
    t.is(received().buffer, view.buffer)
    // One that is on its way, and nobody has any more.
    const gone = (() => {
      const sent = mp.share(new Uint8Array([1, 2, 3]))
      a.sendSync(sent)
      return new WeakRef(sent)
    })()
    t.true(await isCollected(gone))
    t.deepEqual(b.recvSync(), new Uint8Array([1, 2, 3]))
    a.close()
    b.close()
  },
)

/** What stands on a block, used as it is used. */
const standing: Record<string, () => object | Promise<object>> = {
  Lock: async () => {
    const lock = new mp.Lock()
    await lock.runExclusive(() => undefined)
    return lock
  },
  Event: async () => {
    const event = new mp.Event()
    await event.wait(1)
    return event
  },
  Condition: async () => {
    const condition = new mp.Condition()
    await condition.acquire()
    await condition.wait(1)
    condition.release()
    return condition
  },
  Barrier: async () => {
    const barrier = new mp.Barrier(2)
    await Promise.all([barrier.wait(), barrier.wait()])
    return barrier
  },
  Queue: async () => {
    const queue = new mp.Queue()
    await queue.put(1)
    await queue.get()
    return queue
  },
  SimpleQueue: async () => {
    const queue = new mp.SimpleQueue()
    await queue.put(1)
    await queue.get()
    return queue
  },
  Value: () => new mp.Value('i', 1),
}

for (const [name, use] of Object.entries(standing)) {
  test.serial(`a ${name} is collected when nobody has it, also after it was sent`, async (t) => {
    const references: WeakRef<object>[] = []
    await (async () => {
      const used = await use()
      const [a, b] = mp.Pipe()
      try {
        a.sendSync(used)
        const received = b.recvSync<object>()
        references.push(new WeakRef(used), new WeakRef(received))
      } catch (error) {
        // Some travel only when a process is started.
        t.true(error instanceof mp.MultiprocessingError, `${error}`)
        references.push(new WeakRef(used))
      }
      a.close()
      b.close()
    })()
    for (const reference of references) t.true(await isCollected(reference))
  })
}
