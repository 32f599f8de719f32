/** Lives and deaths of processes: exit codes, errors, signals, daemons, joins, what is inherited. */
import test from 'ava'
import { program } from './fixtures/process-programs.js'

const lines = (stdout: string): string[] => stdout.split('\n').filter(Boolean)

test('every exit code comes through, however it is set', async (t) => {
  const { stdout, stderr } = await program(
    t,
    `
export const exit = (code) => process.exit(code)
export const setExitCode = (code) => { process.exitCode = code }
export const exitInHandler = (code) => process.on('exit', () => { process.exitCode = code })
export const late = (code) => void setTimeout(() => process.exit(code), 5)
export const quit = (status) => { throw new mp.SystemExit(status) }
export const quitLate = (status) => void setTimeout(() => { throw new mp.SystemExit(status) }, 5)
export const quitRejected = (status) => void Promise.reject(new mp.SystemExit(status))
export const quitAsync = async (status) => { await null; throw new mp.SystemExit(status) }
if (mp.isMainProcess) {
  const codes = [0, 1, 2, 5, 127, 128, 129, 254, 255]
  for (const target of [exit, setExitCode, exitInHandler, late]) {
    const children = codes.map((code) => new mp.Process({ target, args: [code] }))
    for (const child of children) child.start()
    for (const child of children) await child.join()
    console.log(target.name, children.map((child) => child.exitcode).join())
  }
  const statuses = [undefined, null, true, false, 0, 7, 'text', { a: 1 }, 1.5]
  for (const target of [quit, quitLate, quitRejected, quitAsync]) {
    const children = statuses.map((status) => new mp.Process({ target, args: [status] }))
    for (const child of children) child.start()
    for (const child of children) await child.join()
    console.log(target.name, children.map((child) => child.exitcode).join())
  }
}
`,
    { limit: 90_000 },
  )
  t.deepEqual(
    lines(stdout),
    [
      ...['exit', 'setExitCode', 'exitInHandler', 'late'].map(
        (name) => `${name} 0,1,2,5,127,128,129,254,255`,
      ),
      ...['quit', 'quitLate', 'quitRejected', 'quitAsync'].map(
        (name) => `${name} 0,0,1,0,0,7,1,1,1`,
      ),
    ],
    stderr,
  )
  t.is(stderr.split('text').length, 5, stderr)
  t.notRegex(stderr, /Process Process-/)
})

test('all exit codes from 0 to 255', async (t) => {
  const { stdout, stderr } = await program(
    t,
    `
export const exit = (code) => process.exit(code)
if (mp.isMainProcess) {
  let wrong = 0
  for (let start = 0; start < 256; start += 16) {
    const children = Array.from({ length: 16 }, (_, i) => new mp.Process({ target: exit, args: [start + i] }))
    for (const child of children) child.start()
    for (const [i, child] of children.entries()) {
      await child.join()
      if (child.exitcode !== start + i) wrong++
    }
  }
  console.log(wrong, mp.activeChildren().length)
}
`,
    { limit: 90_000 },
  )
  t.is(stdout, '0 0\n', stderr)
})

test('errors that nobody catches are printed under the name, with their stack, and the code is 1', async (t) => {
  const { stdout, stderr } = await program(
    t,
    `
export const inRun = () => { throw new RangeError('thrown in run') }
export const inTimer = () => { setTimeout(() => { throw new RangeError('thrown in timer') }, 1) }
export const inPromise = () => { Promise.reject(new RangeError('rejected')) }
export const asynchronous = async () => { await null; throw new RangeError('thrown later') }
export const noError = () => { throw { plain: 'object' } }
export const hostile = () => { throw new Proxy({}, { get() { throw new Error('no') }, getPrototypeOf() { throw new Error('no') }, ownKeys() { throw new Error('no') } }) }
export const nothing = () => { throw undefined }
if (mp.isMainProcess) {
  for (const target of [inRun, inTimer, inPromise, asynchronous, noError, hostile, nothing]) {
    const child = new mp.Process({ target, name: 'named-' + target.name })
    child.start()
    await child.join()
    console.log(target.name, child.exitcode)
  }
}
`,
  )
  const names = ['inRun', 'inTimer', 'inPromise', 'asynchronous', 'noError', 'hostile', 'nothing']
  t.deepEqual(
    lines(stdout),
    names.map((name) => `${name} 1`),
    stderr,
  )
  for (const name of names)
    t.is(stderr.split(`Process named-${name}:\n`).length, 2, `${name}: ${stderr}`)
  for (const [name, text] of [
    ['inRun', 'thrown in run'],
    ['inTimer', 'thrown in timer'],
    ['inPromise', 'rejected'],
    ['asynchronous', 'thrown later'],
  ]) {
    t.regex(
      stderr,
      new RegExp(`Process named-${name}:\\n[^]*RangeError: ${text}\\n    at [^]*main\\.mjs`),
    )
  }
})

