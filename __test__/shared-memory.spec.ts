/** Blocks of shared memory in the hands of those who misuse them, and where there is not enough of it. */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, truncateSync, unlinkSync, writeFileSync } from 'node:fs'
import { setImmediate as nextTurn } from 'node:timers/promises'
import test, { type ExecutionContext } from 'ava'
import * as mp from 'node-multiprocessing'
import { ensureRunning } from 'node-multiprocessing/resource-tracker'
import { openDescriptorCount } from './fixtures/connection-patience.js'
import { write } from './fixtures/process-programs.js'
import { confined } from './helpers/confined-programs.js'
import { collectGarbage } from './helpers/garbage.js'
import { exists, imports, programWith } from './helpers/shared-memory-programs.js'
import { until } from './helpers/until.js'

ensureRunning()

/** How many mappings this process has of a block. */
const mappingsOf = (name: string): number =>
  readFileSync('/proc/self/maps', 'utf8').split(`/dev/shm/${name}`).length - 1

/** A block that goes when the test ends. */
const block = (t: ExecutionContext, size = 100): mp.SharedMemory => {
  const made = new mp.SharedMemory({ create: true, size })
  t.teardown(() => {
    made.close()
    if (exists(made.name)) made.unlink()
  })
  return made
}

test('what cannot be an option is refused at the call', (t) => {
  for (const wrong of [
    3,
    null,
    { name: 3 },
    { name: 'x', create: 1 },
    { create: true, size: '5' },
    { create: true, size: 1.5 },
    { create: true, size: Number.NaN },
    { create: true, size: 5n },
    { create: true, size: 5, track: 'no' },
  ]) {
    t.throws(() => new mp.SharedMemory(wrong as never), { instanceOf: TypeError })
  }
  t.throws(() => new mp.SharedMemory({ create: true, size: -1 }), {
    instanceOf: mp.ValueError,
    message: "'size' must be a positive integer",
  })
  t.throws(() => new mp.SharedMemory({ create: true }), {
    instanceOf: mp.ValueError,
    message: "'size' must be a positive number different from zero",
  })
  t.throws(() => new mp.SharedMemory(), {
    instanceOf: mp.ValueError,
    message: "'name' can only be None if create=True",
  })
})

test('names that the system refuses are its errors', (t) => {
  for (const create of [true, false]) {
    for (const [name, code] of [
      ['a/b', 'EINVAL'],
      ['..', 'EINVAL'],
      ['', 'EINVAL'],
      ['x'.repeat(300), 'ENAMETOOLONG'],
    ] as const) {
      const error = t.throws(() => new mp.SharedMemory({ name, create, size: 10 }), { code })
      t.true(error instanceof mp.OSError)
    }
  }
})

test('more than there can be is refused, and leaves nothing', (t) => {
  const name = `mp-too-much-${process.pid}`
  for (const size of [2 ** 50, Number.MAX_SAFE_INTEGER]) {
    const error = t.throws(() => new mp.SharedMemory({ name, create: true, size }))
    t.true(error instanceof mp.OSError || error instanceof mp.ValueError, String(error))
    t.false(exists(name))
  }
})

test.serial('a closed block has no bytes, in no view', (t) => {
  const shm = block(t)
  const { buf } = shm
  const views = [buf!.subarray(10), new Float64Array(buf!.buffer, 0, 2), new DataView(buf!.buffer)]
  const [bytes, numbers, data] = views as [Buffer, Float64Array, DataView]
  t.is(mappingsOf(shm.name), 1)
  shm.close()
  t.is(mappingsOf(shm.name), 0, 'the memory is let go of at once')
  t.is(shm.buf, null)
  t.deepEqual([buf!.length, bytes.length, numbers.length], [0, 0, 0])
  t.is(bytes[0], undefined)
  bytes[0] = 1
  numbers[0] = 1
  t.throws(() => data.getInt8(0), { instanceOf: TypeError })
  t.is(shm.size, 100)
  shm.close()
  t.false(shm.toString().includes('closed'))
})

