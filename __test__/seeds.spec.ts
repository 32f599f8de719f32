import test from 'ava'
import { FORK_OPTIONS } from './helpers/fork-options.js'
import { type Outcome, type RunOptions, runProgram } from './helpers/run-program.js'

const run = (name: string, options?: RunOptions): Promise<Outcome> =>
  runProgram(new URL(`../examples/seeds/${name}.js`, import.meta.url), options)

/** Registers a program that prints exactly `lines` and ends well. */
const prints = (name: string, ...lines: string[]): void => {
  test.serial(`${name} prints what the document says`, async (t) => {
    const { code, signal, stdout, stderr } = await run(name)
    t.is(stderr, '')
    t.is(stdout, lines.map((line) => `${line}\n`).join(''))
    t.deepEqual([code, signal], [0, null])
  })
}

const objectsAndBytes = [
  "[ 1, 'hello', null ]",
  'thank you',
  'Int32Array(10) [\n  0, 1, 2, 3, 4,\n  0, 0, 0, 0, 0\n]',
]

prints('pipe-example-connection-bytes', ...objectsAndBytes)
prints('library-reference-connection-bytes', ...objectsAndBytes)
const afterHello = ['hello', '8', 'Int32Array(5) [ 42, 1729, 0, 0, 0 ]']
prints(
  'library-reference-listener-client',
  'connection accepted from 127.0.0.1',
  "[ 2.25, null, 'junk' ]",
  ...afterHello,
)
prints('library-reference-listener-client-processes', ...afterHello)
prints('library-reference-pool-map', '[ 1, 4, 9 ]')
const squaresOfTen = ['[', '   0,  1,  4,  9, 16,', '  25, 36, 49, 64, 81', ']']
prints('library-reference-process-pools', '100', ...squaresOfTen, '0', '1', '4', 'TimeoutError')
test.serial('library-reference-using-a-pool prints what the document says', async (t) => {
  const { code, stdout, stderr } = await run('library-reference-using-a-pool')
  t.deepEqual([code, stderr], [0, ''])
  const lines = stdout.split('\n')
  t.deepEqual(lines.slice(0, 4), squaresOfTen)
  const numbers = lines.slice(4, 14).map(Number)
  t.deepEqual(
    numbers.sort((a, b) => a - b),
    [0, 1, 4, 9, 16, 25, 36, 49, 64, 81],
  )
  t.is(lines[14], '400')
  t.regex(lines[15]!, /^\d+$/)
  t.regex(lines.slice(16, -4).join(''), /^\[\s*\d+, \d+, \d+, \d+\s*\]$/)
  t.deepEqual(lines.slice(-4), [
    'We lacked patience and got a multiprocessing.TimeoutError',
    'For the moment, the pool remains available for more work',
    'Now the pool is closed and no longer available',
    '',
  ])
})
prints('library-reference-hello-bob', 'hello bob')
prints('library-reference-pipe', "[ 42, null, 'hello' ]")
prints('library-reference-run', '1', '1')
prints('library-reference-queue', "[ 42, null, 'hello' ]")
prints('library-reference-queue-get-first', '1000000')
prints('library-reference-queue-join-first', '1000000')
prints(
  'library-reference-shared-memory',
  '3.1415927',
  '[',
  '   0, -1, -2, -3, -4,',
  '  -5, -6, -7, -8, -9',
  ']',
)
prints(
  'library-reference-sharedctypes',
  '49',
  '0.1111111111111111',
  'HELLO WORLD',
  '[ [ 3.515625, 39.0625 ], [ 33.0625, 4 ], [ 5.640625, 90.25 ] ]',
)
prints(
  'library-reference-server-process',
  "{1: '1', '2': 2, 0.25: null}",
  '[9, 8, 7, 6, 5, 4, 3, 2, 1, 0]',
)
prints('library-reference-namespace', "Namespace(x=10, y='hello')")
prints('library-reference-custom-manager', '7', '56')
prints('library-reference-remote-manager', 'hello')
prints('library-reference-remote-local-queue', 'local hello')
prints(
  'library-reference-proxies',
  '[0, 1, 4, 9, 16, 25, 36, 49, 64, 81]',
  "<ListProxy object, typeid 'list' at 0x...>",
  '16',
  '[ 4, 9, 16 ]',
  "[<ListProxy object, typeid 'list' at 0x...>] []",
  "['hello'] ['hello']",
  "{'a': 1, 'b': 2}",
  "{'c': 3, 'z': 26}",
  '{}',
  '{ a: 1, b: 2 }',
  '10',
  '[ 2, 3, 4, 5, 6 ]',
  'IndexError: list index out of range',
)
prints(
  'library-reference-newtype',
  'you called Foo.f()',
  'you called Foo.g()',
  'false true',
  'you called Foo.g()',
  'you called Foo._h()',
  'true',
  '0 1 4 9 16 25 36 49 64 81',
  'b.txt',
)
prints(
  'ipc-lesson-managers',
  '[1, 2, 3]',
  "Map(3) { 'worker 1' => 1, 'worker 2' => 4, 'worker 3' => 9 }",
  '6',
)
prints('ipc-lesson-values-and-arrays', '1', '[ 99, 2, 3 ]')
prints('ipc-lesson-queue', ...[0, 1, 2, 3, 4].map((i) => `Consumed: ${i}`))
prints('ipc-lesson-task-queue', '100 results, 328350 in all')
prints('pipe-tutorial-parent-to-child', 'Child received: Welcome to TutorialsPoint')
prints(
  'pipe-tutorial-both-ways',
  'Parent received: Have a nice day!',
  'Child received: Same to you!',
)

