/** The package in worker threads: many at once, ended while they wait, and the process ended meanwhile. */
import test from 'ava'
import { program } from './fixtures/process-programs.js'

const threads = `
import { once } from 'node:events'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
const thread = (workerData) => new Worker(new URL(import.meta.url), { workerData })
// A process that was forked has no threads of its own.
const { Process } = mp.getContext('spawn')
`

test('twenty threads load the package at once and each talks to itself', async (t) => {
  const outcome = await program(
    t,
    `${threads}
if (isMainThread) {
  const workers = Array.from({ length: 20 }, (_, i) => thread(i))
  const answers = await Promise.all(
    workers.map(async (worker) => {
      const [[answer], [code]] = await Promise.all([once(worker, 'message'), once(worker, 'exit')])
      return answer + code
    }),
  )
  console.log(answers.reduce((sum, answer) => sum + answer, 0))
} else {
  const [a, b] = mp.Pipe()
  const waiting = b.recv()
  await a.send({ number: workerData, large: new Uint8Array(200_000) })
  const { number, large } = await waiting
  a.sendSync(large)
  if (b.recvSync().length !== 200_000) throw new Error('too short')
  parentPort.postMessage(number)
}
`,
  )
  t.deepEqual([outcome.code, outcome.stdout], [0, '190\n'], outcome.stderr)
})

test('threads that wait in the Promise form can be ended, and leave no descriptor', async (t) => {
  const outcome = await program(
    t,
    `${threads}
import { readdirSync } from 'node:fs'
const count = () => readdirSync('/proc/self/fd').length
if (isMainThread) {
  const round = async () => {
    const workers = Array.from({ length: 5 }, () => thread())
    await Promise.all(workers.map((worker) => once(worker, 'message')))
    await Promise.all(workers.map((worker) => worker.terminate()))
  }
  await round()
  const before = count()
  for (let i = 0; i < 4; i++) await round()
  console.log(count() - before)
} else {
  const [a, b] = mp.Pipe()
  const [c, d] = mp.Pipe()
  const [e, f] = mp.Pipe()
  // An end that nothing refers to is closed when it is collected.
  globalThis.kept = [b, d, f]
  e.recv()
  e.poll(null)
  connections.wait([e, f])
  a.sendBytes(new Uint8Array(8e6))
  c.sendBytes(new Uint8Array(8e6))
  parentPort.postMessage('waiting')
}
`,
  )
  t.deepEqual([outcome.code, outcome.stdout], [0, '0\n'], outcome.stderr)
})

for (const call of [
  'b.recvSync()',
  'b.recvBytesIntoSync(new Uint8Array(9))',
  'b.pollSync(null)',
  'connections.waitSync([b])',
  'a.sendBytesSync(new Uint8Array(80e6))',
]) {
  test(`a thread that blocks in ${call} can be ended`, async (t) => {
    const outcome = await program(
      t,
      `${threads}
if (isMainThread) {
  const worker = thread()
  await once(worker, 'message')
  await new Promise((resolve) => setTimeout(resolve, 50))
  await worker.terminate()
  console.log('ended')
} else {
  const [a, b] = mp.Pipe()
  parentPort.postMessage('waiting')
  ${call}
}
`,
      { limit: 8000 },
    )
    t.deepEqual([outcome.code, outcome.stdout], [0, 'ended\n'], outcome.stderr)
  })
}

test('a thread that blocks in joinSync can be ended', async (t) => {
  const outcome = await program(
    t,
    `${threads}
export const sleep = () => new Promise((resolve) => setTimeout(resolve, 5000))
if (mp.isMainProcess) {
  if (isMainThread) {
    const worker = thread()
    const [pid] = await once(worker, 'message')
    await new Promise((resolve) => setTimeout(resolve, 50))
    const start = performance.now()
    await worker.terminate()
    console.log(performance.now() - start < 4000)
    process.kill(pid, 'SIGKILL')
  } else {
    const child = new mp.Process({ target: sleep })
    child.start()
    parentPort.postMessage(child.pid)
    child.joinSync()
  }
}
`,
    { limit: 12_000 },
  )
  t.deepEqual([outcome.code, outcome.stdout], [0, 'true\n'], outcome.stderr)
})