test.serial('a block that was unlinked can be used until it is closed', (t) => {
  const shm = block(t)
  const other = new mp.SharedMemory(shm.name)
  shm.unlink()
  t.throws(() => new mp.SharedMemory(shm.name), { instanceOf: mp.FileNotFoundError })
  shm.buf![99] = 5
  t.is(other.buf![99], 5)
  other.close()
  t.is(shm.buf![99], 5)
})

test.serial('what is out of range does nothing', (t) => {
  const shm = block(t)
  shm.buf![100] = 1
  shm.buf![-1] = 1
  t.is(shm.buf!.at(100), undefined)
  t.throws(() => shm.buf!.writeUInt32LE(1, 98), { instanceOf: RangeError })
  t.throws(() => new Uint8Array(shm.buf!.buffer, 0, 101), { instanceOf: RangeError })
})

test.serial('`using` closes', (t) => {
  let kept: mp.SharedMemory
  {
    using shm = new mp.SharedMemory({ create: true, size: 10 })
    kept = shm
  }
  t.is(kept.buf, null)
  kept.unlink()
})

test.serial('a buffer cannot be given away, or lives on where it is', async (t) => {
  const shm = block(t)
  const buffer = shm.buf!.buffer as ArrayBuffer & { transfer?(): ArrayBuffer }
  shm.buf![0] = 7
  try {
    // Some versions of Node refuse, others make a copy.
    const copy = structuredClone(buffer, { transfer: [buffer] })
    t.is(new Uint8Array(copy)[0], 7)
  } catch (error) {
    t.is((error as Error).name, 'DataCloneError')
  }
  t.is(shm.buf!.length, 100)
  const moved = buffer.transfer?.()
  if (moved) t.is(shm.buf!.length, 0)
  shm.close()
  await collectGarbage()
  if (moved) t.deepEqual([new Uint8Array(moved)[0], moved.byteLength], [7, 100])
})

test.serial('a block that nobody holds is unmapped, one that a view holds is not', async (t) => {
  const { name, view } = ((): { name: string; view: Buffer[] } => {
    const shm = new mp.SharedMemory({ create: true, size: 100 })
    return { name: shm.name, view: [shm.buf!.subarray(1)] }
  })()
  t.teardown(() => {
    using again = new mp.SharedMemory(name)
    again.unlink()
  })
  await collectGarbage()
  t.is(mappingsOf(name), 1)
  view[0]![0] = 1
  view.pop()
  for (let i = 0; i < 50 && mappingsOf(name) > 0; i++) await collectGarbage()
  t.is(mappingsOf(name), 0)
})

test.serial('blocks take no descriptors, and those that were closed no memory', async (t) => {
  const descriptors = openDescriptorCount()
  const memory = (): number =>
    Number(readFileSync('/proc/self/status', 'utf8').match(/^RssShmem:\s*(\d+)/m)![1])
  const before = memory()
  for (let i = 0; i < 200; i++) {
    const shm = new mp.SharedMemory({ create: true, size: 1 << 20 })
    shm.buf!.fill(1)
    shm.close()
    shm.unlink()
  }
  t.true(memory() - before < 8 << 10, 'without a turn of the event loop')
  t.is(openDescriptorCount(), descriptors)
  await nextTurn()
  t.is(readFileSync('/proc/self/maps', 'utf8').includes('/dev/shm/psm_'), false)
})

test.serial('an object without bytes is no block', (t) => {
  const name = `mp-empty-${process.pid}`
  writeFileSync(`/dev/shm/${name}`, '')
  t.teardown(() => unlinkSync(`/dev/shm/${name}`))
  t.throws(() => new mp.SharedMemory({ name, track: false }), {
    instanceOf: mp.OSError,
    code: 'EINVAL',
  })
  t.is(mappingsOf(name), 0)
  truncateSync(`/dev/shm/${name}`, 1)
  const shm = new mp.SharedMemory({ name, track: false })
  t.is(shm.size, 1)
  shm.close()
})

