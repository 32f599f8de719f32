/** However a program ends: a process that was forked ends as one that was spawned. */
import test from 'ava'
import { program } from './fixtures/process-programs.js'

/** Ways to end: what the process runs, and its exit code. */
const ends: Readonly<Record<string, readonly [string, number]>> = {
  'exit in a tick': ['process.nextTick(() => process.exit(3))', 3],
  'exit in an immediate': ['setImmediate(() => process.exit(3))', 3],
  'exit in a promise': ['Promise.resolve().then(() => process.exit(3))', 3],
  'exit in finally': ['setTimeout(async () => { try { await 0 } finally { process.exit(3) } })', 3],
  'exit in a file callback': ["fs.readFile('/etc/hostname', () => process.exit(3))", 3],
  'exit in exit': ["process.on('exit', () => process.exit(3))", 3],
  'exit in beforeExit': ["process.on('beforeExit', () => process.exit(3))", 3],
  'exit in a signal': [
    "process.on('SIGUSR2', () => process.exit(3)); keep(); process.kill(process.pid, 'SIGUSR2')",
    3,
  ],
  'exit in uncaughtException': [
    "process.on('uncaughtException', () => process.exit(3)); setTimeout(fail)",
    3,
  ],
  'exit in uncaughtExceptionMonitor': [
    "process.on('uncaughtExceptionMonitor', () => process.exit(3)); setTimeout(fail)",
    3,
  ],
  'exit in a write callback': ["process.stdout.write('', () => process.exit(3))", 3],
  'exit with text': ["process.exit('3')", 3],
  'exit with too much': ['process.exit(256 + 3)', 3],
  'exit with less than nothing': ['process.exit(-1)', 255],
  'exit with exitCode': ['process.exitCode = 4; process.exit()', 4],
  exitCode: ['process.exitCode = 4', 4],
  'exitCode as text': ["process.exitCode = '4'", 4],
  'exitCode from beforeExit': [
    "process.exitCode = 7; process.once('beforeExit', (code) => { process.exitCode = code + 1 })",
    8,
  ],
  'exitCode from exit': [
    "process.exitCode = 7; process.on('exit', (code) => { process.exitCode = code + 1 })",
    8,
  ],
  'more work from beforeExit': [
    "let n = 0; process.on('beforeExit', () => { if (n < 3) setTimeout(() => { process.exitCode = ++n }, 1) })",
    3,
  ],
  'more work from beforeExit, in the thread pool': [
    "let n = 0; process.on('beforeExit', () => { if (n < 3) fs.stat('/', () => { process.exitCode = ++n }) })",
    3,
  ],
  'beforeExit once': ["let n = 0; process.on('beforeExit', () => { process.exitCode = ++n })", 1],
  'a thrown error': ['fail()', 1],
  'a thrown error and exitCode': ['process.exitCode = 9; setTimeout(fail)', 1],
  'a handled error': [
    "process.on('uncaughtException', () => { process.exitCode = 5 }); setTimeout(fail)",
    5,
  ],
  'an error in a handler': ["process.on('uncaughtException', fail); setTimeout(fail)", 7],
  'a captured error': [
    'process.setUncaughtExceptionCaptureCallback(() => { process.exitCode = 8 }); setTimeout(fail)',
    8,
  ],
  'an error in a domain': [
    "const own = require('node:domain').create(); own.on('error', () => process.exit(3)); own.run(() => setTimeout(fail))",
    3,
  ],
  'a handled rejection': [
    "process.on('unhandledRejection', () => { process.exitCode = 6 }); Promise.reject(1)",
    6,
  ],
  'an unhandled rejection': ['Promise.reject(new Error())', 1],
  'an error in exit': ["process.on('exit', fail)", 1],
  'an error in beforeExit': ["process.on('beforeExit', fail)", 1],
  'an error seen by exit': [
    "process.on('exit', (code) => { process.exitCode = code + 20 }); setTimeout(fail)",
    21,
  ],
  'too deep a recursion': ['const deeper = () => 1 + deeper(); setTimeout(deeper)', 1],
  reallyExit: ['process.reallyExit(5)', 5],
  abort: ['process.abort()', -6],
  'nothing awaits': ['return new Promise(() => {})', 0],
  'only what is unreferenced': ['setTimeout(() => {}, 1e6).unref()', 0],
  'a signal that is ignored': ["process.kill(process.pid, 'SIGPIPE'); setTimeout(() => {}, 10)", 0],
  'a signal with a listener that went away': [
    "const f = () => {}; process.on('SIGTERM', f).off('SIGTERM', f); keep(); process.kill(process.pid, 'SIGTERM')",
    -15,
  ],
  SIGINT: ["keep(); process.kill(process.pid, 'SIGINT')", 1],
  ...Object.fromEntries(
    Object.entries({
      SIGHUP: 1,
      SIGQUIT: 3,
      SIGILL: 4,
      SIGTRAP: 5,
      SIGABRT: 6,
      SIGBUS: 7,
      SIGFPE: 8,
      SIGKILL: 9,
      SIGUSR2: 12,
      SIGALRM: 14,
      SIGTERM: 15,
      SIGSTKFLT: 16,
      SIGXCPU: 24,
      SIGVTALRM: 26,
      SIGIO: 29,
      SIGPWR: 30,
      SIGSYS: 31,
    }).map(([name, number]) => [name, [`keep(); process.kill(process.pid, '${name}')`, -number]]),
  ),
}