for (const [form, call] of [
  ['the Promise form', 'b.recv()'],
  ['the Sync form', 'b.recvSync()'],
]) {
  test(`process.exit ends the process while threads wait in ${form}`, async (t) => {
    const outcome = await program(
      t,
      `${threads}
if (isMainThread) {
  const workers = Array.from({ length: 3 }, () => thread())
  await Promise.all(workers.map((worker) => once(worker, 'message')))
  await new Promise((resolve) => setTimeout(resolve, 50))
  process.exit(3)
} else {
  const [a, b] = mp.Pipe()
  globalThis.kept = [a, b]
  parentPort.postMessage('waiting')
  ${call}
}
`,
      { limit: 8000 },
    )
    t.deepEqual([outcome.code, outcome.signal], [3, null], outcome.stderr)
  })
}

test('a thread of a child is no main process, and the child stays what it is', async (t) => {
  const outcome = await program(
    t,
    `${threads}
export const withThread = async () => {
  const worker = thread()
  const [answer] = await once(worker, 'message')
  console.log(...answer, mp.isMainProcess, mp.currentProcess().name)
}
if (!isMainThread) {
  parentPort.postMessage([mp.isMainProcess, mp.parentProcess() === null])
} else if (mp.isMainProcess) {
  const child = new Process({ target: withThread, name: 'mine' })
  child.start()
  await child.join()
}
`,
  )
  t.is(outcome.stdout, 'false false false mine\n', outcome.stderr)
})

test('a process started in a thread runs, and lives on when the thread was ended', async (t) => {
  const outcome = await program(
    t,
    `${threads}
export const answer = async (connection) => {
  await connection.send(await connection.recv())
}
if (mp.isMainProcess) {
  if (isMainThread) {
    const [ours, theirs] = mp.Pipe()
    const worker = thread(new reduction.DupFd(theirs.fileno()).detach())
    theirs.close()
    const [pid] = await once(worker, 'message')
    await worker.terminate()
    await ours.send('still there')
    console.log(await ours.recv({ timeout: 10_000 }))
  } else {
    const theirs = new connections.Connection(workerData, { trusted: true })
    const child = new mp.Process({ target: answer, args: [theirs] })
    child.start()
    theirs.close()
    parentPort.postMessage(child.pid)
    await new Promise(() => setInterval(() => {}, 1000))
  }
}
`,
  )
  t.deepEqual([outcome.code, outcome.stdout], [0, 'still there\n'], outcome.stderr)
})

test('a daemon of which a thread has ended still ends when its parent is killed', async (t) => {
  const outcome = await program(
    t,
    `${threads}
export const stubborn = async (ready) => {
  process.on('SIGTERM', () => {})
  const worker = thread()
  await once(worker, 'exit')
  await ready.send(process.pid)
  await new Promise(() => setInterval(() => {}, 1000))
}
export const middle = async (ready) => {
  new Process({ target: stubborn, args: [ready], daemon: true }).start()
  await new Promise(() => setInterval(() => {}, 1000))
}
if (isMainThread && mp.isMainProcess) {
  const [reader, writer] = mp.Pipe(false)
  const child = new Process({ target: middle, args: [writer] })
  child.start()
  writer.close()
  const pid = await reader.recv()
  child.kill()
  await child.join()
  const [ready] = await connections.wait([reader], { timeout: 8000 })
  console.log(ready === reader ? 'gone' : 'still there')
  if (ready === undefined) process.kill(pid, 'SIGKILL')
}
`,
  )
  t.is(outcome.stdout, 'gone\n', outcome.stderr)
})

test('threads that start processes leave no descriptors when they end', async (t) => {
  const outcome = await program(
    t,
    `${threads}
import { readdirSync } from 'node:fs'
export const nothing = () => {}
const count = () => readdirSync('/proc/self/fd').length
if (mp.isMainProcess) {
  if (isMainThread) {
    const round = async () => {
      const worker = thread()
      await once(worker, 'exit')
    }
    await round()
    const before = count()
    for (let i = 0; i < 5; i++) await round()
    console.log(count() - before)
  } else {
    const child = new mp.Process({ target: nothing })
    child.start()
    await child.join()
    child.close()
  }
}
`,
  )
  t.deepEqual([outcome.code, outcome.stdout], [0, '0\n'], outcome.stderr)
})
