/** The fork server itself: one for a program, quiet, replaced when it dies, gone with its program. */
import test from 'ava'
import { program } from './fixtures/process-programs.js'

const watching = `
import { readFileSync, readdirSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
export const nothing = () => {}
export const idle = async (ready) => { await ready.send(process.pid); await ready.poll(null).catch(() => {}); process.exit(7) }
const read = (path) => { try { return readFileSync('/proc/' + path, 'utf8') } catch { return '' } }
const fieldsOf = (pid) => read(pid + '/stat').split(') ').at(-1).split(' ')
const parentOf = (pid) => Number(fieldsOf(pid)[1])
const childrenOf = (pid) => read(pid + '/task/' + pid + '/children').trim().split(' ').filter(Boolean).map(Number)
const isServer = (pid) => read(pid + '/cmdline').includes('--single-threaded') && fieldsOf(pid)[0] !== 'Z'
const servers = () => childrenOf(process.pid).filter(isServer)
const descriptorsOf = (pid) => readdirSync('/proc/' + pid + '/fd').length
const run = async (target = nothing, ...args) => {
  const child = new mp.Process({ target, args })
  child.start()
  await child.join()
  const { exitcode } = child
  child.close()
  return exitcode
}
const startIdle = async (Process = mp.Process) => {
  const [ours, theirs] = mp.Pipe()
  const child = new Process({ target: idle, args: [theirs] })
  child.start()
  theirs.close()
  await ours.recv()
  return [child, ours]
}
const until = async (holds) => { while (!holds()) await sleep(5) }
/** What the program and its server hold, once nothing changes any more: a server gets ready for the next start. */
const settled = async () => {
  const [server] = servers()
  const counts = () => [descriptorsOf('self'), descriptorsOf(server), childrenOf(server).length]
  for (;;) {
    const before = counts()
    await sleep(250)
    if (before.join() === counts().join()) return before
  }
}
// A leak would be one for each start; garbage may come and go.
const noMoreThan = (before, now) => now.every((count, i) => count < before[i] + 5) || before.join() + ' to ' + now.join()
const show = (...values) => console.log(JSON.stringify(values))
`

const shown = (stdout: string): unknown[] =>
  stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line))

test('a program has one server, which its children and threads share; and none before it needs one', async (t) => {
  const { stdout, stderr } = await program(
    t,
    `${watching}
import { once } from 'node:events'
import { isMainThread, parentPort, Worker } from 'node:worker_threads'
export const tellParent = (writer) => writer.sendSync(parentOf(process.pid))
export const startFurther = async (writer) => {
  writer.sendSync(parentOf(process.pid))
  await run(tellParent, writer)
}
if (!isMainThread) {
  const [reader, writer] = mp.Pipe(false)
  await run(tellParent, writer)
  parentPort.postMessage(await reader.recv())
} else if (mp.isMainProcess) {
  show(servers().length)
  const [reader, writer] = mp.Pipe(false)
  await run(tellParent, writer)
  await run(startFurther, writer)
  const found = [await reader.recv(), await reader.recv(), await reader.recv()]
  const threads = Array.from({ length: 3 }, () => new Worker(new URL(import.meta.url)))
  const ends = threads.map((thread) => once(thread, 'exit'))
  for (const [pid] of await Promise.all(threads.map((thread) => once(thread, 'message')))) found.push(pid)
  await Promise.all(ends)
  await run(tellParent, writer)
  found.push(await reader.recv())
  show(new Set(found).size, servers().length, found[0] === servers()[0])
}
`,
  )
  t.deepEqual(shown(stdout), [[0], [1, 1, true]], stderr)
})

test('a thread that starts the first process does not take the server with it', async (t) => {
  const { stdout, stderr } = await program(
    t,
    `${watching}
import { once } from 'node:events'
import { isMainThread, Worker } from 'node:worker_threads'
if (!isMainThread) await run()
else if (mp.isMainProcess) {
  const [code] = await once(new Worker(new URL(import.meta.url)), 'exit')
  const [server] = servers()
  show(code, await run(), servers()[0] === server, servers().length)
}
`,
  )
  t.deepEqual(shown(stdout), [[0, 0, true, 1]], stderr)
})

