/** Functions by value out of every kind of program: what they import, require, and know of their module. */
import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import test, { type ExecutionContext } from 'ava'
import {
  commonJsPrologue,
  packageUrl,
  program,
  prologue,
  runNode,
  write,
} from './fixtures/process-programs.js'

const lines = (stdout: string): string[] => stdout.split('\n').filter(Boolean)

/** What each of several functions gives in another process, when sent there for both forms of receiving. */
const inAnother = (functions: readonly string[]): string => `
const serve = async (connection, form) => {
  for (;;) {
    let fn
    try {
      fn = form === 'recv' ? await connection.recv() : connection.recvSync()
    } catch (error) {
      if (error.name === 'EOFError') return
      await connection.send(error.name + ': ' + error.message)
      continue
    }
    try {
      await connection.send(await fn())
    } catch (error) {
      await connection.send('called: ' + error.message)
    }
  }
}
const everything = async () => {
  for (const form of ['recv', 'recvSync']) {
    const [ours, theirs] = mp.Pipe()
    const child = new mp.Process({ target: serve, args: [theirs, form] })
    child.start()
    theirs.close()
    for (const fn of [${functions.join(',\n')}]) {
      try {
        await ours.send(fn)
        console.log(JSON.stringify(await ours.recv()))
      } catch (error) {
        console.log(error.name + ': ' + error.message)
      }
    }
    ours.close()
    await child.join()
  }
}
if (mp.isMainProcess) everything()
`

/** Asserts that a program says the same for both forms of receiving, and nothing is wrong with it. */
const saysTwice = (
  t: ExecutionContext,
  { stdout, stderr, code }: { stdout: string; stderr: string; code: number | null },
  expected: readonly unknown[],
  expectedSync = expected,
): void => {
  t.is(stderr, '')
  const said = [...expected, ...expectedSync].map((each) => JSON.stringify(each))
  t.deepEqual(lines(stdout), said)
  t.is(code, 0)
}

const files = {
  'tools.mjs': `
    export const count = { value: 5 }
    export default class Tool { use() { return 'used' } }
    export const add = (a, b) => a + b
    export let made = ((n) => () => n)(7)
    export const name = 'tools'`,
  'node_modules/bare/package.json': JSON.stringify({
    name: 'bare',
    version: '1.0.0',
    main: './main.cjs',
  }),
  'node_modules/bare/main.cjs': `exports.value = { bare: true }; exports.work = () => 'bare works'`,
  'node_modules/modern/package.json': JSON.stringify({
    name: 'modern',
    type: 'module',
    exports: { import: './main.js', require: './main.cjs' },
  }),
  'node_modules/modern/main.js': `export const value = { modern: true }; export const secret = Symbol('s')`,
  'node_modules/modern/main.cjs': `exports.value = { modern: 'required' }; exports.secret = 1`,
  'data.json': '{"fromFile":1}',
  'plain.cjs': `exports.setting = { on: true }; exports.run = () => 'run'; exports.make = () => () => 'made'`,
}

test('imports of every kind, in an ES module', async (t) => {
  const outcome = await program(
    t,
    `
import fs, { existsSync } from 'node:fs'
import * as path from 'path'
import Tool, { count, add, made, name as toolName } from './tools.mjs'
import * as tools from './tools.mjs'
import bare from 'bare'
import { value, secret } from 'modern'
import plain, { setting } from './plain.cjs'
${inAnother([
  "() => fs.existsSync('/') && existsSync('/')",
  "() => path.join('a', 'b')",
  '() => [count.value, add(1, 2), made(), toolName]',
  '() => new Tool().use()',
  "() => [Object.keys(tools).filter((key) => key !== '__esModule').sort(), tools.add(2, 3)]",
  '() => [bare.value, bare.work()]',
  '() => [value, typeof secret]',
  '() => [plain.run(), setting, plain.setting === setting]',
  "() => import.meta.url.split('/').at(-1)",
  "async () => [(await import('./tools.mjs')).name, (await import('bare')).default.work()]",
  "() => import.meta.resolve('./tools.mjs') === new URL('tools.mjs', import.meta.url).href",
])}`,
    { files },
  )
  const expected = (modern: unknown, type: string): unknown[] => [
    true,
    'a/b',
    [5, 3, 7, 'tools'],
    'used',
    [['add', 'count', 'default', 'made', 'name'], 5],
    [{ bare: true }, 'bare works'],
    [{ modern }, type],
    ['run', { on: true }, true],
    'main.mjs',
    ['tools', 'bare works'],
    true,
  ]
  // What cannot wait for import() requires, and a package may have something else for that.
  saysTwice(t, outcome, expected(true, 'symbol'), expected('required', 'number'))
})

