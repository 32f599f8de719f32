/** What a fork server imports before it forks, and what becomes of modules that are not made for it. */
import test, { type ExecutionContext } from 'ava'
import * as mp from 'node-multiprocessing'
import { program, write } from './fixtures/process-programs.js'
import type { Outcome } from './helpers/run-program.js'

/** Notes in each process that evaluates it which process that was. */
const note = (name: string): string =>
  `;(globalThis.evaluated ??= {})[${JSON.stringify(name)}] = process.pid\n`

/** Says which of the modules were evaluated by the server (true), by the child (false), or not at all. */
const tell = `
import { readFileSync } from 'node:fs'
const parentOf = (pid) => Number(readFileSync('/proc/' + pid + '/stat', 'utf8').split(') ')[1].split(' ')[1])
export const tell = async (writer) => {
  await new Promise((resolve) => setTimeout(resolve, 20))
  const server = parentOf(process.pid)
  const entries = Object.entries(globalThis.evaluated ?? {}).map(([name, pid]) => [name, pid === server])
  await writer.send([Object.fromEntries(entries), server !== mp.parentProcess().pid])
}
const ask = async (target = tell) => {
  const [reader, writer] = mp.Pipe(false)
  const child = new mp.Process({ target, args: [writer] })
  child.start()
  writer.close()
  const answer = await reader.recv().catch((error) => error.name)
  await child.join()
  console.log(JSON.stringify([answer, child.exitcode]))
}
`

const rows = ({ stdout, stderr }: Outcome, t: ExecutionContext): unknown[] => {
  t.log(stderr)
  return stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line))
}

for (const [name, source] of [
  ['main.mjs', `${tell}${note('main')}if (mp.isMainProcess) { await ask(); await ask() }`],
  [
    'main.mjs',
    `${tell}await new Promise((resolve) => setTimeout(resolve, 20))\n${note('main')}if (mp.isMainProcess) { await ask(); await ask() }`,
  ],
  [
    'main.cjs',
    `${tell
      .replace(/^import .*$/m, "const { readFileSync } = require('node:fs')")
      .replace('export const tell =', 'const tell = exports.tell =')}${note('main')}
if (mp.isMainProcess) ask().then(() => ask())`,
  ],
] as const) {
  const how = source.includes('\nawait new') ? ' with a top-level await' : ''
  test(`the main module is evaluated once, by the server: ${name}${how}`, async (t) => {
    const outcome = await program(t, source, { main: name })
    const row = [[{ main: true }, true], 0]
    t.deepEqual(rows(outcome, t), [row, row])
  })
}

test('paths, URLs, packages and modules of node, relative to the main module', async (t) => {
  const outcome = await program(
    t,
    `${tell}${note('main')}
import { fileURLToPath } from 'node:url'
if (mp.isMainProcess) {
  mp.setForkserverPreload([
    fileURLToPath(new URL('./modules/path.mjs', import.meta.url)),
    new URL('./modules/url.mjs', import.meta.url).href,
    './modules/relative.cjs',
    'a-package',
    'node:zlib',
    'zlib',
    'data:text/javascript,' + encodeURIComponent(${JSON.stringify(note('data'))}),
    '__main__',
  ])
  process.chdir('/')
  await ask()
  await ask()
}
`,
    {
      files: {
        'modules/path.mjs': note('path'),
        'modules/url.mjs': note('url'),
        'modules/relative.cjs': note('relative'),
        'node_modules/a-package/package.json': '{ "main": "index.js" }',
        'node_modules/a-package/index.js': note('package'),
      },
    },
  )
  const all = { path: true, url: true, relative: true, package: true, data: true, main: true }
  t.deepEqual(rows(outcome, t), [
    [[all, true], 0],
    [[all, true], 0],
  ])
})

test('without the main module among them, each child imports it', async (t) => {
  const outcome = await program(
    t,
    `${tell}${note('main')}
if (mp.isMainProcess) {
  mp.setForkserverPreload(['./other.mjs'])
  await ask()
  await ask()
}
`,
    { files: { 'other.mjs': note('other') } },
  )
  const row = [[{ other: true, main: false }, true], 0]
  t.deepEqual(rows(outcome, t), [row, row])
})