test('the server is quiet while nobody asks', async (t) => {
  const { stdout, stderr } = await program(
    t,
    `${watching}
if (mp.isMainProcess) {
  const [child, ours] = await startIdle()
  const all = [servers()[0], ...childrenOf(servers()[0])]
  const work = (pid) => Number(fieldsOf(pid)[11]) + Number(fieldsOf(pid)[12])
  // What is left to do after a start is done soon.
  let before
  do { before = all.map(work).join(); await sleep(500) } while (before !== all.map(work).join())
  await sleep(1500)
  show(before === all.map(work).join())
  ours.close()
  await child.join()
}
`,
  )
  t.deepEqual(shown(stdout), [[true]], stderr)
})

test('a thousand starts in a row leave nothing, and the server does not grow', async (t) => {
  const { stdout, stderr } = await program(
    t,
    `${watching}
if (mp.isMainProcess) {
  const codes = {}
  const starts = async (count) => {
    for (let i = 0; i < count; i++) {
      const code = await run()
      codes[code] = (codes[code] ?? 0) + 1
    }
  }
  await starts(20)
  const [server] = servers()
  // What it has in files in memory is the same for all, and counts as private or not as they come and go.
  const own = () => Number(/Anonymous: +(\\d+)/.exec(read(server + '/smaps_rollup'))[1])
  const before = await settled()
  const memory = own()
  await starts(1000)
  show(codes, servers()[0] === server, own() - memory < 500, noMoreThan(before, await settled()))
}
`,
    { limit: 120_000 },
  )
  t.deepEqual(shown(stdout), [[{ 0: 1020 }, true, true, true]], stderr)
})

test('a hundred starts at once lose none and leave nothing', async (t) => {
  const { stdout, stderr } = await program(
    t,
    `${watching}
if (mp.isMainProcess) {
  await run()
  const [server] = servers()
  const before = await settled()
  for (let round = 0; round < 3; round++) {
    const started = await Promise.all(Array.from({ length: 100 }, () => startIdle()))
    const pids = new Set(started.map(([child]) => child.pid))
    for (const [, ours] of started) ours.close()
    for (const [child] of started) await child.join()
    show(pids.size, started.filter(([child]) => child.exitcode === 7).length, mp.activeChildren().length)
    for (const [child] of started) child.close()
  }
  show(servers()[0] === server, noMoreThan(before, await settled()))
}
`,
    { limit: 90_000 },
  )
  t.deepEqual(shown(stdout), [...Array(3).fill([100, 100, 0]), [true, true]], stderr)
})

test('a server that is killed is replaced at the next start, once; its children go on, and say how they end', async (t) => {
  const { stdout, stderr } = await program(
    t,
    `${watching}
if (mp.isMainProcess) {
  const [ending, toEnding] = await startIdle()
  const [killed, toKilled] = await startIdle()
  const [server] = servers()
  process.kill(server, 'SIGKILL')
  // The event loop has not heard of it yet.
  const [next, toNext] = await startIdle()
  const [second] = servers()
  await sleep(50)
  show(servers().length, second !== server, await run(), servers()[0] === second)
  show(ending.isAlive(), killed.isAlive())
  toEnding.close()
  await ending.join()
  killed.kill()
  await killed.join()
  toKilled.close()
  toNext.close()
  await next.join()
  show(ending.exitcode, killed.exitcode, next.exitcode)
  await until(() => childrenOf(process.pid).every((pid) => fieldsOf(pid)[0] !== 'Z'))
}
`,
  )
  t.deepEqual(
    shown(stdout),
    [
      [1, true, 0, true],
      [true, true],
      [7, 255, 7],
    ],
    stderr,
  )
})