test('what a CommonJS module requires, and its own names', async (t) => {
  const { folder, run } = write(
    t,
    `
const fs = require('node:fs')
const { join } = require('path')
const plain = require('./plain.cjs')
const { setting, run } = require('./plain.cjs')
const data = require('./data.json')
const bare = require('bare')
const captured = { list: [1] }
${inAnother([
  "() => fs.existsSync('/') && join('a', 'b')",
  '() => [plain.run(), setting, run(), plain.make()()]',
  '() => [data, bare.work(), captured]',
  "() => [require('./plain.cjs').run(), require('node:path').sep, typeof require.resolve]",
  '() => [__filename, __dirname]',
  "async () => (await import('./tools.mjs')).name",
  '() => typeof exports.serve',
  '() => module.id',
])}
exports.serve = serve
`,
    { main: 'main.cjs', files },
  )
  const { stdout, stderr } = await run()
  const expected = [
    'a/b',
    ['run', { on: true }, 'run', 'made'],
    [{ fromFile: 1 }, 'bare works', { list: [1] }],
    ['run', '/', 'function'],
    [join(folder, 'main.cjs'), folder],
    'tools',
    'function',
  ].map((each) => JSON.stringify(each))
  const refused =
    'PicklingError: cannot send obj: function (anonymous) captures module, the record of a module; capture what it exports instead'
  t.deepEqual(lines(stdout), [...expected, refused, ...expected, refused], stderr)
})

const givenHere = `
const factor = 3
let changing = 1
function declared(x) { return x * factor }
var old = { list: [1, 2] }
changing = 2
`

for (const [name, argv, first] of [
  ['-e', ['-e'], `const mp = require(${JSON.stringify(fileURLToPath(packageUrl()))})`],
  ['--input-type=module -e', ['--input-type=module', '-e'], prologue],
] as const) {
  test(`functions of a program given to node ${name}`, async (t) => {
    const outcome = await runNode([
      ...argv,
      `${first}${givenHere}${inAnother([
        '() => [declared(2), changing, old]',
        'declared.bind(null, 5)',
        "async () => typeof (await import('node:fs')).existsSync",
        ...(name === '-e'
          ? ["() => [typeof require('fs'), fs.existsSync('/'), path.sep]"]
          : ["() => import.meta.url.split('/').at(-1)"]),
      ])}`,
    ])
    saysTwice(t, outcome, [
      [6, 2, { list: [1, 2] }],
      15,
      'function',
      name === '-e' ? ['object', true, '/'] : '[eval1]',
    ])
  })
}

/** Runs node with a program on its stdin. */
const feed = (argv: readonly string[], text: string): Promise<{ stdout: string; stderr: string }> =>
  new Promise((resolve, reject) => {
    const child = spawn(process.execPath, argv, { timeout: 25_000, killSignal: 'SIGKILL' })
    let [stdout, stderr] = ['', '']
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      stdout += chunk
    })
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      stderr += chunk
    })
    child.on('error', reject)
    child.on('close', () => resolve({ stdout, stderr }))
    child.stdin.end(text)
  })

test('functions of the REPL', async (t) => {
  const { stdout, stderr } = await feed(
    ['-i'],
    `const mp = require(${JSON.stringify(fileURLToPath(packageUrl()))})
const factor = 3
var sum = (a, b) => a + b
function triple(x) { return sum(x, 0) * factor }
const pool = new mp.Pool(1)
console.log('said', JSON.stringify(pool.mapSync((x) => triple(x) + path.sep, [1, 2])))
pool.terminate(); pool.joinSync()
`,
  )
  t.regex(stdout, /said \["3\/","6\/"\]/, stderr)
})

test('functions of a program that comes from stdin', async (t) => {
  const { stdout, stderr } = await feed(
    ['-'],
    `${commonJsPrologue}${givenHere}${inAnother(['() => [declared(2), changing, old]'])}`,
  )
  saysTwice(t, { stdout, stderr, code: 0 }, [[6, 2, { list: [1, 2] }]])
})