test.serial('a connection that is not trusted brings no blocks', async (t) => {
  const [a, b] = mp.Pipe()
  const shm = block(t)
  await a.send(shm)
  const fd = b.fileno()
  const careful = new mp.Connection(fd, { trusted: false })
  await t.throwsAsync(careful.recv(), { instanceOf: mp.UnpicklingError })
  a.close()
  careful.close()
})

test.serial('whether it is tracked travels with a block', async (t) => {
  const [a, b] = mp.Pipe()
  const shm = block(t)
  for (const track of [true, false]) {
    const one = new mp.SharedMemory({ name: shm.name, track })
    await a.send(one)
    const arrived = await b.recv<mp.SharedMemory>()
    t.is(arrived.track, track)
    for (const each of [one, arrived]) each.close()
  }
  a.close()
  b.close()
})

test.serial('threads have the same memory, each its own mapping of it', async (t) => {
  const outcome = await programWith(
    t,
    `import { isMainThread, Worker, workerData } from 'node:worker_threads'
    import { once } from 'node:events'
    if (isMainThread) {
      const shm = new SharedMemory({ create: true, size: 64 })
      const start = () => new Worker(new URL(import.meta.url), { workerData: shm.name })
      const workers = [start(), start(), start()]
      const turns = new Int32Array(shm.buf.buffer)
      while (turns[0] < 30_000) await new Promise((resolve) => setTimeout(resolve, 1))
      // They go on while this thread lets go of it.
      shm.close()
      console.log(turns.length)
      await workers[0].terminate()
      const again = new SharedMemory(shm.name)
      const numbers = new Int32Array(again.buf.buffer)
      Atomics.store(numbers, 1, 1)
      const codes = await Promise.all(workers.slice(1).map((worker) => once(worker, 'exit')))
      console.log(codes.flat(), numbers[2])
      again.close()
      again.unlink()
    } else {
      const shm = new SharedMemory(workerData)
      const view = new Int32Array(shm.buf.buffer)
      while (!Atomics.load(view, 1)) Atomics.add(view, 0, 1)
      Atomics.add(view, 2, 1)
      shm.close()
      if (view.length !== 0) throw new Error('it is closed')
    }`,
  )
  t.like(outcome, { code: 0, stdout: '0\n[ 0, 0 ] 2\n', stderr: '' })
})

test.serial(
  'a block is there in listeners for the end, and after process.exit in threads',
  async (t) => {
    const outcome = await programWith(
      t,
      `import { isMainThread, Worker } from 'node:worker_threads'
    const shm = new SharedMemory({ create: true, size: 10 })
    const other = new SharedMemory(shm.name)
    process.on('exit', () => {
      other.buf[0]++
      const late = new SharedMemory({ create: true, size: 10 })
      late.close()
      late.unlink()
      shm.unlink()
      console.log(shm.buf[0])
    })
    if (isMainThread) {
      new Worker(new URL(import.meta.url)).on('exit', () => process.exit(3))
    } else process.exit(0)`,
    )
    t.like(outcome, { code: 3, stdout: '1\n1\n', stderr: '' })
  },
)

test.serial(
  'a child sees what its parent has made, by every start method, and in classes of its own',
  async (t) => {
    for (const method of mp.getAllStartMethods()) {
      const shm = block(t)
      const child = new (mp.getContext(method).Process)({
        target: (given: mp.SharedMemory, list: mp.ShareableList) => {
          given.buf![0] = 5
          list.set(0, 'seen')
          given.close()
        },
        args: [shm, new mp.ShareableList(['        '], { name: `${shm.name}-list` })],
      })
      const list = new mp.ShareableList<string>(null, { name: `${shm.name}-list` })
      child.start()
      await child.join()
      t.is(child.exitcode, 0)
      t.is(shm.buf![0], 5)
      t.is(list.get(0), 'seen')
      list.shm.close()
      list.shm.unlink()
    }
  },
)