for (const signal of ['SIGTERM', 'SIGHUP', 'SIGKILL', 'SIGUSR2', 'SIGINT', 'SIGCONT', 'SIGCHLD']) {
  test(`processes can be started after the server was sent ${signal}`, async (t) => {
    const { stdout, stderr } = await program(
      t,
      `${watching}
if (mp.isMainProcess) {
  for (let i = 0; i < 3; i++) {
    const code = await run()
    const [server] = servers()
    process.kill(server, '${signal}')
    await sleep(20)
    show(code, await run())
  }
}
`,
    )
    t.deepEqual(shown(stdout), Array(3).fill([0, 0]), stderr)
  })
}

test('a server that is killed again and again while processes are started loses no start', async (t) => {
  const { stdout, stderr } = await program(
    t,
    `${watching}
if (mp.isMainProcess) {
  let kills = 0
  const killing = setInterval(() => {
    for (const server of servers()) {
      process.kill(server, 'SIGKILL')
      kills++
    }
  }, 40)
  const codes = {}
  const count = (code) => { codes[code] = (codes[code] ?? 0) + 1 }
  while (kills < 12) {
    const children = Array.from({ length: 4 }, () => new mp.Process({ target: nothing }))
    for (const child of children) child.start()
    for (const child of children) {
      await child.join()
      count(child.exitcode)
      child.close()
    }
    await sleep(1)
  }
  clearInterval(killing)
  // One whose server died before it could say how a child ended by itself is told by the child.
  show(Object.keys(codes), await run())
  await until(() => childrenOf(process.pid).every((pid) => fieldsOf(pid)[0] !== 'Z'))
}
`,
    { limit: 60_000 },
  )
  t.deepEqual(shown(stdout), [[['0'], 0]], stderr)
})

for (const [title, end, code, signal] of [
  ['comes to its end', '', 0, null],
  ['calls process.exit', 'process.exit(3)', 3, null],
  ['fails', "throw new Error('a failure')", 1, null],
  ['is killed', "process.kill(process.pid, 'SIGKILL')", null, 'SIGKILL'],
  ['is killed before the server is ready', '', null, 'SIGKILL'],
  ['executes nothing but a start', '', 0, null],
] as const) {
  test(`the server ends with its program when that ${title}`, async (t) => {
    const early = title.endsWith('ready')
    const source = early
      ? `
import { readFileSync } from 'node:fs'
export const nothing = () => {}
if (mp.isMainProcess) {
  process.kill(process.ppid, 0)
  const watcher = new (await import('node:worker_threads')).Worker(
    "const { readFileSync } = require('node:fs'); for (;;) { const children = readFileSync('/proc/self/task/' + process.pid + '/children', 'utf8'); if (children.trim()) process.kill(process.pid, 'SIGKILL') }",
    { eval: true },
  )
  await new Promise((resolve) => watcher.once('online', resolve))
  new mp.Process({ target: nothing }).start()
}
`
      : `${watching}
if (mp.isMainProcess) {
  ${title.startsWith('executes') ? 'new mp.Process({ target: nothing }).start()' : 'await run()'}
  ${end}
}
`
    // That no process is left of its group is what running a program asserts.
    const outcome = await program(t, source)
    t.deepEqual([outcome.code, outcome.signal], [code, signal], outcome.stderr)
  })
}

test('children that are no daemons live on when their parent is killed, and the server with them', async (t) => {
  const { stdout, stderr } = await program(
    t,
    `${watching}
import { writeSync } from 'node:fs'
export const outlive = async (ready) => {
  await ready.send(process.pid)
  await mp.parentProcess().join()
  const code = await run()
  writeSync(1, JSON.stringify(['alone', code]) + '\\n')
}
export const middle = async (ready) => {
  new mp.Process({ target: outlive, args: [ready] }).start()
  setInterval(() => {}, 1000)
}
if (mp.isMainProcess) {
  const [reader, writer] = mp.Pipe(false)
  const child = new mp.Process({ target: middle, args: [writer] })
  child.start()
  writer.close()
  await reader.recv()
  child.kill()
  await child.join()
  show(child.exitcode)
  await reader.poll(null).catch(() => {})
}
`,
  )
  t.deepEqual(
    shown(stdout).sort((a, b) => JSON.stringify(a).localeCompare(JSON.stringify(b))),
    [[-9], ['alone', 0]].sort((a, b) => JSON.stringify(a).localeCompare(JSON.stringify(b))),
    stderr,
  )
})

