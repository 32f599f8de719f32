/** The rows about the fork server: each is a program, which has one server. */
import test, { type ExecutionContext } from 'ava'
import * as mp from 'node-multiprocessing'
import { write } from '../fixtures/process-programs.js'
import type { Outcome, RunOptions } from '../helpers/run-program.js'

const where = mp.getAllStartMethods().includes('forkserver') ? test : test.skip

const SERVER = `
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, readlinkSync, writeSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
mp.setStartMethod('forkserver', { force: true })
export const setSoon = async (event, time) => { await sleep(time); event.set() }
const run = async (target, ...args) => {
  const child = new mp.Process({ target, args })
  child.start()
  await child.join()
  const { exitcode } = child
  child.close()
  return exitcode
}
const read = (path) => { try { return readFileSync(path, 'utf8') } catch { return '' } }
const server = () =>
  read('/proc/self/task/' + process.pid + '/children').trim().split(' ').map(Number)
    .find((pid) => read('/proc/' + pid + '/cmdline').includes('forkserver'))
const descriptorsOf = (pid) => readdirSync('/proc/' + pid + '/fd').flatMap((fd) => {
  try { return [[Number(fd), readlinkSync('/proc/' + pid + '/fd/' + fd)]] } catch { return [] }
})
/** The kernel's rows of the sockets that a process has: who they are for, what kind, what name. */
const socketsOf = (pid) => {
  const rows = ['unix', 'tcp', 'tcp6', 'udp', 'udp6'].flatMap((kind) =>
    read('/proc/self/net/' + kind).trim().split('\\n').slice(1).map((row) => [kind, ...row.trim().split(/\\s+/)]))
  return descriptorsOf(pid).flatMap(([fd, link]) => {
    const inode = link.match(/^socket:\\[(\\d+)\\]$/)?.[1]
    return inode ? rows.filter((row) => row.includes(inode)).map((row) => [fd, row]) : []
  })
}
const show = (...values) => console.log(JSON.stringify(values))
`

/** Runs a program whose main module is this, and gives back the lines it wrote. */
const shows = async (
  t: ExecutionContext,
  source: string,
  {
    files = {},
    main = 'main.mjs',
    ...options
  }: RunOptions & { files?: Record<string, string>; main?: string } = {},
): Promise<{ lines: unknown[]; outcome: Outcome }> => {
  const outcome = await write(t, source, { files, main }).run(options)
  t.is(outcome.code, 0, outcome.stderr)
  const lines = outcome.stdout.split('\n').filter(Boolean)
  return { lines: lines.map((line) => JSON.parse(line)), outcome }
}

for (const [title, signal] of [
  ['_TestProcess.test_forkserver_sigint', 'SIGINT'],
  ['_TestProcess.test_forkserver_sigkill', 'SIGKILL'],
] as const) {
  where(title, async (t) => {
    const { lines } = await shows(
      t,
      `${SERVER}
if (mp.isMainProcess) {
  const [early, late] = [new mp.Event(), new mp.Event()]
  const child = new mp.Process({ target: setSoon, args: [early, 300] })
  child.start()
  const first = server()
  process.kill(first, '${signal}')
  await sleep(600)
  show(await run(setSoon, late, 0), late.isSet(), server() === first)
  await child.join()
  show([0, 255].includes(child.exitcode), early.isSet())
}
`,
    )
    // It has no mind to end by an interrupt, which is for the program.
    t.deepEqual(lines, [
      [0, true, signal === 'SIGINT'],
      [true, true],
    ])
  })
}

where('_TestProcess.test_forkserver_auth_is_enabled: it has no address', async (t) => {
  const { lines } = await shows(
    t,
    `${SERVER}
if (mp.isMainProcess) {
  show(await run(setSoon, new mp.Event(), 0))
  const LISTENING = 0x10000
  const sockets = socketsOf(server())
  show(sockets.length > 0)
  for (const [, [kind, , , , flags, , , , name]] of sockets) {
    if (kind !== 'unix' || Number.parseInt(flags, 16) & LISTENING || name !== undefined) show(kind, flags, name)
  }
  const held = execFileSync('ls', ['-l', '/proc/self/fd'], { encoding: 'utf8' })
  show(held.match(/ (?:[3-9]|\\d\\d+) -> socket:.*/g))
}
`,
  )
  // Nor is it handed to other programs.
  t.deepEqual(lines, [[0], [true], [null]])
})

