/** Targets: which functions travel, which do not, and what is said; programs of every kind and place. */
import { symlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import test from 'ava'
import * as mp from 'node-multiprocessing'
import {
  commonJsPrologue,
  packageUrl,
  program,
  prologue,
  runNode,
  write,
} from './fixtures/process-programs.js'

/** Starts a process for each of some expressions, and prints what became of it. */
const attempt = (expressions: readonly string[], more = ''): string => `
${more}
if (mp.isMainProcess) {
  for (const [text, make] of [${expressions.map((text) => `[${JSON.stringify(text)}, () => (${text})]`).join(', ')}]) {
    try {
      const child = new mp.Process(make())
      child.start()
      await child.join()
      console.log(text, '->', child.exitcode)
    } catch (error) {
      console.log(text, '->', error.name, error.message)
    }
  }
}
`

const lines = (stdout: string): string[] => stdout.split('\n').filter(Boolean)

test('functions of every kind of module and export', async (t) => {
  const { stdout, stderr } = await program(
    t,
    attempt(
      [
        '{ target: own }',
        '{ target: arrow }',
        '{ target: Holder.method }',
        '{ target: holder.member }',
        '{ target: renamed }',
        '{ target: esm.default }',
        '{ target: anonymous.default }',
        '{ target: esm.named }',
        '{ target: again.named }',
        '{ target: topLevelAwait.late }',
        '{ target: cjs.default.member }',
        '{ target: cjsFunction.default }',
        '{ target: data.inData }',
        '{ target: query.which, args: [2] }',
        '{ target: console.log, args: ["said"] }',
        '{ target: Math.max }',
        '{ target: existsSync, args: ["/"] }',
        '{ target: setTimeout, args: [own, 1] }',
        '{ target: process.exit, args: [7] }',
      ],
      `
import * as esm from './esm.mjs'
import * as anonymous from './anonymous.mjs'
import * as again from './again.mjs'
import * as topLevelAwait from './await.mjs'
import * as cjs from './plain.cjs'
import * as cjsFunction from './function.cjs'
import * as data from 'data:text/javascript,export function inData() { process.exit(5) }'
import * as query from './query.mjs?which=2'
import { existsSync } from 'node:fs'
export function own() { process.exit(5) }
export const arrow = () => process.exit(5)
export class Holder { static method() { process.exit(5) } }
export const holder = { member() { process.exit(5) } }
const renamed = () => process.exit(5)
export { renamed as quiteDifferent }
`,
    ),
    {
      files: {
        'esm.mjs':
          'export default function f() { process.exit(5) }\nexport const named = () => process.exit(5)',
        'anonymous.mjs': 'export default () => process.exit(5)',
        'again.mjs': "export * from './esm.mjs'",
        'await.mjs':
          'await new Promise((r) => setTimeout(r, 5))\nexport const late = () => process.exit(5)',
        'plain.cjs': 'exports.member = () => process.exit(5)',
        'function.cjs': 'module.exports = () => process.exit(5)',
        'query.mjs':
          "const n = Number(new URL(import.meta.url).searchParams.get('which'))\nexport const which = (wanted) => process.exit(n === wanted ? 5 : 6)",
      },
    },
  )
  const said = lines(stdout)
  t.is(said.length, 20, `${stdout}\n${stderr}`)
  for (const line of said) {
    if (/console\.log/.test(line)) t.true(line.endsWith('-> 0'), line)
    else if (/Math\.max|existsSync/.test(line)) t.true(line.endsWith('-> 0'), line)
    else if (/process\.exit/.test(line)) t.true(line.endsWith('-> 7'), line)
    else if (line !== 'said') t.true(line.endsWith('-> 5'), line)
  }
})

test('functions that are no exports run by value; what cannot travel is refused at start, and the message says why', async (t) => {
  const { stdout, stderr } = await program(
    t,
    attempt(
      [
        '{ target: hidden }',
        '{ target: () => process.exit(5) }',
        '{ target: (() => { const inner = () => process.exit(5); return inner })() }',
        '{ target: hidden.bind(null) }',
        '{ target: new Function("process.exit(5)") }',
        '{ target: holder.default }',
        '{ target: own, args: [{ conn: { socket: new WeakSet() } }] }',
        '{ target: own, args: [1, [new Map([["key", Symbol("s")]])]] }',
        '{ target: own, kwargs: { option: { deep: pending } } }',
        '{ target: () => pending }',
        '{ target: own, args: [new WeakMap()] }',
        '{ target: own, args: [Promise.resolve(1)] }',
        '{ target: own, args: [mp.currentProcess()] }',
      ],
      `
export const own = () => 0
const hidden = () => process.exit(5)
const pending = Promise.resolve()
export default () => process.exit(6)
export const holder = [{ default: () => process.exit(5) }][0]
`,
    ),
  )
  const said = lines(stdout)
  t.is(said.length, 13, `${stdout}\n${stderr}`)
  for (const line of said.slice(0, 6)) t.true(line.endsWith('-> 5'), line)
  for (const line of said.slice(6)) t.regex(line, /-> PicklingError /)
  t.regex(said.find((line) => line.includes('conn:')) ?? '', /cannot send args\[0\]\.conn\.socket:/)
  t.regex(said.find((line) => line.includes('option:')) ?? '', /cannot send kwargs\.option\.deep:/)
  t.regex(
    said.find((line) => line.includes('=> pending')) ?? '',
    /cannot send target: function target captures pending: a Promise cannot be sent/,
  )
})

test('a target that is exported further down is found though the module is still being evaluated', async (t) => {
  const { stdout, stderr } = await program(
    t,
    `
if (mp.isMainProcess) {
  const child = new mp.Process({ target: hoisted })
  child.start()
  await child.join()
  console.log(child.exitcode)
}
export const later = () => 1
export class Later {}
export function hoisted() { process.exit(later()) }
`,
  )
  t.is(stdout, '1\n', stderr)
})

test('modules that throw, or are gone, when the child imports them', async (t) => {
  const { stdout, stderr } = await program(
    t,
    `
import { unlinkSync, writeFileSync } from 'node:fs'
import { gone } from './gone.mjs'
import { broken } from './broken.mjs'
import { renamed } from './renamed.mjs'
if (mp.isMainProcess) {
  unlinkSync(new URL('./gone.mjs', import.meta.url))
  writeFileSync(new URL('./renamed.mjs', import.meta.url), 'export const other = 1')
  for (const target of [gone, broken, renamed]) {
    const child = new mp.Process({ target, name: 'the-' + target.name })
    child.start()
    await child.join()
    console.log(child.exitcode)
  }
}
`,
    {
      files: {
        'gone.mjs': 'export const gone = () => {}',
        'broken.mjs': `import * as mp from ${JSON.stringify(packageUrl())}
if (!mp.isMainProcess) throw new RangeError('on import')
export const broken = () => {}`,
        'renamed.mjs': 'export const renamed = () => {}',
      },
    },
  )
  t.is(stdout, '1\n1\n1\n', stderr)
  t.regex(stderr, /Process the-gone:\n.*gone\.mjs/s)
  // Who asked for it was this package: nothing to read about.
  t.notRegex(stderr, /UnpicklingError: cannot import [^\n]*gone\.mjs[^\n]*\nRequire stack/)
  t.regex(stderr, /Process the-broken:\n.*on import/s)
  t.regex(stderr, /Process the-renamed:\n.*renamed/s)
})

const answering = `
export const answer = (connection) => connection.sendSync(['from the child', process.argv.slice(2)])
const run = async () => {
  const [reader, writer] = mp.Pipe(false)
  const child = new mp.Process({ target: answer, args: [writer] })
  child.start()
  writer.close()
  console.log(JSON.stringify(await reader.recv()))
  await child.join()
}
`
const answered = '["from the child",["a b","ü%"]]\n'
const args = ['a b', 'ü%']

for (const place of [
  'with space',
  'ünï',
  '100%25 %zz',
  'a#b?c',
  'quo\'te"',
  'new\nline',
  '中文 \u{1f600}',
]) {
  // The debugger, which tells where a function comes from, drops newlines from CommonJS files' names.
  for (const extension of place.includes('\n') ? ['mjs'] : ['mjs', 'cjs']) {
    test(`a program in a folder called ${JSON.stringify(place)}, as .${extension}`, async (t) => {
      const source =
        extension === 'mjs'
          ? `${answering}\nif (mp.isMainProcess) await run()`
          : `${answering.replace('export const answer =', 'const answer = exports.answer =')}\nif (mp.isMainProcess) run()`
      const { stdout, stderr } = await program(t, source, {
        main: `${place}/main.${extension}`,
        args,
      })
      t.is(stdout, answered, stderr)
    })
  }
}

test('a main module behind a symbolic link, and one in a folder behind one', async (t) => {
  const written = write(t, `${answering}\nif (mp.isMainProcess) await run()`, {
    main: 'real/main.mjs',
  })
  symlinkSync('real/main.mjs', join(written.folder, 'link.mjs'))
  symlinkSync('real', join(written.folder, 'folder'))
  for (const name of ['link.mjs', 'folder/main.mjs']) {
    for (const execArgv of [[], ['--preserve-symlinks-main', '--preserve-symlinks']]) {
      const { stdout, stderr } = await runNode([join(written.folder, name)], { args, execArgv })
      t.is(stdout, answered, stderr)
    }
  }
})

test('a TypeScript main module under tsx', async (t) => {
  const repository = dirname(fileURLToPath(packageUrl('node-multiprocessing/package.json')))
  const written = write(
    t,
    `
enum Kind { One = 11 }
export const answer = async (code: number, kind: Kind): Promise<void> => process.exit(code + kind)
interface Unused { x: number }
export class Mine extends mp.Process { override run(): void { process.exit(9 as Kind) } }
if (mp.isMainProcess) {
  for (const child of [new mp.Process({ target: answer, args: [3, Kind.One] }), new Mine()]) {
    child.start()
    await child.join()
    console.log(child.exitcode)
  }
}
`,
    { main: 'main.mts' },
  )
  symlinkSync(join(repository, 'node_modules'), join(written.folder, 'node_modules'))
  const { stdout, stderr } = await runNode([written.main], {
    execArgv: ['--import', 'tsx'],
    cwd: written.folder,
  })
  t.is(stdout, '14\n9\n', stderr)
})

test('node -e and --input-type=module run built-in and imported functions, and their own', async (t) => {
  const written = write(t, '', {
    files: { 'other.mjs': 'export const other = () => process.exit(5)' },
  })
  const other = join(written.folder, 'other.mjs')
  const body = `
const child = new mp.Process({ target: other })
child.start()
child.joinSync()
console.log(child.exitcode)
const own = new mp.Process({ target: mine })
own.start()
own.joinSync()
console.log(own.exitcode)
`
  const module = await runNode(
    [
      '--input-type=module',
      '-e',
      `${prologue}import { other } from ${JSON.stringify(other)}\nexport const mine = () => process.exit(6)\n${body}`,
    ],
    { cwd: written.folder },
  )
  t.is(module.stdout, '5\n6\n', module.stderr)
  const script = await runNode(
    [
      '-e',
      `${commonJsPrologue}import(${JSON.stringify(other)}).then(({ other }) => { function mine() { process.exit(6) }\n${body} })`,
    ],
    { cwd: written.folder },
  )
  t.is(script.stdout, '5\n6\n', script.stderr)
})

test("node's own options are passed on, but not those of the debugger's port or of what is run", async (t) => {
  const source = `
import { url } from 'node:inspector'
export const show = () => console.log(JSON.stringify([process.execArgv, globalThis.preloaded ?? null, url() !== undefined]))
if (mp.isMainProcess) {
  for (const method of mp.getAllStartMethods()) {
    console.log(method)
    const child = new (mp.getContext(method).Process)({ target: show })
    child.start()
    await child.join()
    console.log(child.exitcode)
  }
}
`
  const written = write(t, source, { files: { 'preload.cjs': 'globalThis.preloaded = 1' } })
  for (const [execArgv, expected] of [
    [['--max-old-space-size=200'], ['--max-old-space-size=200']],
    [
      ['-r', './preload.cjs'],
      ['-r', './preload.cjs'],
    ],
    [['--inspect=0'], ['--inspect=0']],
    [['--inspect=127.0.0.1:0'], ['--inspect=0']],
    [
      ['--no-warnings', '--conditions', 'mine'],
      ['--no-warnings', '--conditions', 'mine'],
    ],
    [
      ['--enable-source-maps', '--stack-trace-limit=50'],
      ['--enable-source-maps', '--stack-trace-limit=50'],
    ],
  ] as const) {
    const outcome = await runNode([written.main], { execArgv, cwd: written.folder })
    const said = lines(outcome.stdout)
    t.is(said.length, 3 * mp.getAllStartMethods().length, outcome.stderr)
    const debugged = execArgv[0].startsWith('--inspect')
    for (let i = 0; i < said.length; i += 3) {
      const [method, shown, code] = said.slice(i)
      t.is(code, '0', outcome.stderr)
      const preloaded = execArgv[0] === '-r' ? 1 : null
      // A forked child has no debugger's thread; its own children may be spawned with the options.
      const [options, listens] = method === 'spawn' ? [expected, debugged] : [execArgv, false]
      t.deepEqual(JSON.parse(shown ?? ''), [options, preloaded, listens], method)
    }
  }
})

test('a module that is preloaded in every process knows that a child is none', async (t) => {
  const written = write(
    t,
    'export const nothing = () => {}\nif (mp.isMainProcess) { const c = new mp.Process({ target: nothing }); c.start(); await c.join() }',
    {
      files: { 'preload.mjs': `${prologue}\nconsole.log(mp.isMainProcess)` },
    },
  )
  const { stdout, stderr } = await runNode([written.main], {
    execArgv: ['--import', './preload.mjs'],
    cwd: written.folder,
  })
  t.is(stdout, 'true\nfalse\n', stderr)
})

test('a program that starts processes whenever it is imported is stopped, and says why', async (t) => {
  for (const source of [
    `export const nothing = () => {}
const child = new mp.Process({ target: nothing })
child.start()
await child.join()
console.log(child.exitcode)`,
    `export const nothing = () => {}
await new Promise((resolve) => setTimeout(resolve, 20))
const child = new mp.Process({ target: nothing })
child.start()
await child.join()
console.log(child.exitcode)`,
  ]) {
    const { stdout, stderr } = await program(t, source)
    t.regex(stdout, /1\n$/)
    t.regex(stderr, /RuntimeError|isMainProcess/)
    t.true(stderr.split('isMainProcess').length < 6, 'it happens once')
  }
})

test('an unguarded program whose functions are only sent to children is stopped as well', async (t) => {
  const { stdout, stderr } = await program(
    t,
    `
import { receive } from './receive.mjs'
export const mine = () => 1
const generation = Number(process.env.GENERATION ?? 0)
process.env.GENERATION = String(generation + 1)
if (generation > 3) {
  console.log('a fork bomb')
  process.exit(1)
}
const [ours, theirs] = mp.Pipe()
const child = new mp.Process({ target: receive, args: [theirs] })
child.start()
theirs.close()
await ours.send(mine)
await child.join()
console.log('generation', generation)
`,
    {
      files: {
        'receive.mjs':
          'export const receive = async (connection) => void (await connection.recv())',
      },
    },
  )
  t.is(stdout, 'generation 0\n', stderr)
  t.regex(stderr, /isMainProcess/)
})

test('a deleted working directory', async (t) => {
  const { stdout, stderr } = await program(
    t,
    `
import { mkdtempSync, rmdirSync } from 'node:fs'
export const nothing = () => process.exit(5)
if (mp.isMainProcess) {
  const folder = mkdtempSync('/tmp/node-multiprocessing-test-')
  process.chdir(folder)
  rmdirSync(folder)
  const child = new mp.Process({ target: nothing })
  child.start()
  await child.join()
  console.log(child.exitcode)
}
`,
  )
  t.is(stdout, '5\n', stderr)
})

test('a broken package.json in the working directory', async (t) => {
  const source = `
export const nothing = () => process.exit(5)
if (mp.isMainProcess) {
  for (const method of mp.getAllStartMethods()) {
    const child = new (mp.getContext(method).Process)({ target: nothing })
    child.start()
    await child.join()
    console.log(child.exitcode)
  }
}
`
  const { folder, main } = write(t, source, {
    main: 'program/main.mjs',
    files: { 'program/package.json': '{}', 'first.mjs': '', 'package.json': '{ "name": ' },
  })
  const expected = mp.getAllStartMethods().map(() => '5\n')
  for (const execArgv of [[], ['--import', './first.mjs']]) {
    const { stdout, stderr } = await runNode([main], { cwd: folder, execArgv })
    t.is(stdout, expected.join(''), stderr)
  }
})

test('huge arguments arrive, and so does a huge environment, which is an OSError where a node is spawned', async (t) => {
  const { stdout, stderr } = await program(
    t,
    `
export const check = (bytes, text) => process.exit(bytes.length === 200e6 && bytes[199e6] === 7 && text.length === 20e6 ? 5 : 6)
export const sum = () => {
  const values = ['ONE', ...Array.from({ length: 40 }, (_, i) => 'MANY' + i)].map((name) => process.env[name] ?? '')
  process.exit(values.join('').length === Number(process.env.EXPECTED) ? 5 : 6)
}
if (mp.isMainProcess) {
  const child = new mp.Process({ target: check, args: [new Uint8Array(200e6).fill(7), 'x'.repeat(20e6)] })
  child.start()
  await child.join()
  console.log(child.exitcode)
  for (const [name, length] of [['ONE', 200_000], ['MANY', 40 * 100_000]]) {
    if (name === 'ONE') process.env.ONE = 'x'.repeat(length)
    else for (let i = 0; i < 40; i++) process.env['MANY' + i] = 'x'.repeat(length / 40)
    process.env.EXPECTED = length
    for (const method of mp.getAllStartMethods()) {
      const started = new (mp.getContext(method).Process)({ target: sum })
      try {
        started.start()
        await started.join()
        console.log(method, started.exitcode)
      } catch (error) {
        console.log(method, error instanceof mp.OSError, error.code, error.syscall, started.pid, mp.activeChildren().length)
      }
    }
    delete process.env.ONE
  }
}
`,
    { limit: 60_000 },
  )
  const [first, ...outcomes] = lines(stdout)
  t.is(first, '5', stderr)
  const tooLarge = 'spawn true E2BIG execve null 0'
  const expected = mp
    .getAllStartMethods()
    .map((name) => (name === 'spawn' ? tooLarge : `${name} 5`))
  t.deepEqual(outcomes, [...expected, ...expected], stderr)
})

test('an executable that is none is an OSError, and a process that failed to start may be started again', async (t) => {
  const { stdout, stderr } = await program(
    t,
    `
export const nothing = () => {}
if (mp.isMainProcess) {
  const child = new mp.Process({ target: nothing })
  for (const path of ['/nowhere/node', '/', '/etc/passwd', '', 'a\\0b']) {
    try {
      mp.setExecutable(path)
      child.start()
      console.log('started')
    } catch (error) {
      console.log(error instanceof mp.MultiprocessingError, error.code)
    }
  }
  mp.setExecutable(null)
  child.start()
  await child.join()
  console.log(child.exitcode)
}
`,
  )
  t.is(stdout, 'true ENOENT\ntrue EACCES\ntrue EACCES\ntrue ENOENT\ntrue ERR_VALUE\n0\n', stderr)
})

test('every wrong option and state of a Process is refused', async (t) => {
  const wrong = (type: unknown, call: () => unknown, message?: RegExp): void => {
    t.throws(call, { instanceOf: type as typeof Error, ...(message && { message }) })
  }
  wrong(mp.AssertionError, () => new mp.Process({ group: {} as never }))
  wrong(mp.AssertionError, () => new mp.Process({ name: 5 as never }))
  for (const target of ['f', 5, {}])
    wrong(TypeError, () => new mp.Process({ target: target as never }))
  for (const args of ['text', 5, {}, null])
    wrong(TypeError, () => new mp.Process({ args: args as never }))
  for (const kwargs of ['text', 5])
    wrong(TypeError, () => new mp.Process({ kwargs: kwargs as never }))
  for (const daemon of [0, 'yes'])
    wrong(TypeError, () => new mp.Process({ daemon: daemon as never }))
  // It ends when it is told to, and not before it has been asked all of this.
  const [told, telling] = mp.Pipe({ duplex: false })
  const fresh = new mp.Process({
    target: async (end: mp.Connection) => {
      await end.recv()
    },
    args: [told],
  })
  await t.throwsAsync(fresh.join(), {
    instanceOf: mp.AssertionError,
    message: 'can only join a started process',
  })
  wrong(mp.AssertionError, () => fresh.joinSync(), /can only join a started process/)
  for (const call of ['terminate', 'kill', 'interrupt'] as const) {
    wrong(mp.AssertionError, () => fresh[call]())
  }
  wrong(mp.ValueError, () => fresh.sentinel, /process not started/)
  t.is(fresh.pid, null)
  t.is(fresh.exitcode, null)
  t.false(fresh.isAlive())
  wrong(mp.AssertionError, () => {
    fresh.name = 5 as never
  })
  wrong(TypeError, () => {
    fresh.authkey = 'key' as never
  })
  fresh.start()
  wrong(mp.AssertionError, () => fresh.start(), /cannot start a process twice/)
  wrong(mp.AssertionError, () => {
    fresh.daemon = true
  })
  wrong(mp.ValueError, () => fresh.close())
  for (const timeout of ['5', Number.NaN, true, 5n, Symbol('s')]) {
    await t.throwsAsync(fresh.join({ timeout: timeout as never }), { instanceOf: TypeError })
    wrong(TypeError, () => fresh.joinSync({ timeout: timeout as never }))
  }
  await telling.send('end')
  await fresh.join()
  told.close()
  telling.close()
  for (const timeout of ['5', Number.NaN]) {
    await t.throwsAsync(fresh.join({ timeout: timeout as never }), { instanceOf: TypeError })
  }
  await fresh.join()
  fresh.joinSync(0)
  fresh.terminate()
  fresh.close()
  fresh.close()
  const closed = { instanceOf: mp.ValueError, message: 'process object is closed' }
  await t.throwsAsync(fresh.join(), closed)
  for (const use of [
    () => fresh.joinSync(),
    () => fresh.start(),
    () => fresh.isAlive(),
    () => fresh.terminate(),
    () => fresh.kill(),
    () => fresh.interrupt(),
    () => fresh.pid,
    () => fresh.exitcode,
    () => fresh.sentinel,
    () => fresh.name,
    () => fresh.daemon,
    () => fresh.authkey,
  ]) {
    t.throws(use, closed)
  }
  t.is(typeof String(fresh), 'string')
})

test('a folder that moves between two starts', async (t) => {
  const written = write(
    t,
    `
import { renameSync } from 'node:fs'
import { other } from './lib/other.mjs'
if (mp.isMainProcess) {
  const first = new mp.Process({ target: other })
  first.start()
  await first.join()
  renameSync(new URL('./lib', import.meta.url), new URL('./moved', import.meta.url))
  const second = new mp.Process({ target: other })
  second.start()
  await second.join()
  console.log(first.exitcode, second.exitcode)
}
`,
    { files: { 'lib/other.mjs': 'export const other = () => process.exit(5)' } },
  )
  const { stdout, stderr } = await written.run()
  t.is(stdout, '5 1\n', stderr)
  t.regex(stderr, /cannot import/)
})