/** What modules do that nobody should preload, and how long their first start may take longer. */
const unruly: Readonly<Record<string, string>> = {
  'throws.mjs': `${note('begun')}throw new Error('on import')`,
  'throws.cjs': `${note('begun')}throw new Error('on import')`,
  'does-not-parse.mjs': 'this is no JavaScript',
  'exits.mjs': `${note('begun')}process.exit(3)`,
  'exits.cjs': `${note('begun')}process.exit(3)`,
  'exits-later.mjs': `${note('begun')}setImmediate(() => { if (process.pid === evaluated.begun) process.exit(3) })`,
  'really-exits.mjs': `${note('begun')}process.reallyExit(3)`,
  'rejects.mjs': `${note('begun')}Promise.reject(new Error('rejected'))`,
  'throws-later.mjs': `${note('begun')}setImmediate(() => { if (process.pid === evaluated.begun) throw new Error('later') })`,
  'leaves-timers.mjs': `${note('begun')}setTimeout(() => {}, 50); setInterval(() => {}, 10).unref()`,
  'listens.mjs': `${note('begun')}import { createServer } from 'node:net'; createServer().listen(0).unref()`,
  'reads.mjs': `${note('begun')}import { readFile } from 'node:fs'; readFile('/etc/hostname', () => { evaluated.read = process.pid })`,
  'draws.mjs': `${note('begun')}import { randomBytes } from 'node:crypto'; for (let i = 0; i < 50; i++) randomBytes(1e5, () => { evaluated.drawn = process.pid })`,
  'looks-up.mjs': `${note('begun')}import { lookup } from 'node:dns'; lookup('127.0.0.1', () => { evaluated.found = process.pid })`,
  'compiles.mjs': `${note('begun')}WebAssembly.compile(Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0)).then(() => { evaluated.compiled = process.pid })`,
  'runs-a-program.mjs': `${note('begun')}import { execSync } from 'node:child_process'; execSync('true')`,
  'awaits-a-program.mjs': `${note('begun')}import { spawn } from 'node:child_process'; await new Promise((resolve) => spawn('true').on('exit', resolve))`,
  'leaves-a-program.mjs': `${note('begun')}import { spawn } from 'node:child_process'; spawn('sleep', ['0.3'])`,
  'leaves-an-unreferenced-program.mjs': `${note('begun')}import { spawn } from 'node:child_process'; spawn('sleep', ['0.3'], { stdio: 'ignore' }).unref()`,
  'handles-signals.mjs': `${note('begun')}process.on('SIGTERM', () => process.exit(44)).on('SIGUSR2', () => {})`,
  'handles-errors.mjs': `${note('begun')}process.on('uncaughtException', () => {}).on('unhandledRejection', () => {})`,
  'reads-standard-input.mjs': `${note('begun')}process.stdin.on('data', () => {}).unref?.()`,
  'changes-directory.mjs': `${note('begun')}process.chdir('/')`,
  'changes-environment.mjs': `${note('begun')}process.env.HOME = '/nowhere'`,
  'freezes.mjs': `${note('begun')}Object.freeze(Math); Object.freeze(process.env)`,
}

const finished: Readonly<Record<string, object>> = {
  'does-not-parse.mjs': {},
  'reads.mjs': { begun: true, read: true },
  'draws.mjs': { begun: true, drawn: true },
  'looks-up.mjs': { begun: true, found: true },
  'compiles.mjs': { begun: true, compiled: true },
}

for (const [name, source] of Object.entries(unruly)) {
  test(`children start and end whatever a preloaded module does: ${name}`, async (t) => {
    const outcome = await program(
      t,
      `${tell}
if (mp.isMainProcess) {
  mp.setForkserverPreload(['./${name}', '__main__'])
  await ask()
  await ask()
}
`,
      { files: { [name]: source } },
    )
    const row = [[finished[name] ?? { begun: true }, true], 0]
    t.deepEqual(rows(outcome, t), [row, row])
    t.is(outcome.code, 0)
  })
}

test('a preloaded module that never settles is not waited for for ever', async (t) => {
  const outcome = await program(
    t,
    `${tell}
if (mp.isMainProcess) {
  mp.setForkserverPreload(['./never.mjs', '__main__'])
  await ask()
  await ask()
}
`,
    { files: { 'never.mjs': `${note('begun')}await new Promise(() => {})` }, limit: 60_000 },
  )
  const row = [[{ begun: true }, true], 0]
  t.deepEqual(rows(outcome, t), [row, row])
})