test('signals: their codes, with and without a handler, and in a busy loop', async (t) => {
  const { stdout, stderr } = await program(
    t,
    `
export const wait = async (ready, names) => {
  for (const name of names) process.on(name, () => process.exit(40))
  await ready.send(1)
  setInterval(() => {}, 1000)
}
export const spin = (ready) => { ready.sendSync(1); for (;;) {} }
if (mp.isMainProcess) {
  const run = async (target, names, end) => {
    const [reader, writer] = mp.Pipe(false)
    const child = new mp.Process({ target, args: [writer, names] })
    child.start()
    writer.close()
    await reader.recv()
    child[end]()
    await child.join()
    console.log(target.name, names.join(), end, child.exitcode, /stopped exitcode=(\\S+)>/.exec(String(child))[1])
  }
  for (const end of ['terminate', 'kill', 'interrupt']) {
    await run(wait, [], end)
    await run(spin, [], end)
  }
  await run(wait, ['SIGTERM'], 'terminate')
  await run(wait, ['SIGINT'], 'interrupt')
}
`,
  )
  t.deepEqual(
    lines(stdout),
    [
      'wait  terminate -15 -SIGTERM',
      'spin  terminate -15 -SIGTERM',
      'wait  kill -9 -SIGKILL',
      'spin  kill -9 -SIGKILL',
      'wait  interrupt 1 1',
      'spin  interrupt 1 1',
      'wait SIGTERM terminate 40 40',
      'wait SIGINT interrupt 40 40',
    ],
    stderr,
  )
  t.is(stderr.split('KeyboardInterrupt').length, 3, stderr)
})

const daemons = `
import { writeFileSync, readdirSync } from 'node:fs'
export const idle = (ready) => { ready.sendSync(process.pid); setInterval(() => {}, 1000) }
export const spin = (ready) => { ready.sendSync(process.pid); for (;;) {} }
export const stubborn = (ready) => {
  process.on('SIGTERM', () => {})
  ready.sendSync(process.pid)
  setInterval(() => {}, 1000)
}
export const stubbornSpin = (ready) => {
  process.on('SIGTERM', () => {})
  ready.sendSync(process.pid)
  for (;;) {}
}
const startDaemons = () => {
  for (const target of [idle, spin, stubborn, stubbornSpin]) {
    const [reader, writer] = mp.Pipe(false)
    new mp.Process({ target, args: [writer], daemon: true }).start()
    writer.close()
    reader.recvSync()
  }
}
if (mp.isMainProcess) {
  startDaemons()
  END
}
`

for (const [name, end, code, signal] of [
  ['at its normal end', '', 0, null],
  ['at process.exit', 'process.exit(3)', 3, null],
  ['at an uncaught error', "throw new Error('uncaught')", 1, null],
  ['at an unhandled rejection', "Promise.reject(new Error('unhandled'))", 1, null],
  ['when it is killed', "process.kill(process.pid, 'SIGKILL')", null, 'SIGKILL'],
  ['when it is terminated', "process.kill(process.pid, 'SIGTERM')", null, 'SIGTERM'],
  ['when it aborts', 'process.abort()', null, 'SIGABRT'],
] as const) {
  test(`daemons end with their parent ${name}, the busy and the stubborn too`, async (t) => {
    const outcome = await program(t, daemons.replace('END', end))
    t.deepEqual([outcome.code, outcome.signal], [code, signal], outcome.stderr)
  })
}

