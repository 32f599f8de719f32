/** What a forked child is: a process of its own, with what its parent has when it starts it. */
import test from 'ava'
import { program } from './fixtures/process-programs.js'

/** Starts a process that tells the value of an expression. */
const tell = `
import * as crypto from 'node:crypto'
import { readFileSync, readlinkSync, readdirSync } from 'node:fs'
export const own = {}
export const tellSync = (writer, expression) => writer.sendSync(eval(expression))
export const ask = async (expression) => {
  const [reader, writer] = mp.Pipe(false)
  const child = new mp.Process({ target: tellSync, args: [writer, expression] })
  child.start()
  writer.close()
  const answer = await reader.recv()
  reader.close()
  await child.join()
  if (child.exitcode !== 0) throw new Error(expression + ': ' + child.exitcode)
  return answer
}
const show = (...values) => console.log(JSON.stringify(values))
`

const shown = (stdout: string): unknown[] =>
  stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line))

test('who a forked child is', async (t) => {
  const { stdout, stderr, pid } = await program(
    t,
    `${tell}
if (mp.isMainProcess) {
  const pid = await ask('[process.pid, Number(readlinkSync("/proc/self")), mp.currentProcess().pid]')
  show(new Set(pid).size, pid[0] !== process.pid)
  show(...await ask('[process.ppid, mp.parentProcess().pid, mp.isMainProcess]'))
  show(...await ask('[process.argv, process.execArgv, process.argv0]'))
  show(process.argv, process.execArgv, process.argv0)
  show(...await ask('[readFileSync(0, "utf8"), readdirSync("/proc/self/task").length, process.exitCode ?? null, process.umask()]'))
  show(process.umask())
  const [title, mine] = await ask('[(process.title = "renamed", process.title), process.pid]')
  show(title, (await ask('process.title')) === 'renamed')
}
`,
    { args: ['one', 'two'], execArgv: ['--no-warnings', '--stack-trace-limit=20'] },
  )
  const [pids, parents, inChild, inParent, rest, umask, title] = shown(stdout) as unknown[][]
  t.deepEqual(pids, [1, true], stderr)
  t.deepEqual(parents, [pid, pid, false])
  t.deepEqual(inChild, inParent)
  t.deepEqual(rest, ['', 1, null, umask?.[0]])
  t.deepEqual(title, ['renamed', false])
})

test('the directory and the environment are those of the parent when it starts the process', async (t) => {
  const { stdout, stderr } = await program(
    t,
    `${tell}
if (mp.isMainProcess) {
  const names = '[process.cwd(), process.env.ONE, process.env.TWO, process.env.THREE, Object.keys(process.env).length]'
  const here = () => [process.cwd(), process.env.ONE, process.env.TWO, process.env.THREE, Object.keys(process.env).length]
  const compare = async () => {
    const [child, parent] = [await ask(names), here()]
    show(JSON.stringify(child) === JSON.stringify(parent), ...child)
  }
  await compare()
  process.chdir('/')
  process.env.ONE = 'changed'
  delete process.env.TWO
  process.env.THREE = 'ü =\\n'
  await compare()
  process.env.TWO = ''
  delete process.env.ONE
  await compare()
  await compare()
  show(await ask('(process.env.OWN = "1", process.env.OWN)'), await ask('process.env.OWN ?? null'), process.env.OWN ?? null)
  for (const name of Object.keys(process.env)) delete process.env[name]
  await compare()
}
`,
    { env: { ONE: '1', TWO: '2', THREE: undefined } },
  )
  const rows = shown(stdout) as unknown[][]
  t.deepEqual(
    rows.map(([same, , ...rest]) => [same, ...rest.slice(0, 3)]),
    [
      [true, '1', '2', null],
      [true, 'changed', null, 'ü =\n'],
      [true, null, '', 'ü =\n'],
      [true, null, '', 'ü =\n'],
      ['1', null],
      [true, null, null, null],
    ],
    stderr,
  )
  t.deepEqual(rows.map(([, directory]) => directory).slice(1, 4), ['/', '/', '/'])
})

test('an environment that changed is that of the children of a child too', async (t) => {
  const { stdout, stderr } = await program(
    t,
    `${tell}
export const askFurther = async (writer) => {
  const first = await ask('process.env.ONE')
  process.env.ONE = 'by the child'
  writer.sendSync([first, await ask('process.env.ONE')])
}
if (mp.isMainProcess) {
  show(await ask('process.env.ONE ?? null'))
  process.env.ONE = 'by the parent'
  const [reader, writer] = mp.Pipe(false)
  const child = new mp.Process({ target: askFurther, args: [writer] })
  child.start()
  show(...await reader.recv())
  await child.join()
  show(process.env.ONE, await ask('process.env.ONE'))
}
`,
  )
  t.deepEqual(
    shown(stdout),
    [[null], ['by the parent', 'by the child'], ['by the parent', 'by the parent']],
    stderr,
  )
})