const TOO_MUCH = `
for (const size of [4096, 1 << 20, 1 << 22]) {
  const name = 'mp-confined-' + process.pid
  try {
    const shm = new SharedMemory({ name, create: true, size })
    shm.buf.fill(1)
    shm.close()
    shm.unlink()
    console.log('made')
  } catch (error) {
    console.log(error.name, error.code, error.syscall)
    try { new SharedMemory(name) } catch (gone) { console.log(gone.name) }
  }
}`

test.serial('more than a file may have is an error, not a signal', (t) => {
  // In units of 512 bytes: 1 MiB.
  const outcome = confined(t, 'ulimit -f 2048', `${imports}${TOO_MUCH}`)
  t.deepEqual(outcome, {
    status: 0,
    signal: null,
    stdout: 'made\nmade\nOSError EFBIG shm_open\nFileNotFoundError\n',
    stderr: '',
  })
})

const unshare = ['unshare -m', 'unshare -rm'].find(
  (command) =>
    spawnSync('sh', ['-c', `${command} mount -t tmpfs -o size=1m none /dev/shm`]).status === 0,
)
const onSmall = unshare === undefined ? test.skip : test.serial

onSmall('a full /dev/shm is an error when a block is made, and nothing dies of it', (t) => {
  const { main } = write(t, `${imports}${TOO_MUCH}`)
  const { status, signal, stdout, stderr } = spawnSync(
    'sh',
    [
      '-c',
      `${unshare} sh -c 'mount -t tmpfs -o size=1m none /dev/shm && exec "$0" "$1"' "$0" "$1"`,
      process.execPath,
      main,
    ],
    { encoding: 'utf8', timeout: 30_000 },
  )
  t.deepEqual(
    { status, signal, stdout, stderr },
    {
      status: 0,
      signal: null,
      stdout: 'made\nmade\nOSError ENOSPC shm_open\nFileNotFoundError\n',
      stderr: '',
    },
  )
})

test.serial('a block that is not tracked stays when its program ends', async (t) => {
  const outcome = await programWith(
    t,
    `const shm = new SharedMemory({ create: true, size: 10, track: false })
    console.log(shm.name, tracker.programTracker().pid)`,
  )
  const [name, pid] = outcome.stdout.trim().split(' ')
  t.like(outcome, { code: 0, stderr: '' })
  t.is(pid, 'null', 'nothing was started for it')
  t.true(exists(name!))
  new mp.SharedMemory({ name: name! }).unlink()
})

test.serial(
  'a block outlives the child that made it, whoever used the tracker first',
  async (t) => {
    for (const method of mp.getAllStartMethods().filter((name) => name !== 'fork')) {
      const outcome = await programWith(
        t,
        `export const make = (connection) => {
        const shm = new SharedMemory({ create: true, size: 10 })
        shm.buf[0] = 7
        connection.sendSync([shm.name, tracker.programTracker().pid])
      }
      if (mp.isMainProcess) {
        const [a, b] = mp.Pipe()
        const child = new (mp.getContext('${method}').Process)({ target: make, args: [b] })
        child.start()
        const [name, pid] = await a.recv()
        await child.join()
        const shm = new SharedMemory(name)
        console.log(child.exitcode, shm.buf[0], pid === tracker.programTracker().pid)
        shm.unlink()
      }`,
      )
      t.like(outcome, { code: 0, stdout: '0 7 true\n', stderr: '' }, method)
    }
  },
)

test.serial('the tracker is small, and ends with its program', async (t) => {
  const outcome = await programWith(
    t,
    `import { readFileSync } from 'node:fs'
    tracker.ensureRunning()
    const { pid } = tracker.programTracker()
    const shm = new SharedMemory({ create: true, size: 10 })
    shm.unlink()
    await new Promise((resolve) => setTimeout(resolve, 100))
    console.log(pid, readFileSync('/proc/' + pid + '/status', 'utf8').match(/VmRSS:\\s*(\\d+)/)[1])`,
  )
  t.like(outcome, { code: 0, stderr: '' })
  const [pid, kilobytes] = outcome.stdout.trim().split(' ')
  t.true(Number(kilobytes) < 4096, `${kilobytes} kB`)
  await until('the tracker is gone', () => !existsSync(`/proc/${pid}`))
})