test('children that are no daemons are joined at the end, grandchildren by their parents', async (t) => {
  const { stdout, stderr, code } = await program(
    t,
    `
export const grandchild = async () => {
  await new Promise((resolve) => setTimeout(resolve, 300))
  console.log('grandchild')
}
export const child = async () => {
  new mp.Process({ target: grandchild }).start()
  process.on('exit', () => console.log('child'))
  console.log(mp.activeChildren().length)
}
if (mp.isMainProcess) {
  new mp.Process({ target: child }).start()
  process.on('exit', () => console.log('main'))
  setTimeout(() => process.exit(4), 200)
}
`,
  )
  t.deepEqual([code, lines(stdout)], [4, ['1', 'grandchild', 'child', 'main']], stderr)
})

test('a daemon may have no children, and a closed standard stream does no harm', async (t) => {
  const { stdout, stderr } = await program(
    t,
    `
import { closeSync, fstatSync, readSync } from 'node:fs'
export const nothing = () => {}
export const streams = (connection) => {
  const ends = [0, 1, 2].map((fd) => { try { fstatSync(fd); return 'open' } catch { return 'closed' } })
  connection.sendSync([...ends, readSync(0, Buffer.alloc(1))])
}
export const daemonic = (connection) => {
  try {
    new mp.Process({ target: nothing }).start()
  } catch (error) {
    connection.sendSync([error.name, error.message])
  }
}
if (mp.isMainProcess) {
  const [a, b] = mp.Pipe()
  const daemon = new mp.Process({ target: daemonic, args: [b], daemon: true })
  daemon.start()
  const refused = await a.recv()
  await daemon.join()
  const results = [refused]
  for (const fds of [[0], [0, 1, 2]]) {
    if (fds.length === 3) console.log(JSON.stringify(results))
    for (const fd of fds) { try { closeSync(fd) } catch {} }
    const child = new mp.Process({ target: streams, args: [b] })
    child.start()
    results.push(await a.recv())
    await child.join()
    if (child.exitcode !== 0) process.exit(9)
  }
  if (JSON.stringify(results[2]) !== JSON.stringify(['open', 'open', 'open', 0])) process.exit(8)
}
`,
  )
  t.is(
    stdout,
    '[["AssertionError","daemonic processes are not allowed to have children"],["open","open","open",0]]\n',
    stderr,
  )
})

test('nothing is inherited but what was sent, though the parent has much open', async (t) => {
  const { stdout, stderr } = await program(
    t,
    `
import { spawnSync } from 'node:child_process'
import { openSync, readdirSync, readlinkSync } from 'node:fs'
export const list = (connection) => {
  const open = readdirSync('/proc/self/fd').map((fd) => { try { return readlinkSync('/proc/self/fd/' + fd) } catch { return '' } })
  connection.sendSync(open.filter((path) => /inherited|passwd/.test(path)))
}
if (mp.isMainProcess) {
  // Shell-opened descriptors have no close-on-exec flag.
  if (process.env.AGAIN === undefined) {
    const opened = Array.from({ length: 60 }, (_, i) => (i + 30) + '</etc/passwd').join(' ')
    const { stdout, stderr } = spawnSync('bash', ['-c', 'exec ' + opened + '; exec "$0" "$1"', process.execPath, process.argv[1]], { env: { ...process.env, AGAIN: '1' } })
    process.stdout.write(stdout)
    process.stderr.write(stderr)
  } else {
    const mine = readdirSync('/proc/self/fd').length
    const [reader, writer] = mp.Pipe(false)
    const child = new mp.Process({ target: list, args: [writer] })
    child.start()
    console.log(mine > 60, JSON.stringify(await reader.recv()))
    await child.join()
  }
}
`,
  )
  t.is(stdout, 'true []\n', stderr)
})