test('an idle child has less than 1.5 MiB of its own', async (t) => {
  const { stdout, stderr } = await program(
    t,
    `${watching}
if (mp.isMainProcess) {
  const started = []
  for (let i = 0; i < 5; i++) started.push(await startIdle())
  await until(() => started.every(([child]) => fieldsOf(child.pid)[0] === 'S'))
  // What nobody else has, anonymous or of a file, written to or not: all of it would be free without the child.
  const own = started.map(([{ pid }]) =>
    [...read(pid + '/smaps_rollup').matchAll(/^Private_(?:Clean|Dirty): +(\\d+)/gm)].reduce((sum, [, kilobytes]) => sum + Number(kilobytes), 0))
  show(own)
  for (const [child, ours] of started) { ours.close(); await child.join() }
}
`,
  )
  const [own] = (shown(stdout) as number[][][])[0] ?? [[]]
  t.is(own?.length, 5, stderr)
  const median = own?.sort((a, b) => a - b)[2] ?? 0
  t.true(median > 0 && median < 1536, `${own} KiB`)
})

test('the limits of the system are errors of start, and nothing is left then', async (t) => {
  const { stdout, stderr } = await program(
    t,
    `${watching}
import { openSync, closeSync } from 'node:fs'
if (mp.isMainProcess) {
  await run()
  const before = descriptorsOf('self')
  const held = []
  try { for (;;) held.push(openSync('/dev/null')) } catch (error) { show(error.code) }
  let outcomes = new Set()
  for (let spare = 0; spare < 8; spare++) {
    const child = new mp.Process({ target: nothing })
    try {
      child.start()
      await child.join()
      outcomes.add(child.exitcode)
    } catch (error) {
      outcomes.add(error instanceof mp.OSError && error.code)
    }
    child.close()
    closeSync(held.pop())
  }
  for (const fd of held) closeSync(fd)
  show([...outcomes].sort(), await run(), mp.activeChildren().length, descriptorsOf('self') - before, servers().length)
}
`,
    { execArgv: [] },
  )
  const rows = shown(stdout) as unknown[][]
  t.deepEqual(rows[0], ['EMFILE'], stderr)
  const [outcomes, ...rest] = rows[1] ?? []
  t.true(
    (outcomes as unknown[]).every((it) => it === 'EMFILE' || it === 0),
    `${outcomes}`,
  )
  t.true((outcomes as unknown[]).includes('EMFILE'))
  t.deepEqual(rest, [0, 0, 0, 1])
})

test('a program ends after its server, however long that takes', async (t) => {
  const { stdout, stderr } = await program(
    t,
    `${watching}
import { spawn } from 'node:child_process'
if (mp.isMainProcess) {
  await run()
  const [server] = servers()
  process.kill(server, 'SIGSTOP')
  const script = 'sleep 1; kill -0 ' + process.pid + " && echo '\\"it waits\\"'; kill -CONT " + server
  const waker = spawn('sh', ['-c', script], { detached: true, stdio: ['ignore', 'inherit', 'ignore'] })
  waker.unref()
  show('end')
}
`,
  )
  t.deepEqual(shown(stdout), [['end'], 'it waits'], stderr)
})

test('a program does not wait for a server that others use', async (t) => {
  const { stdout, stderr } = await program(
    t,
    `${watching}
export const orphan = async (program, told) => {
  told.sendSync(process.pid)
  const begun = Date.now()
  await until(() => !/^[^Z]/.test(fieldsOf(program)[0] ?? '') || Date.now() - begun > 3000)
  show(Date.now() - begun < 3000)
}
export const parent = (program, told) => {
  const child = new mp.Process({ target: orphan, args: [program, told] })
  child.start()
  child.joinSync()
}
if (mp.isMainProcess) {
  const [ours, theirs] = mp.Pipe()
  const child = new mp.Process({ target: parent, args: [process.pid, theirs] })
  child.start()
  await ours.recv()
  child.kill()
  await child.join()
}
`,
  )
  t.deepEqual(shown(stdout), [[true]], stderr)
})