test('a forked process ends as a spawned one does, in every way', async (t) => {
  const { stdout, stderr } = await program(
    t,
    `
import fs from 'node:fs'
import { createRequire } from 'node:module'
const require = createRequire(import.meta.url)
const fail = () => { throw new Error('a failure') }
const keep = () => void setInterval(() => {}, 1000)
export const ends = {
${Object.entries(ends)
  .map(([name, [source]]) => `  [${JSON.stringify(name)}]() { ${source} },`)
  .join('\n')}
}
if (mp.isMainProcess) {
  const outcomes = {}
  for (const method of ['forkserver', 'spawn']) {
    const { Process } = mp.getContext(method)
    outcomes[method] = {}
    for (const [name, target] of Object.entries(ends)) {
      const child = new Process({ target })
      child.start()
      await child.join(20_000)
      outcomes[method][name] = child.exitcode
      child.kill()
      await child.join()
    }
  }
  console.log(JSON.stringify(outcomes))
}
`,
    { limit: 120_000 },
  )
  const { forkserver, spawn } = JSON.parse(stdout || '{}')
  const expected = Object.fromEntries(Object.entries(ends).map(([name, [, code]]) => [name, code]))
  t.deepEqual(forkserver, expected, stderr)
  t.deepEqual(spawn, expected, stderr)
})

test('what a forked process has written is out when it ends, in whatever way', async (t) => {
  const { stdout, stderr } = await program(
    t,
    `
const much = 'x'.repeat(300_000)
export const ends = {
  run() { process.stdout.write(much + '\\n') },
  exit() { process.stdout.write(much + '\\n'); process.exit() },
  fail() { process.stdout.write(much + '\\n'); throw new Error('a failure') },
  kill() { process.stdout.write(much + '\\n'); process.kill(process.pid, 'SIGKILL') },
  log() { console.log(much); console.error('an error is logged') },
}
if (mp.isMainProcess) {
  for (const target of Object.values(ends)) {
    const child = new mp.Process({ target })
    child.start()
    await child.join()
  }
}
`,
  )
  t.is(stdout, `${'x'.repeat(300_000)}\n`.repeat(5), stderr)
  t.regex(stderr, /Process Process-3:\nError: a failure\n {4}at (?:.|\n)*an error is logged/)
})

test('an interrupt that goes to the whole group, as Ctrl-C does: every process has its own answer, and the server none', async (t) => {
  const { stdout, stderr } = await program(
    t,
    `
import { readFileSync } from 'node:fs'
export const idle = (ready) => { ready.sendSync(1); setInterval(() => {}, 1000) }
export const answer = (ready) => { process.on('SIGINT', () => process.exit(40)); idle(ready) }
export const spin = (ready) => { ready.sendSync(1); for (;;) {} }
export const nothing = () => {}
if (mp.isMainProcess) {
  process.on('SIGINT', () => {})
  const children = []
  for (const target of [idle, answer, spin]) {
    const [reader, writer] = mp.Pipe(false)
    const child = new mp.Process({ target, args: [writer] })
    child.start()
    writer.close()
    await reader.recv()
    children.push(child)
  }
  const server = readFileSync('/proc/self/task/' + process.pid + '/children', 'utf8').trim()
  process.kill(-process.pid, 'SIGINT')
  for (const child of children) await child.join()
  console.log(children.map((child) => child.exitcode).join())
  const after = new mp.Process({ target: nothing })
  after.start()
  await after.join()
  console.log(after.exitcode, readFileSync('/proc/self/task/' + process.pid + '/children', 'utf8').trim() === server)
}
`,
  )
  t.is(stdout, '1,40,1\n0 true\n', stderr)
  t.regex(stderr, /Process Process-1:\nKeyboardInterrupt\n/)
  t.regex(stderr, /Process Process-3:\nKeyboardInterrupt\n/)
})
