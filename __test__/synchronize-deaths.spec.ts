/** Locks and their like when processes and threads end while they hold them or wait for them. */
import test from 'ava'
import * as mp from 'node-multiprocessing'
import { program } from './fixtures/process-programs.js'
import * as fixtures from './fixtures/synchronize.js'
import { FORK_OPTIONS } from './helpers/fork-options.js'
import { until } from './helpers/until.js'
import { underWatchdog } from './helpers/watchdog.js'

/** A process that has taken a lock and was killed. */
const killHolder = async (...locks: (mp.Lock | mp.RLock)[]): Promise<void> => {
  const p = new mp.Process({ target: fixtures.acquireAllAndStay, args: [locks] })
  p.start()
  await until('all are taken', () => locks.every((lock) => lock.locked()))
  p.kill()
  await p.join()
  p.close()
}

for (const form of ['Promise', 'Sync'] as const) {
  test.serial(`the lock of a process that was killed is taken over [${form}]`, async (t) => {
    await underWatchdog(async () => {
      for (const lock of [new mp.Lock(), new mp.RLock()]) {
        await killHolder(lock)
        const warnings: Error[] = []
        const onWarning = (warning: Error): void => void warnings.push(warning)
        process.on('warning', onWarning)
        t.false(lock.abandoned)
        t.true(form === 'Sync' ? lock.acquireSync() : await lock.acquire())
        t.true(lock.abandoned)
        lock.acquireSync({ block: false })
        lock.release()
        if (lock instanceof mp.RLock) lock.release()
        t.false(lock.abandoned)
        t.false(lock.locked())
        t.true(lock.acquireSync())
        t.false(lock.abandoned)
        lock.release()
        process.off('warning', onWarning)
        t.true(warnings.length <= 1)
      }
    })
  })
}

test.serial('one that waits already takes over, and one that does not wait, too', async (t) => {
  const locks = [new mp.Lock(), new mp.Lock()] as const
  const p = new mp.Process({ target: fixtures.acquireAllAndStay, args: [locks] })
  p.start()
  await until('both are taken', () => locks.every((lock) => lock.locked()))
  t.false(locks[1].acquireSync({ block: false }))
  const waiting = locks[0].acquire()
  p.kill()
  await p.join()
  t.true(await waiting)
  t.true(locks[0].abandoned)
  t.true(locks[1].acquireSync({ block: false }))
  t.true(locks[1].abandoned)
})

test.serial('a waiter that was killed does not keep what it was woken for', async (t) => {
  const semaphore = new mp.Semaphore(0)
  for (let i = 0; i < 10; i++) {
    const started = new mp.Semaphore(0)
    const victims = [1, 2].map(
      () => new mp.Process({ target: fixtures.takeWhenTold, args: [semaphore, started] }),
    )
    for (const victim of victims) victim.start()
    for (const _ of victims) await started.acquire()
    const waiting = semaphore.acquire({ timeout: 20_000 })
    for (const victim of victims) process.kill(victim.pid!, 'SIGSTOP')
    for (const victim of victims) victim.kill()
    semaphore.release()
    t.true(await waiting)
    for (const victim of victims) await victim.join()
    t.is(semaphore.getValue(), 0)
  }
})

const threads = `
import { once } from 'node:events'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
// What a thread is sent comes over a connection.
const thread = (...objects) => {
  const [ours, theirs] = mp.Pipe()
  const worker = new Worker(new URL(import.meta.url), {
    workerData: new reduction.DupFd(theirs.fileno()).detach(),
  })
  ours.sendSync(objects)
  theirs.close()
  worker.once('exit', () => ours.close())
  return worker
}
const received = () => new connections.Connection(workerData, { trusted: true }).recvSync()
`

const waits = [
  'lock.acquireSync()',
  'semaphore.acquireSync()',
  'condition.acquireSync(); condition.waitSync()',
  'event.waitSync()',
  'barrier.waitSync()',
  'lock.acquire()',
  'semaphore.acquire()',
  'condition.acquireSync(); condition.wait()',
  'event.wait()',
  'barrier.wait()',
]

const objects = `
const lock = new mp.Lock()
lock.acquireSync()
const semaphore = new mp.Semaphore(0)
const condition = new mp.Condition()
const event = new mp.Event()
const barrier = new mp.Barrier(2)
`

test('threads that wait can be ended, in either form, and leave nothing', async (t) => {
  const outcome = await program(
    t,
    `${threads}
import { readdirSync } from 'node:fs'
const count = () => readdirSync('/proc/self/fd').length
if (isMainThread) {
  ${objects}
  const all = [lock, semaphore, condition, event, barrier]
  const round = async (which) => {
    const worker = thread(...all, which)
    await once(worker, 'message')
    await new Promise((resolve) => setTimeout(resolve, 20))
    await worker.terminate()
    barrier.reset()
  }
  for (let i = 0; i < ${waits.length}; i++) await round(i)
  const before = count()
  for (let i = 0; i < ${waits.length}; i++) await round(i)
  console.log(count() - before)
} else {
  const [lock, semaphore, condition, event, barrier, which] = received()
  parentPort.postMessage('waiting')
  switch (which) {
${waits.map((wait, i) => `    case ${i}: ${wait}; break`).join('\n')}
  }
}
`,
    { limit: 40_000 },
  )
  t.deepEqual([outcome.code, outcome.stdout], [0, '0\n'], outcome.stderr)
})