where('_TestProcess.test_forkserver_without_auth_fails: what is no request', async (t) => {
  const { lines } = await shows(
    t,
    `${SERVER}
if (mp.isMainProcess) {
  await run(setSoon, new mp.Event(), 0)
  const [before, SEQUENCED] = [server(), '0005']
  const control = socketsOf('self').filter(([, [kind, , , , , type]]) => kind === 'unix' && type === SEQUENCED)
  show(control.length > 0)
  for (const text of ['a', 'a wrong key', '\\0'.repeat(64)]) {
    for (const [fd] of control) writeSync(fd, text)
    show(await run(setSoon, new mp.Event(), 0), server() === before)
  }
}
`,
  )
  t.deepEqual(lines, [[true], ...Array(3).fill([0, true])])
})

where('_TestSpawnedSysPath.test_forkserver_preload_imports_sys_path', async (t) => {
  const written = write(
    t,
    `${SERVER}
export const look = (writer) => writer.sendSync([globalThis.serverLoaded !== process.pid, globalThis.serverLoaded > 0])
if (mp.isMainProcess) {
  mp.setForkserverPreload(['only-by-node-path'])
  const [reader, writer] = mp.Pipe(false)
  show(await run(look, writer), reader.recvSync())
}
`,
    { files: { 'elsewhere/only-by-node-path.js': 'globalThis.serverLoaded = process.pid' } },
  )
  const { stdout, stderr } = await written.run({
    env: { NODE_PATH: `${written.folder}/elsewhere` },
  })
  t.is(stdout, '[0,[true,true]]\n', stderr)
})

where('_TestSpawnedSysPath.test_std_streams_flushed_after_preload', async (t) => {
  const { stdout, stderr, code } = await write(
    t,
    `${SERVER}
export const nothing = () => {}
if (mp.isMainProcess) {
  mp.setForkserverPreload(['./says.mjs'])
  for (let i = 0; i < 3; i++) await run(nothing)
}
`,
    {
      files: {
        'says.mjs': `
process.stdout.write('to standard output')
process.stderr.write('to standard error')
`,
      },
    },
  ).run()
  t.deepEqual(
    { code, stderr, stdout },
    { code: 0, stderr: 'to standard error', stdout: 'to standard output' },
  )
})

/** Says of each process that evaluates the main module which it is; and what it was called with. */
const evaluated = `
console.log(JSON.stringify([mp.isMainProcess, process.argv.slice(2).length, process.argv.at(-1)]))
const nothing = () => console.log('[]')
`

for (const [main, exporting] of [
  ['main.mjs', 'export { nothing }'],
  ['main.cjs', 'exports.nothing = nothing'],
] as const) {
  for (const [title, args] of [
    ['MiscTestCase.test_preload_main', ['last']],
    ['MiscTestCase.test_preload_main_sys_argv', ['a', 'with space', '', '-e', '--', 'last']],
    [
      'MiscTestCase.test_preload_main_large_sys_argv',
      [...Array<string>(5001).fill('argument'), 'last'],
    ],
  ] as const) {
    where(`${title}: ${main}`, async (t) => {
      const source = `${evaluated}${exporting}
const start = async () => {
  mp.setStartMethod('forkserver')
  for (let i = 0; i < 2; i++) {
    const child = new mp.Process({ target: nothing })
    child.start()
    await child.join()
    console.log(child.exitcode)
  }
}
if (mp.isMainProcess) start()
`
      const { lines } = await shows(t, source, { main, args })
      const here = [args.length, 'last']
      t.deepEqual(lines, [[true, ...here], [false, ...here], [], 0, [], 0])
    })
  }
}

where('TestStartMethod.test_preload_resources', async (t) => {
  const { lines, outcome } = await shows(
    t,
    `${SERVER}
import { use } from './resources.mjs'
if (mp.isMainProcess) {
  mp.setForkserverPreload(['./resources.mjs'])
  for (let i = 0; i < 3; i++) show(await run(use))
}
`,
    {
      files: {
        'resources.mjs': `
import * as mp from '${import.meta.resolve('node-multiprocessing')}'
import { SharedMemory } from '${import.meta.resolve('node-multiprocessing/shared-memory')}'
const lock = new mp.Lock()
const event = new mp.Event()
const counter = mp.Value('i', 0)
const [reader, writer] = mp.Pipe(false)
const block = new SharedMemory({ create: true, size: 100 })
block.unlink()
export const use = () => {
  lock.acquireSync()
  event.set()
  counter.value += 1
  writer.sendSync(counter.value)
  block.buf[0] = reader.recvSync()
  lock.release()
  process.exitCode = event.isSet() && block.buf[0] > 0 ? 0 : 1
}
`,
      },
    },
  )
  t.deepEqual({ lines, stderr: outcome.stderr }, { lines: [[0], [0], [0]], stderr: '' })
})