const draws = [
  'Math.random()',
  'crypto.randomUUID()',
  'crypto.randomUUID({ disableEntropyCache: true })',
  'crypto.randomInt(2 ** 47)',
  'crypto.randomBytes(16).toString("hex")',
  'crypto.randomFillSync(Buffer.alloc(16)).toString("hex")',
  'globalThis.crypto.randomUUID()',
  'Buffer.from(globalThis.crypto.getRandomValues(new Uint8Array(16))).toString("hex")',
  'crypto.generateKeyPairSync("ed25519").publicKey.export({ format: "jwk" }).x',
  'new Promise((done) => crypto.randomInt(2 ** 47, (_, drawn) => done(drawn)))',
  'new Promise((done) => crypto.randomBytes(16, (_, drawn) => done(drawn.toString("hex"))))',
]

for (const [title, before] of [
  ['', ''],
  [', though the main module drew some before', `${draws.slice(0, 9).join('; ')}`],
  [
    ', though the main module drew some before, and holds the functions that draw',
    `const { randomUUID, randomInt } = crypto; const { random } = Math
for (let i = 0; i < 5; i++) { randomUUID(); randomInt(7); random() }
globalThis.held = [randomUUID, () => randomInt(2 ** 47), random]`,
  ],
] as const) {
  test(`nothing drawn at random comes twice in forked children${title}`, async (t) => {
    const held = title.endsWith('draw') ? ['held[0]()', 'held[1]()', 'held[2]()'] : []
    const { stdout, stderr } = await program(
      t,
      `${tell}
${before}
const drawAll = () => Promise.all([${[...draws, ...held].join(', ')}])
export const draw = async (writer) => writer.send(await drawAll())
if (mp.isMainProcess) {
  const all = [await drawAll()]
  for (let i = 0; i < 10; i++) {
    const [reader, writer] = mp.Pipe(false)
    const child = new mp.Process({ target: draw, args: [writer] })
    child.start()
    writer.close()
    all.push(await reader.recv())
    await child.join()
  }
  show(...all[0].map((_, i) => new Set(all.map((drawn) => drawn[i])).size))
}
`,
    )
    const expected = [...draws, ...held].map(() => 11)
    t.deepEqual(shown(stdout), [expected], stderr)
  })
}

test('Math.random looks, and draws, as it does elsewhere', async (t) => {
  const { stdout, stderr } = await program(
    t,
    `${tell}
if (mp.isMainProcess) {
  const expression = '[typeof Math.random, Math.random.name, Math.random.length, Object.keys(Math).length, JSON.stringify(Object.getOwnPropertyDescriptor(Math, "random"))]'
  show((JSON.stringify(await ask(expression))) === JSON.stringify(eval(expression)))
  const numbers = await ask('Array.from({ length: 10_000 }, Math.random)')
  const mean = numbers.reduce((sum, number) => sum + number) / numbers.length
  show(numbers.every((number) => number >= 0 && number < 1), Math.abs(mean - 0.5) < 0.05, new Set(numbers).size)
}
`,
  )
  t.deepEqual(shown(stdout), [[true], [true, true, 10_000]], stderr)
})

test('a forked child holds none of the descriptors of its parent or its siblings', async (t) => {
  const { stdout, stderr } = await program(
    t,
    `${tell}
import { openSync } from 'node:fs'
export const links = () => readdirSync('/proc/self/fd').flatMap((fd) => {
  try { return [readlinkSync('/proc/self/fd/' + fd)] } catch { return [] }
})
export const listen = async (writer) => { await writer.send(links()); await writer.poll(null).catch(() => {}) }
if (mp.isMainProcess) {
  openSync('/etc/hostname')
  const [kept, given] = mp.Pipe()
  const idle = []
  for (let i = 0; i < 5; i++) {
    const [ours, theirs] = mp.Pipe()
    const child = new mp.Process({ target: listen, args: [theirs] })
    child.start()
    theirs.close()
    idle.push([child, ours, await ours.recv()])
  }
  const counts = idle.map(([, , held]) => held.length)
  show(new Set(counts).size, idle.some(([, , held]) => held.includes('/etc/hostname')))
  const unknown = readlinkSync('/proc/self/fd/' + given.fileno())
  show(idle.some(([, , held]) => held.includes(unknown)))
  for (const [child, ours] of idle) { ours.close(); await child.join() }
  show(...idle.map(([child]) => child.exitcode))
}
`,
  )
  t.deepEqual(shown(stdout), [[1, false], [false], [0, 0, 0, 0, 0]], stderr)
})