test('a hundred children at once, and no zombies', async (t) => {
  const { stdout, stderr } = await program(
    t,
    `
import { readFileSync } from 'node:fs'
const read = (path) => { try { return readFileSync('/proc/' + path, 'utf8') } catch { return '' } }
const childrenOf = (pid) => read(pid + '/task/' + pid + '/children').trim().split(' ').filter(Boolean)
const isZombie = (pid) => /\\) Z/.test(read(pid + '/stat'))
const zombies = () => [process.pid, ...childrenOf(process.pid)].flatMap(childrenOf).filter(isZombie)
export const meet = async (connection) => { await connection.send(1); await connection.recv().catch(() => {}) }
if (mp.isMainProcess) {
  const ends = []
  const children = []
  for (let i = 0; i < 100; i++) {
    const [ours, theirs] = mp.Pipe()
    const child = new mp.Process({ target: meet, args: [theirs] })
    child.start()
    theirs.close()
    ends.push(ours)
    children.push(child)
  }
  for (const end of ends) await end.recv()
  console.log(mp.activeChildren().length)
  for (const end of ends) end.close()
  const pids = children.map((child) => child.pid)
  await connections.wait(children.map((child) => child.sentinel))
  while (mp.activeChildren().length > 0) await new Promise((resolve) => setTimeout(resolve, 20))
  console.log(children.every((child) => child.exitcode === 0), mp.activeChildren().length)
  // Who collects them may do so a moment after they have said how they end.
  while (zombies().length > 0) await new Promise((resolve) => setTimeout(resolve, 20))
  console.log(zombies().length)
}
`,
    { limit: 120_000 },
  )
  t.is(stdout, '100\ntrue 0\n0\n', stderr)
})

test('many wait for one process, in both forms, with signals and timeouts', async (t) => {
  const { stdout, stderr } = await program(
    t,
    `
export const wait = async (connection) => { await connection.recv().catch(() => {}) ; process.exit(6) }
if (mp.isMainProcess) {
  const [ours, theirs] = mp.Pipe()
  const child = new mp.Process({ target: wait, args: [theirs] })
  child.start()
  theirs.close()
  const controller = new AbortController()
  const settled = []
  const note = (name) => (promise) => promise.then(() => settled.push(name), (error) => settled.push(name + ':' + error))
  const all = [
    note('plain')(child.join()),
    note('another')(child.join()),
    note('long')(child.join(60_000)),
    note('aborted')(child.join({ signal: controller.signal, timeout: 60_000 })),
    note('short')(child.join(5)),
    note('before')(child.join({ signal: AbortSignal.abort('before') })),
  ]
  controller.abort('enough')
  await new Promise((resolve) => setTimeout(resolve, 100))
  console.log(settled.sort().join(), child.exitcode)
  child.joinSync(1)
  ours.close()
  child.joinSync()
  await Promise.all(all)
  console.log(settled.length, child.exitcode)
  const { signal } = controller
  await child.join().then(() => console.log('ended'))
}
`,
    { limit: 10_000 },
  )
  t.is(stdout, 'aborted:enough,before:before,short null\n6 6\nended\n', stderr)
})

test('a subclass runs in the child with its fields, and one whose fields cannot travel is refused', async (t) => {
  const { stdout, stderr } = await program(
    t,
    `
export class Mine extends mp.Process {
  constructor(value) { super({ name: 'mine' }); this.value = value }
  run() { process.exit(this.value.number + (this instanceof Mine ? 1 : 0)) }
}
const held = new WeakMap()
class Hidden extends mp.Process { run() { return held } }
if (mp.isMainProcess) {
  const child = new Mine({ number: 5 })
  child.start()
  await child.join()
  console.log(child.exitcode, child.name)
  for (const wrong of [new Mine({ cache: held }), new Hidden()]) {
    try {
      wrong.start()
    } catch (error) {
      console.log(error.name, /value\\.cache|Hidden captures held/.test(error.message))
    }
  }
}
`,
  )
  t.is(stdout, '6 mine\nPicklingError true\nPicklingError true\n', stderr)
})
