/** Very large buffers, which are handed over in memory that is used again. */
import { readdirSync, readlinkSync } from 'node:fs'
import { totalmem } from 'node:os'
import test from 'ava'
import * as mp from 'node-multiprocessing'
import { within } from './fixtures/connection-patience.js'
import { program } from './fixtures/process-programs.js'
import { lookAtLarge, lookAtParts, sum, sumLarge, takeAll } from './fixtures/queues-large.js'
import { FORK_OPTIONS } from './helpers/fork-options.js'

const MIB = 2 ** 20
const SIZE = 40 * MIB

/** Large contents that say where they were. */
const contents = (seed: number, length = SIZE): Uint8Array => {
  const bytes = new Uint8Array(length)
  for (let i = 0; i < length; i += 1021) bytes[i] = (i * 31 + seed) & 0xff
  bytes[length - 1] = seed
  return bytes
}

const lengthOf = (parts: readonly Uint8Array[]): number =>
  parts.reduce((sum, { length }) => sum + length, 0)

/** Files in memory that this process has open. */
const files = (): number =>
  readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith('/memfd:')
    } catch {
      return false
    }
  }).length

for (const [name, make] of [
  ['a queue', () => new mp.Queue()],
  ['a simple queue', () => new mp.SimpleQueue()],
] as const) {
  test.serial(`${name}: what is large comes as it was, and is one's own`, async (t) => {
    const queue = make()
    const bytes = contents(1)
    const wanted = bytes.slice()
    queue.putSync(bytes)
    // It may be changed when the call has returned.
    bytes.fill(0)
    await queue.put({ small: new Uint8Array([1, 2]), large: new Float64Array(wanted.buffer), n: 1 })
    const first = queue.getSync() as Uint8Array
    t.is(Buffer.compare(first, wanted), 0)
    first.fill(7)
    const { small, large, n } = (await queue.get()) as {
      small: Uint8Array
      large: Float64Array
      n: number
    }
    t.deepEqual([...small, n], [1, 2, 1])
    t.is(Buffer.compare(new Uint8Array(large.buffer), wanted), 0)
    t.true(first.every((byte) => byte === 7))
    queue.close()
  })

  test.serial(`${name}: what was taken may be passed on, and put in again`, async (t) => {
    const queue = make()
    const bytes = contents(2)
    queue.putSync(bytes)
    const taken = structuredClone(queue.getSync() as Uint8Array, { transfer: [] })
    queue.putSync(taken)
    const again = queue.getSync() as Uint8Array
    const moved = structuredClone(again, { transfer: [again.buffer as ArrayBuffer] })
    t.is(again.length, 0)
    for (let i = 0; i < 12; i++) {
      queue.putSync(contents(i))
      t.is((queue.getSync() as Uint8Array)[0], i)
    }
    t.is(Buffer.compare(moved, bytes), 0, 'nobody has used its memory for something else')
    queue.close()
  })
}

test.serial('there is more than is handed over at a time, in order', async (t) => {
  const queue = new mp.Queue()
  const [ours, theirs] = mp.Pipe()
  const child = new mp.Process({ target: sumLarge, args: [queue, theirs, 24] })
  child.start()
  const wanted: number[] = []
  for (let i = 0; i < 24; i++) {
    const bytes = contents(i, SIZE + i)
    wanted.push(sum(bytes))
    await queue.put(bytes)
  }
  t.deepEqual(await within('all are taken', ours.recv(), 60_000), wanted)
  await child.join()
  queue.close()
})

for (const method of ['spawn', 'forkserver'] as const) {
  test.serial(`a loop that blocks does not keep what it has dropped, in ${method}`, async (t) => {
    const queue = new mp.Queue()
    const [ours, theirs] = mp.Pipe()
    const { Process } = mp.getContext(method)
    const child = new Process({ target: takeAll, args: [queue, theirs, 40] })
    child.start()
    const bytes = contents(3)
    for (let i = 0; i < 40; i++) await queue.put(bytes)
    const outside = (await within('all are taken', ours.recv(), 60_000)) as number
    t.true(outside < 20 * SIZE, `${outside / MIB} MiB are in use, of ${(40 * SIZE) / MIB} taken`)
    await child.join()
    queue.close()
  })
}