test("the error of a module that cannot be preloaded is the child's that needs it", async (t) => {
  const outcome = await program(
    t,
    `
import { broken } from './broken.mjs'
export const nothing = () => {}
if (mp.isMainProcess) {
  mp.setForkserverPreload(['./broken.mjs', './nowhere.mjs', 'no-such-package'])
  for (const target of [broken, nothing]) {
    const child = new mp.Process({ target, name: 'the-' + target.name })
    child.start()
    await child.join()
    console.log(child.exitcode)
  }
}
`,
    {
      files: {
        'broken.mjs': `export const broken = () => {}
if (process.env.BROKEN) throw new RangeError('on import')
process.env.BROKEN = '1'`,
      },
    },
  )
  t.is(outcome.stdout, '1\n1\n', outcome.stderr)
  t.regex(outcome.stderr, /Process the-broken:\n(?:.|\n)*on import/)
})

test('modules to preload are named by strings in an array, or not at all', (t) => {
  for (const wrong of ['text', 5, {}, [1], ['a', null], [new URL('file:///a')], undefined, true]) {
    t.throws(() => mp.setForkserverPreload(wrong as never), { instanceOf: TypeError })
  }
  t.notThrows(() => mp.setForkserverPreload([]))
  t.notThrows(() => mp.setForkserverPreload(null))
})

const hooks = `export const resolve = (specifier, context, next) => next(specifier, context)`

for (const [title, execArgv, files, forked] of [
  ['--require', ['--require', './preload.cjs'], { 'preload.cjs': note('preload') }, true],
  ['--import', ['--import', './preload.mjs'], { 'preload.mjs': note('preload') }, true],
  [
    '--import of what calls module.register',
    ['--import', './preload.mjs'],
    {
      'preload.mjs': `${note('preload')}import { register } from 'node:module'; register('./hooks.mjs', import.meta.url)`,
      'hooks.mjs': hooks,
    },
    false,
  ],
  ['--loader', ['--loader', './hooks.mjs'], { 'hooks.mjs': hooks }, false],
  [
    '--import of what calls module.registerHooks',
    ['--import', './preload.mjs'],
    {
      'preload.mjs': `${note('preload')}import module from 'node:module'; module.registerHooks?.({ resolve: (specifier, context, next) => next(specifier, context) })`,
    },
    true,
  ],
] as const) {
  test(`under ${title}, processes are ${forked ? 'forked' : 'spawned, and the log says so'}`, async (t) => {
    const written = write(t, `${tell}if (mp.isMainProcess) { await ask(); await ask() }`, { files })
    const { stdout, stderr } = await written.run({
      cwd: written.folder,
      execArgv: ['--no-warnings', ...execArgv],
      env: { NODE_DEBUG: 'multiprocessing' },
    })
    const said = stdout
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line))
    t.deepEqual(
      said.map(([[, isForked], code]) => [isForked, code]),
      [
        [forked, 0],
        [forked, 0],
      ],
      stderr,
    )
    t.is(stderr.includes('processes are spawned, not forked'), !forked, stderr)
  })
}

test('loaders are told to have esbuild do without its thread; the program does not see it', async (t) => {
  const variable = 'ESBUILD_WORKER_THREADS'
  const source = `
export const tell = (writer) => writer.sendSync([globalThis.before, process.env.${variable} ?? null])
if (mp.isMainProcess) {
  const [reader, writer] = mp.Pipe(false)
  const child = new mp.Process({ target: tell, args: [writer] })
  child.start()
  console.log(JSON.stringify(await reader.recv()))
  await child.join()
}
`
  const written = write(t, source, {
    files: { 'loads.cjs': `globalThis.before = process.env.${variable} ?? null` },
  })
  for (const option of ['--require', '--import']) {
    const execArgv = [option, './loads.cjs']
    for (const [set, expected] of [
      [undefined, '["0",null]\n'],
      ['1', '["1","1"]\n'],
    ] as const) {
      const options = { cwd: written.folder, execArgv, env: { [variable]: set } }
      const { stdout, stderr } = await written.run(options)
      t.is(stdout, expected, stderr)
    }
  }
})