test('what a thread held that was ended is taken over', async (t) => {
  const outcome = await program(
    t,
    `${threads}
if (isMainThread) {
  const lock = new mp.RLock()
  const worker = thread(lock)
  await once(worker, 'message')
  console.log(lock.acquireSync({ block: false }), String(lock))
  const waiting = lock.acquire()
  await worker.terminate()
  console.log(await waiting, lock.abandoned)
} else {
  const [lock] = received()
  lock.acquireSync()
  parentPort.postMessage('held')
  setInterval(() => {}, 1000)
}
`,
  )
  t.is(outcome.stdout, 'false <RLock(SomeOtherThread, nonzero)>\ntrue true\n', outcome.stderr)
})

for (const wait of waits) {
  test(`process.exit while ${wait} waits`, async (t) => {
    const sync = wait.includes('Sync()') && !wait.includes(').wait()') && !/\.wait\(\)$/.test(wait)
    const outcome = await program(
      t,
      sync
        ? `${threads}
if (isMainThread) {
  ${objects}
  const worker = thread(lock, semaphore, condition, event, barrier)
  await once(worker, 'message')
  await new Promise((resolve) => setTimeout(resolve, 30))
  process.exit(3)
} else {
  const [lock, semaphore, condition, event, barrier] = received()
  parentPort.postMessage('waiting')
  ${wait}
}
`
        : `${objects}
${wait}
setTimeout(() => process.exit(3), 30)
`,
      { limit: 15_000 },
    )
    t.deepEqual([outcome.code, outcome.signal], [3, null], outcome.stderr)
  })
}

test('a wait in the Promise form keeps the program running, and nothing else does', async (t) => {
  const outcome = await program(
    t,
    `
const event = new mp.Event()
const lock = new mp.Lock()
lock.acquireSync()
setTimeout(() => {
  event.set()
  lock.release()
}, 50).unref()
console.log(await Promise.all([event.wait(), lock.acquire()]))
`,
  )
  t.deepEqual([outcome.code, outcome.stdout], [0, '[ true, true ]\n'], outcome.stderr)
})

for (const wait of waits.slice(0, 5)) {
  test(`SIGINT ends ${wait} with an error where the program listens`, async (t) => {
    const outcome = await program(
      t,
      `
import { spawn } from 'node:child_process'
${objects}
process.on('SIGINT', () => console.log('heard'))
spawn('sh', ['-c', 'sleep 0.5; kill -INT ' + process.pid], { stdio: 'ignore' })
try {
  ${wait}
} catch (error) {
  console.log(error.name, error.code, condition.locked(), barrier.nWaiting, barrier.broken)
}
`,
      { limit: 15_000 },
    )
    const held = wait.startsWith('condition')
    t.is(
      outcome.stdout,
      `KeyboardInterrupt ERR_KEYBOARD_INTERRUPT ${held} 0 false\nheard\n`,
      outcome.stderr,
    )
  })
}

test('SIGINT ends a program that does not listen, also while it waits', async (t) => {
  const outcome = await program(
    t,
    `
import { spawn } from 'node:child_process'
spawn('sh', ['-c', 'sleep 0.5; kill -INT ' + process.pid], { stdio: 'ignore' })
new mp.Event().waitSync()
`,
    { limit: 15_000 },
  )
  t.is(outcome.signal, 'SIGINT')
})

test('copies of a program made by fork are owners of their own', async (t) => {
  const outcome = await program(
    t,
    `
const lock = new mp.RLock()
const event = new mp.Event()
const pending = event.wait()
const child = () => {
  console.log(String(lock), lock.acquireSync({ block: false }))
  lock.acquireSync()
  console.log(String(lock))
  event.set()
  event.waitSync()
  lock.release()
}
if (mp.isMainProcess) {
  lock.acquireSync()
  const p = new (mp.getContext('fork').Process)({ target: child })
  p.start()
  await new Promise((resolve) => setTimeout(resolve, 200))
  lock.release()
  await p.join()
  console.log(await pending, p.exitcode, String(lock))
}
`,
    { execArgv: FORK_OPTIONS, limit: 15_000 },
  )
  t.is(
    outcome.stdout,
    '<RLock(SomeOtherProcess, nonzero)> false\n<RLock(ForkProcess-1, 1)>\ntrue 0 <RLock(None, 0)>\n',
    outcome.stderr,
  )
})

test.serial('the last party does not pass a barrier at which another one has died', async (t) => {
  await underWatchdog(async () => {
    const barrier = new mp.Barrier(3)
    const parties = [0, 1].map(
      () => new mp.Process({ target: fixtures.waitAt, args: [barrier], daemon: true }),
    )
    for (const party of parties) party.start()
    await until('both are there', () => barrier.nWaiting === 2)
    for (const party of parties) {
      party.kill()
      await party.join()
      party.close()
    }
    const refused = { instanceOf: mp.BrokenBarrierError }
    await t.throwsAsync(barrier.wait({ timeout: 20_000 }), refused)
    t.true(barrier.broken)
    barrier.reset()
    t.false(barrier.broken)
    t.is(barrier.nWaiting, 0)
  })
})