test.serial('an item of more than 4 GiB comes as it was', async (t) => {
  // Half of the memory is needed: what is put in takes none before it is written to.
  const length = Math.floor(Math.min(2.2 * 2 ** 30, totalmem() / 4))
  const [first, second] = [new Uint8Array(length), new Uint8Array(length)]
  for (let i = 0; i < length; i += 2 ** 24) [first[i], second[i]] = [i / 2 ** 24, 1]
  second[length - 1] = 9
  const queue = new mp.Queue<Uint8Array[]>()
  const [ours, theirs] = mp.Pipe()
  const child = new mp.Process({ target: lookAtParts, args: [queue, theirs, 2 ** 24] })
  child.start()
  await queue.put([first, second])
  await queue.put([new Uint8Array([5])])
  const parts = Array.from({ length: Math.ceil(length / 2 ** 24) }, (_, i) => i & 0xff)
  const wanted = [
    [length, parts, 0],
    [length, parts.map(() => 1), 9],
    [1, [5], 5],
  ]
  t.deepEqual(await within('it is taken', ours.recv(), 120_000), wanted)
  await child.join()
  queue.close()
})

test.serial(
  'an item that is larger than the memory is an error of put, and nobody else is told',
  async (t) => {
    const parts: Uint8Array[] = []
    while (lengthOf(parts) <= totalmem()) parts.push(new Uint8Array(2 ** 32 - 1))
    const queue = new mp.Queue<unknown>()
    const error = { instanceOf: mp.OSError, code: 'ENOMEM' }
    t.throws(() => queue.putSync(parts), error)
    await t.throwsAsync(queue.put(parts), error)
    t.throws(() => queue.putNowait(parts), error)
    const simple = new mp.SimpleQueue<unknown>()
    t.throws(() => simple.putSync(parts), error)
    for (const each of [queue, simple]) {
      t.true(each.empty())
      each.putSync('small')
      t.is(await each.get(), 'small')
      each.close()
    }
  },
)

test.serial('whoever is killed with it keeps nothing', async (t) => {
  const queue = new mp.Queue()
  for (let i = 0; i < 12; i++) {
    const [ours, theirs] = mp.Pipe()
    const child = new mp.Process({ target: lookAtLarge, args: [queue, theirs] })
    child.start()
    queue.putSync(contents(i))
    t.is(await within('it is taken', ours.recv(), 30_000), i)
    child.kill()
    await child.join()
    child.close()
  }
  t.true(files() < 30)
  queue.close()
})

const onLinux = process.platform === 'linux' ? test.serial : test.serial.skip

onLinux('a copy of the process gives its memory back, too', async (t) => {
  const { stdout, stderr } = await program(
    t,
    `import { readdirSync, statSync } from 'node:fs'
const { Process } = mp.getContext('fork')
const sizeOf = (fd) => { try { return statSync('/proc/self/fd/' + fd).size } catch { return 0 } }
const kept = () => readdirSync('/proc/self/fd').filter((fd) => sizeOf(fd) >= ${SIZE}).length
const queue = new mp.SimpleQueue()
const sendLarge = () => {
  queue.putSync(new Uint8Array(${SIZE}))
  queue.getSync()
}
sendLarge()
// With one that keeps the event loop alive, all timers are left to the original.
setTimeout(() => {}, 1000)
const child = new Process({
  target: async () => {
    const inherited = kept()
    sendLarge()
    const before = kept()
    for (let i = 0; i < 200 && kept() > 0; i++) await new Promise((resolve) => setTimeout(resolve, 50))
    console.log(inherited, before, kept())
  },
})
child.start()
await child.join()
`,
    { execArgv: FORK_OPTIONS },
  )
  t.is(stdout, '0 1 0\n', stderr)
})