const typed = `
interface Options { readonly factor: number }

const options: Options = { factor: 3 }
const scale = (x: number): number => x * options.factor
class Scaled {
  readonly value: number
  constructor(x: number) { this.value = scale(x) }
}
const fail = (): never => {
  const unusual: string = 'unusual'
  throw new Error(unusual)
}
${inAnother([
  '() => scale(2)',
  '() => new Scaled(5).value',
  "() => { try { fail() } catch (error: any) { return /main\\.[cm]?ts:(\\d+)/.exec(error.stack.split('\\n')[1])![1] } }",
])
  .replace('(connection, form)', '(connection: any, form: string)')
  .replaceAll('catch (error)', 'catch (error: any)')}
`
const failsAt =
  `${prologue}${typed}`.split('\n').findIndex((line) => line.includes('new Error(unusual)')) + 1

test('functions of TypeScript, under tsx', async (t) => {
  const { folder } = write(t, '', { main: 'unused.mjs' })
  const file = join(folder, 'main.mts')
  writeFileSync(file, `${prologue}${typed}`)
  const outcome = await runNode(['--import', import.meta.resolve('tsx'), file])
  saysTwice(t, outcome, [6, 15, String(failsAt)])
})

const strips = Number(process.versions.node.split('.')[0]) >= 24

;(strips ? test : test.skip)('functions of TypeScript, by type stripping', async (t) => {
  const { folder } = write(t, '', { main: 'unused.mjs' })
  const file = join(folder, 'main.mts')
  writeFileSync(file, `${prologue}${typed}`)
  const outcome = await runNode(['--disable-warning=ExperimentalWarning', file])
  saysTwice(t, outcome, [6, 15, String(failsAt)])
})

test('lines that end in every way', async (t) => {
  const { folder } = write(t, '', { main: 'unused.mjs' })
  const file = join(folder, 'lines.mjs')
  const text = `${prologue}
const separators = ['\u2028', '\u2029']
const double = (x) => x * separators.length
if (mp.isMainProcess) {
  const pool = new mp.Pool(1)
  console.log(JSON.stringify(pool.mapSync((x) => double(x), [1, 2])))
  pool.terminate()
  pool.joinSync()
}
`
  for (const end of ['\n', '\r\n', '\r']) {
    writeFileSync(file, text.replaceAll('\n', end))
    const { stdout, stderr } = await runNode([file])
    t.deepEqual(lines(stdout), ['[2,4]'], stderr)
  }
})

test('in worker threads, both ways', async (t) => {
  const { stdout, stderr } = await program(
    t,
    `
import { Worker, isMainThread } from 'node:worker_threads'
const factor = 3
const work = async () => {
  const pool = new mp.Pool(1)
  try {
    return await pool.map((x) => x * factor, [1, 2])
  } finally {
    pool.terminate()
    await pool.join()
  }
}
if (mp.isMainProcess && isMainThread) {
  const worker = new Worker(new URL(import.meta.url))
  await new Promise((resolve) => worker.on('exit', resolve))
} else if (mp.isMainProcess) {
  console.log(JSON.stringify(await work()))
}
`,
  )
  t.deepEqual(lines(stdout), ['[3,6]'], stderr)
})

test('functions that a function by value makes go on by value', async (t) => {
  const { stdout, stderr } = await program(
    t,
    `
import { sep } from 'node:path'
import { name } from './tools.mjs'
const start = 10
const maker = () => {
  let count = start
  return { next: () => ++count + sep + name, meta: () => import.meta.url, load: async () => (await import('./tools.mjs')).name }
}
const relay = async (connection) => {
  for (let i = 0; i < 2; i++) {
    const make = await connection.recv()
    const made = make()
    made.next()
    await connection.send(made)
  }
}
if (mp.isMainProcess) {
  const [ours, theirs] = mp.Pipe()
  const child = new mp.Process({ target: relay, args: [theirs] })
  child.start()
  await ours.send(maker)
  const first = await ours.recv()
  console.log(first.next(), first.meta() === import.meta.url, await first.load())
  await ours.send(() => first)
  const second = await ours.recv()
  console.log(second.next(), first.next(), second.meta() === import.meta.url, await second.load())
  await child.join()
}
`,
    { files },
  )
  t.deepEqual(lines(stdout), ['12/tools true tools', '14/tools 13/tools true tools'], stderr)
})
