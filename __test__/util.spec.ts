/** What happens when objects go and when the process ends. */
import { existsSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { ValueError } from 'node-multiprocessing'
import {
  Finalize,
  type FinalizeOptions,
  getTempDir,
  isExiting,
  registerAfterFork,
} from 'node-multiprocessing/util'
import { program } from './fixtures/process-programs.js'
import { collectGarbage, isCollected } from './helpers/garbage.js'
import { temporaryFolder } from './helpers/temporary-folder.js'
import { until } from './helpers/until.js'

const lines = (stdout: string): string[] => stdout.split('\n').filter(Boolean)

test('the callback is called once, and its result is given', (t) => {
  const calls: unknown[][] = []
  const finalize = new Finalize(
    {},
    (...args) => {
      calls.push(args)
      return 'result'
    },
    { args: new Set([1, 'two']), kwargs: { three: 3 } },
  )
  t.true(finalize.stillActive())
  t.is(finalize.call(), 'result')
  t.false(finalize.stillActive())
  t.is(finalize.call(), undefined)
  t.deepEqual(calls, [[1, 'two', { three: 3 }]])
})

test('arguments are taken when it is made, and there need not be any', (t) => {
  const args = [1, 2]
  const finalize = new Finalize({}, (...given: number[]) => given, { args })
  args.push(3)
  t.deepEqual(finalize.call(), [1, 2])
  t.deepEqual(new Finalize({}, (...given: unknown[]) => given).call(), [])
  t.deepEqual(new Finalize({}, (...given: unknown[]) => given, { args: [] }).call(), [])
})

test('cancelled, it does nothing any more', (t) => {
  const finalize = new Finalize({}, () => t.fail('it was cancelled'), { exitpriority: 1 })
  finalize.cancel()
  t.false(finalize.stillActive())
  t.is(finalize.call(), undefined)
  finalize.cancel()
  t.is(finalize.exitpriority, 1)
})

test('leaving a block calls it', (t) => {
  let count = 0
  const finalize = new Finalize({}, () => ++count)
  t.is(finalize[Symbol.dispose](), undefined)
  finalize[Symbol.dispose]()
  t.is(count, 1)
  t.false(finalize.stillActive())
})

test('a callback that throws has been called', (t) => {
  let count = 0
  const finalize = new Finalize({}, () => {
    count++
    throw new RangeError('thrown')
  })
  t.throws(() => finalize.call(), { instanceOf: RangeError, message: 'thrown' })
  t.false(finalize.stillActive())
  t.is(finalize.call(), undefined)
  t.is(count, 1)
})

test('a callback sees that it is being called, and may call it again', (t) => {
  const seen: unknown[] = []
  const finalize: Finalize = new Finalize({}, () => {
    seen.push(finalize.stillActive(), finalize.call())
    return 'outer'
  })
  t.is(finalize.call(), 'outer')
  t.deepEqual(seen, [false, undefined])
})

/** An object that is watched, and held by nobody but who got it. */
const watched = (
  callback: (...args: unknown[]) => unknown,
  options?: FinalizeOptions,
): { object: object | null; finalize: Finalize; reference: WeakRef<object> } => {
  const object = { some: 'object' }
  const finalize = new Finalize(object, callback, options)
  return { object, finalize, reference: new WeakRef(object) }
}

test('collecting the object calls it, once, and not before', async (t) => {
  const calls: unknown[][] = []
  const held = watched((...args) => calls.push(args), { args: [1], kwargs: { two: 2 } })
  await collectGarbage()
  t.deepEqual(calls, [])
  t.true(held.finalize.stillActive())
  held.object = null
  t.true(await isCollected(held.reference), 'the finalizer does not hold the object')
  await until('the callback is called', () => calls.length > 0)
  t.false(held.finalize.stillActive())
  held.finalize.call()
  t.deepEqual(calls, [[1, { two: 2 }]])
})

test('collecting the object calls it though nobody holds the finalizer', async (t) => {
  let called = false
  const reference = (() => {
    const object = {}
    new Finalize(object, () => {
      called = true
    })
    return new WeakRef(object)
  })()
  t.true(await isCollected(reference))
  await until('the callback is called', () => called)
  t.true(called)
})

test('collecting the object does nothing when it was cancelled or called', async (t) => {
  const calls: string[] = []
  const cancelled = watched(() => calls.push('cancelled'))
  const called = watched(() => calls.push('called'))
  const last = watched(() => calls.push('last'))
  cancelled.finalize.cancel()
  called.finalize.call()
  for (const held of [cancelled, called, last]) held.object = null
  for (const { reference } of [cancelled, called, last]) t.true(await isCollected(reference))
  await until('the last callback is called', () => calls.includes('last'))
  await collectGarbage()
  t.deepEqual(calls, ['called', 'last'])
})

/** What is thrown for arguments of the wrong types. */
const refusal = (...args: readonly unknown[]): Error | undefined => {
  try {
    Reflect.construct(Finalize, args)
    return undefined
  } catch (error) {
    return error as Error
  }
}

const nothing = (): void => {}

for (const [what, args, type, message] of [
  ['no callback', [{}], TypeError, /callback must be a function, not undefined/],
  ['a callback that is a number', [{}, 5], TypeError, /callback must be a function, not 5/],
  [
    'a priority that is text',
    [null, nothing, { exitpriority: '1' }],
    TypeError,
    /exitpriority must be a whole number, not "1"/,
  ],
  [
    'a priority that is not whole',
    [null, nothing, { exitpriority: 1.5 }],
    TypeError,
    /exitpriority must be a whole number, not 1\.5/,
  ],
  [
    'a priority that is no number',
    [{}, nothing, { exitpriority: Number.NaN }],
    TypeError,
    /exitpriority must be a whole number, not NaN/,
  ],
  [
    'an endless priority',
    [{}, nothing, { exitpriority: Number.POSITIVE_INFINITY }],
    TypeError,
    /exitpriority must be a whole number, not Infinity/,
  ],
  ['arguments that cannot be iterated', [{}, nothing, { args: 5 }], TypeError, /\bargs\b/],
  ['neither an object nor a priority', [null, nothing], ValueError, /exitpriority is needed/],
] as const) {
  test(`refused: ${what}`, (t) => {
    const error = refusal(...args)
    t.true(error instanceof type, String(error))
    t.regex(error?.message ?? '', message)
  })
}

for (const object of [undefined, 5, 'text', true]) {
  test(`refused: ${String(object)} for an object`, (t) => {
    for (const options of [undefined, { exitpriority: 1 }]) {
      const error = refusal(object, nothing, options)
      t.true(error instanceof TypeError, String(error))
      t.regex(error?.message ?? '', /\bobj\b/)
    }
  })
}

test('of a finalizer that was refused, nothing is called at exit', async (t) => {
  const { code, stdout, stderr } = await program(
    t,
    `
let refused = 0
for (const [obj, options] of [
  [5, { exitpriority: 1 }],
  [undefined, { exitpriority: 1 }],
  [{}, { exitpriority: 1, args: 5 }],
  [{}, { exitpriority: 1.5 }],
]) {
  try {
    new util.Finalize(obj, () => console.log('called'), options)
  } catch {
    refused++
  }
}
console.log(refused)
`,
  )
  t.deepEqual([code, lines(stdout)], [0, ['4']], stderr)
})

const priorities = `
const at = (exitpriority, name = exitpriority, obj = null) =>
  new util.Finalize(obj, (...args) => console.log(...args), { args: [name], exitpriority })
const kept = {}
at(0)
at(10)
at(-5)
at(10, '10, later')
at(-1)
at(3, '3, with an object', kept)
at(-1, '-1, later')
at(2, 'cancelled').cancel()
at(1, 'called before').call()
at(-2147483649)
at(Number.MAX_SAFE_INTEGER)
globalThis.without = { object: kept, finalize: new util.Finalize(kept, () => console.log('without a priority')) }
END
`

const byPriority = [
  'called before',
  '9007199254740991',
  '10, later',
  '10',
  '3, with an object',
  '0',
  '-1, later',
  '-1',
  '-5',
  '-2147483649',
]

for (const [name, end, code] of [
  ['the normal end', '', 0],
  ['process.exit()', 'process.exit(3)', 3],
  ['an uncaught error', "throw new Error('uncaught')", 1],
  ['an exit that was asked for in a timer', 'setTimeout(() => process.exit(4), 1)', 4],
] as const) {
  test(`at ${name} those with a priority are called, the higher first, the later first`, async (t) => {
    const outcome = await program(t, priorities.replace('END', end))
    t.deepEqual([outcome.code, lines(outcome.stdout)], [code, byPriority], outcome.stderr)
  })
}

test('those of a child are called at its end, however it ends, and its parent’s are not', async (t) => {
  const { code, stdout, stderr } = await program(
    t,
    `
const register = () => {
  for (const exitpriority of [-1, 1]) {
    const args = [mp.currentProcess().name, exitpriority]
    new util.Finalize(null, (...args) => console.log(...args), { args, exitpriority })
  }
}
export const normal = () => register()
export const exit = () => { register(); process.exit(5) }
export const systemExit = () => { register(); throw new mp.SystemExit(6) }
export const error = () => { register(); throw new Error('in the child') }
if (mp.isMainProcess) {
  register()
  for (const target of [normal, exit, systemExit, error]) {
    const child = new mp.Process({ target, name: target.name })
    child.start()
    await child.join()
    console.log(child.exitcode)
  }
}
`,
  )
  const expected = [
    ...['normal 1', 'normal -1', '0'],
    ...['exit 1', 'exit -1', '5'],
    ...['systemExit 1', 'systemExit -1', '6'],
    ...['error 1', 'error -1', '1'],
    ...['MainProcess 1', 'MainProcess -1'],
  ]
  t.deepEqual([code, lines(stdout)], [0, expected], stderr)
})

test('what is registered and cancelled while the process ends counts', async (t) => {
  const { code, stdout, stderr } = await program(
    t,
    `
const at = (exitpriority, name, also = () => {}) =>
  new util.Finalize(null, () => { console.log(name); also() }, { exitpriority })
const cancelled = at(1, 'cancelled')
const calledEarly = at(0, 'called early')
at(5, 'five', () => {
  at(3, 'three, registered at five')
  at(9, 'nine, registered at five')
  at(-3, 'minus three, registered at five')
  cancelled.cancel()
  calledEarly.call()
})
at(4, 'four')
at(-1, 'minus one', () => {
  at(7, 'seven, registered at minus one')
  at(-9, 'minus nine, registered at minus one')
  new util.Finalize({}, () => console.log('without a priority'))
})
at(-4, 'minus four')
`,
  )
  t.deepEqual(
    [code, lines(stdout)],
    [
      0,
      [
        'five',
        'called early',
        'nine, registered at five',
        'four',
        'three, registered at five',
        'minus one',
        'seven, registered at minus one',
        'minus three, registered at five',
        'minus four',
        'minus nine, registered at minus one',
      ],
    ],
    stderr,
  )
})

test('a callback that throws at exit is reported, and the others are called', async (t) => {
  const { code, stdout, stderr } = await program(
    t,
    `
const at = (exitpriority, callback) => new util.Finalize(null, callback, { exitpriority })
function thrower() { throw new RangeError('thrown at exit') }
at(3, () => console.log('three'))
at(2, thrower)
at(1, () => { throw 'no error' })
at(0, () => { throw undefined })
at(0, () => console.log('zero'))
at(-1, thrower)
at(-2, () => console.log('minus two'))
process.exitCode = 7
`,
  )
  t.deepEqual([code, lines(stdout)], [7, ['three', 'zero', 'minus two']], stderr)
  t.is(stderr.match(/RangeError: thrown at exit\n {4}at thrower .*main\.mjs/g)?.length, 2, stderr)
  t.true(stderr.includes('no error'), stderr)
  t.true(stderr.includes('undefined'), stderr)
})

test('what was collected is not called again at exit', async (t) => {
  const { code, stdout, stderr } = await program(
    t,
    `
let collected = 0
for (let i = 0; i < 3; i++) {
  new util.Finalize({}, () => { collected++; console.log('called') }, { exitpriority: 1 })
}
while (collected < 3) {
  gc()
  await new Promise((resolve) => setTimeout(resolve, 1))
}
console.log('end')
`,
    { execArgv: ['--expose-gc'] },
  )
  t.deepEqual([code, lines(stdout)], [0, ['called', 'called', 'called', 'end']], stderr)
})

test('finalizers do not keep the process alive', async (t) => {
  const { code, stdout, stderr } = await program(
    t,
    `
globalThis.object = {}
new util.Finalize(object, () => console.log('collected'))
new util.Finalize(object, () => console.log('at exit'), { exitpriority: 0 })
`,
  )
  t.deepEqual([code, lines(stdout)], [0, ['at exit']], stderr)
})

test('whether the process has begun to end', async (t) => {
  t.false(isExiting())
  const { stdout, stderr } = await program(
    t,
    `
const tell = (when) => console.log(mp.currentProcess().name, when, util.isExiting())
export const register = () => {
  tell('running')
  process.on('beforeExit', () => tell('beforeExit'))
  process.on('exit', () => tell('exit'))
  for (const exitpriority of [0, -1]) {
    new util.Finalize(null, tell, { args: ['finalizer ' + exitpriority], exitpriority })
  }
}
if (mp.isMainProcess) {
  const child = new mp.Process({ target: register, name: 'Child' })
  child.start()
  await child.join()
  register()
}
`,
  )
  const expected = ['Child', 'MainProcess'].flatMap((name) => [
    `${name} running false`,
    `${name} beforeExit false`,
    `${name} finalizer 0 true`,
    `${name} finalizer -1 true`,
    `${name} exit true`,
  ])
  t.deepEqual(lines(stdout), expected, stderr)
})

test('the temporary folder is one per process, private, and gone when the process has ended', async (t) => {
  const folder = temporaryFolder(t)
  const { code, stdout, stderr } = await program(
    t,
    `
import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { dirname, isAbsolute, join } from 'node:path'
export const work = async (connection) => {
  const mine = util.getTempDir()
  writeFileSync(join(mine, 'file'), 'of the child')
  await connection.send([mine, util.getTempDir(), statSync(mine).mode & 0o777])
  await connection.recv()
  if (process.argv.includes('exit')) process.exit(3)
}
if (mp.isMainProcess) {
  const before = readdirSync(process.env.TMPDIR).length
  const mine = util.getTempDir()
  const [a, b] = mp.Pipe()
  const child = new mp.Process({ target: work, args: [b] })
  child.start()
  const [theirs, again, mode] = await a.recv()
  console.log(before, readdirSync(process.env.TMPDIR).length, mine === util.getTempDir(), theirs === again, mine !== theirs)
  console.log(dirname(mine) === process.env.TMPDIR, dirname(theirs) === process.env.TMPDIR)
  console.log((statSync(mine).mode & 0o777).toString(8), mode.toString(8))
  console.log(existsSync(join(theirs, 'file')))
  await a.send('end')
  await child.join()
  console.log(child.exitcode, existsSync(theirs), existsSync(mine))
  mkdirSync(join(mine, 'deep', 'deeper'), { recursive: true })
  writeFileSync(join(mine, 'deep', 'deeper', 'file'), 'of the parent')
  const tell = (name) => console.log(name, existsSync(mine))
  for (const exitpriority of [5, -99, -101]) {
    new util.Finalize(null, tell, { args: [exitpriority], exitpriority })
  }
}
`,
    { env: { TMPDIR: folder }, args: ['exit'] },
  )
  t.deepEqual(
    [code, lines(stdout)],
    [
      0,
      [
        '0 2 true true true',
        'true true',
        '700 700',
        'true',
        '3 false true',
        '5 true',
        '-99 true',
        '-101 false',
      ],
    ],
    stderr,
  )
  t.deepEqual(readdirSync(folder), [])
})

for (const [name, end] of [
  ['process.exit()', 'process.exit(0)'],
  ['an uncaught error', "throw new Error('uncaught')"],
] as const) {
  test(`the temporary folder is gone after ${name}`, async (t) => {
    const folder = temporaryFolder(t)
    const { stdout, stderr } = await program(t, `console.log(util.getTempDir())\n${end}`, {
      env: { TMPDIR: folder },
    })
    t.true(stdout.startsWith(join(folder, 'pymp-')), stderr)
    t.deepEqual(readdirSync(folder), [])
  })
}

test('the temporary folder stays where it is when the working directory changes', async (t) => {
  const folder = temporaryFolder(t)
  mkdirSync(join(folder, 'relative'))
  const { code, stdout, stderr } = await program(
    t,
    `
import { existsSync } from 'node:fs'
const mine = util.getTempDir()
process.chdir('/')
console.log(existsSync(mine), util.getTempDir() === mine)
`,
    { env: { TMPDIR: 'relative' }, cwd: folder },
  )
  t.deepEqual([code, lines(stdout)], [0, ['true true']], stderr)
  t.deepEqual(readdirSync(join(folder, 'relative')), [])
})

test('a temporary folder that somebody has removed does no harm at exit', async (t) => {
  const { code, stderr } = await program(
    t,
    `
import { rmSync } from 'node:fs'
rmSync(util.getTempDir(), { recursive: true })
`,
    { env: { TMPDIR: temporaryFolder(t) } },
  )
  t.deepEqual([code, stderr], [0, ''])
})

test('this process has a temporary folder too', (t) => {
  t.is(getTempDir(), getTempDir())
  t.true(existsSync(getTempDir()))
})

const registering = (t: ExecutionContext, ...args: readonly unknown[]): Error | undefined =>
  t.throws(() => Reflect.apply(registerAfterFork, undefined, args), { instanceOf: TypeError })

test('what is to be called after a fork is checked', (t) => {
  t.regex(registering(t, {}, 5)?.message ?? '', /function.* not 5/)
  t.regex(registering(t, {})?.message ?? '', /function.* not undefined/)
  for (const object of [null, undefined, 5, 'text']) {
    t.regex(registering(t, object, nothing)?.message ?? '', /\bobj\b/)
  }
  t.is(registerAfterFork({}, nothing), undefined)
})

test('an object whose function is to be called after a fork is not held for that', async (t) => {
  const reference = (() => {
    const object = {}
    registerAfterFork(object, nothing)
    return new WeakRef(object)
  })()
  t.true(await isCollected(reference))
})

test('a child that is started afresh calls nothing of its parent’s', async (t) => {
  const { code, stdout, stderr } = await program(
    t,
    `
export const say = () => console.log('in the child')
if (mp.isMainProcess) {
  globalThis.object = {}
  util.registerAfterFork(object, () => console.log('called'))
  const child = new mp.Process({ target: say })
  child.start()
  await child.join()
}
`,
  )
  t.deepEqual([code, lines(stdout)], [0, ['in the child']], stderr)
})

test('a whole program ends in order: finalizers, daemons, children, the last finalizers', async (t) => {
  const folder = temporaryFolder(t)
  const { code, stdout, stderr } = await program(
    t,
    `
import { writeSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
// All processes write to one pipe, each line at once: this is the order in which they did.
const say = (...words) => writeSync(1, words.join(' ') + '\\n')
const at = (exitpriority, also = () => '') => {
  const args = [mp.currentProcess().name, exitpriority]
  new util.Finalize(null, (...args) => say(...args, also()), { args, exitpriority })
}
export const daemon = async (ready) => {
  process.on('SIGTERM', () => {
    say('the daemon is told to end')
    process.exit()
  })
  at(0)
  await ready.send(process.pid)
  setInterval(() => {}, 1000)
}
export const child = async (ready, daemonPid) => {
  at(1)
  at(-1)
  await ready.send('ready')
  // The daemon is gone once the parent has joined it.
  for (;;) {
    try {
      process.kill(daemonPid, 0)
    } catch {
      break
    }
    await sleep(1)
  }
  say('the child sees that the daemon is gone')
}
if (mp.isMainProcess) {
  const [a, b] = mp.Pipe()
  const before = () => mp.activeChildren().map(({ name }) => name).sort().join()
  const daemonic = new mp.Process({ target: daemon, args: [b], daemon: true, name: 'Daemon' })
  daemonic.start()
  const pid = await a.recv()
  const other = new mp.Process({ target: child, args: [b, pid], name: 'Child' })
  other.start()
  await a.recv()
  at(-5)
  at(0, before)
  at(-1, before)
  at(10, () => util.isExiting())
  process.exit(9)
}
`,
    { env: { TMPDIR: folder } },
  )
  t.deepEqual(
    [code, lines(stdout).map((line) => line.trim())],
    [
      9,
      [
        'MainProcess 10 true',
        'MainProcess 0 Child,Daemon',
        'the daemon is told to end',
        'Daemon 0',
        'the child sees that the daemon is gone',
        'Child 1',
        'Child -1',
        'MainProcess -1',
        'MainProcess -5',
      ],
    ],
    stderr,
  )
})