test.serial('library-reference-manager-logging tells of the server', async (t) => {
  const { code, stderr } = await run('library-reference-manager-logging')
  const wanted = [
    /^\[WARNING\/MainProcess\] doomed$/m,
    /^\[INFO\/SyncManager-1\] child process calling self\.run\(\)$/m,
    /^\[INFO\/SyncManager-1\] created temp directory \/.+$/m,
    /^\[INFO\/SyncManager-1\] manager serving at '\/.*listener-.+'$/m,
    /^\[INFO\/MainProcess\] sending shutdown message to manager$/m,
    /^\[INFO\/SyncManager-1\] manager exiting with exitcode 0$/m,
  ]
  for (const line of wanted) t.regex(stderr, line)
  t.is(code, 0)
})

test.serial('a child is joined before what it has put is taken: both wait for ever', async (t) => {
  const args = ['10000000']
  await t.throwsAsync(run('library-reference-queue-join-first', { args, limit: 4000 }), {
    message: /did not end within 4000 ms\nstdout:\n\nstderr:/,
  })
  const { code, stdout, stderr } = await run('library-reference-queue-get-first', { args })
  t.is(stderr, '')
  t.is(stdout, '10000000\n')
  t.is(code, 0)
})

test.serial('library-reference-workers shows thirty results, by four workers', async (t) => {
  const { code, stdout, stderr } = await run('library-reference-workers')
  t.is(stderr, '')
  const [title, ...results] = stdout.trimEnd().split('\n')
  t.is(title, 'Unordered results:')
  const said = results.map((line) => /^\tProcess-[1-4] says that (.+)$/.exec(line)?.[1])
  const sorted = (lines: (string | undefined)[]) => lines.toSorted()
  const products = Array.from({ length: 20 }, (_, i) => `mul(${i}, 7) = ${i * 7}`)
  const sums = Array.from({ length: 10 }, (_, i) => `plus(${i}, 8) = ${i + 8}`)
  t.deepEqual(sorted(said.slice(0, 20)), sorted(products))
  t.deepEqual(sorted(said.slice(20)), sorted(sums))
  t.is(code, 0)
})

test.serial('library-reference-process-ids shows the ids of two processes', async (t) => {
  const { code, pid, stdout, stderr } = await run('library-reference-process-ids')
  t.is(stderr, '')
  const part = (title: string): string =>
    [
      title,
      'module name: library-reference-process-ids\\.js',
      'parent process: (\\d+)',
      'process id: (\\d+)\n',
    ].join('\n')
  const pattern = RegExp(`^${part('main line')}${part('function f')}hello bob\n$`)
  const [, parent, main, childParent, child] = (stdout.match(pattern) ?? []).map(Number)
  t.is(parent, process.pid, stdout)
  t.is(main, pid)
  t.true(child !== undefined && child > 0)
  t.not(child, main)
  t.is(childParent, main)
  t.is(code, 0)
})

test.serial('library-reference-process-states shows a process come and go', async (t) => {
  const { code, pid, stdout, stderr } = await run('library-reference-process-states')
  t.is(stderr, '')
  const [initial = '', started = '', stopped = '', ...rest] = stdout.split('\n')
  const name = "<Process name='Process-1'"
  t.is(initial, `${name} parent=${pid} initial> false`)
  const child = started.match(/ pid=(\d+) /)?.[1]
  t.is(started, `${name} pid=${child} parent=${pid} started> true`)
  t.is(stopped, `${name} pid=${child} parent=${pid} stopped exitcode=-SIGTERM> false`)
  t.deepEqual(rest, ['true', ''])
  t.is(code, 0)
})

test.serial('library-reference-wait prints what each process sends, in its order', async (t) => {
  const { code, stdout, stderr } = await run('library-reference-wait')
  t.is(stderr, '')
  t.is(stdout.match(/\n/g)?.length, 40)
  for (const name of ['Process-1', 'Process-2', 'Process-3', 'Process-4']) {
    const lines = Array.from({ length: 10 }, (_, i) => `[ ${i}, '${name}' ]`)
    t.deepEqual(
      stdout.split('\n').filter((line) => line.includes(name)),
      lines,
    )
  }
  t.is(code, 0)
})

test.serial('library-reference-logging logs to stderr, children too', async (t) => {
  const { code, stdout, stderr } = await run('library-reference-logging')
  t.is(stdout, '')
  t.deepEqual(stderr.split('\n'), [
    '[WARNING/MainProcess] doomed',
    '[INFO/Process-1] child process calling self.run()',
    '[INFO/Process-1] process shutting down',
    '[INFO/Process-1] process exiting with exitcode 0',
    '[INFO/MainProcess] process shutting down',
    '',
  ])
  t.is(code, 0)
})

/** What a program needs that is to be forked. */
const execArgv = FORK_OPTIONS

/** The start methods of the document that there are here; programs take one from the command line. */
const methods = process.platform === 'linux' ? ['forkserver', 'fork', 'spawn'] : ['spawn']

const choosing = [
  'library-reference-set-start-method',
  'library-reference-get-context',
  'library-reference-safe-main',
]
for (const name of choosing) {
  for (const method of methods) {
    test.serial(`${name} prints what the document says, by ${method}`, async (t) => {
      const { code, stdout, stderr } = await run(name, { args: [method], execArgv })
      t.is(stderr, '')
      t.is(stdout, 'hello\n')
      t.is(code, 0)
    })
  }
}

for (const options of [{}, { execArgv }]) {
  const available = options.execArgv ? methods : methods.filter((method) => method !== 'fork')
  test.serial(`library-reference-several-methods uses ${available.join(', ')}`, async (t) => {
    const { code, stdout, stderr } = await run('library-reference-several-methods', options)
    t.is(stderr, '')
    const lines = available.toSorted().map((method) => `hello by ${method}\n`)
    t.is(stdout, lines.join(''))
    t.is(code, 0)
  })
}

for (const method of methods.filter((method) => method !== 'fork')) {
  test.serial(
    `library-reference-unsafe-main fails with a RuntimeError, by ${method}`,
    async (t) => {
      const { code, stdout, stderr } = await run('library-reference-unsafe-main', {
        args: [method],
      })
      t.is(stdout, '')
      t.regex(stderr, /\bRuntimeError\b/)
      t.is(stderr.match(/RuntimeError:/g)?.length, 1, 'the child fails and starts nothing')
      t.is(code, 0, 'the program does not ask how its child ended')
    },
  )
}

if (methods.includes('fork')) {
  test.serial(
    'library-reference-unsafe-main is no danger by fork, which imports nothing',
    async (t) => {
      const options = { args: ['fork'], execArgv }
      const { code, stdout, stderr } = await run('library-reference-unsafe-main', options)
      t.is(stderr, '')
      t.is(stdout, 'hello\n')
      t.is(code, 0)
    },
  )
}
