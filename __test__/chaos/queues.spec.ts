/**
 * Producers and consumers of a queue are killed wherever they are: the others go on, each item that was
 * published is taken once, but for those that were with a consumer when it was killed, and all come as they
 * were put in. `MP_CHAOS_SECONDS` says for how long.
 */
import test, { type ExecutionContext } from 'ava'
import * as mp from 'node-multiprocessing'
import {
  AT_ONCE,
  type Books,
  type ChaosQueue,
  consume,
  type Item,
  isAsItWas,
  MOST,
  make,
  makers,
  takers,
} from '../fixtures/chaos-queues.js'
import { openDescriptorCount, within } from '../fixtures/connection-patience.js'
import { collectGarbage } from '../helpers/garbage.js'
import { until } from '../helpers/until.js'

const SECONDS = Number(process.env.MP_CHAOS_SECONDS ?? 5)

/** More are not killed in that time. */
const LIVES = makers.length + Math.ceil(SECONDS * 60)

let random = 12_345
const next = (limit: number): number => {
  random = (random * 1_103_515_245 + 12_345) & 0x7fff_ffff
  return (random >> 8) % limit
}

const counters = (length: number): Int32Array => mp.share(new Int32Array(length))
const sum = (numbers: Int32Array): number => numbers.reduce((total, number) => total + number, 0)

/** What became of the items of a producer. */
interface Fate {
  /** Taken more than once. */
  repeated: number
  /** Not taken, though a later one was, or though the producer has ended well. */
  lost: number
}

const fateOf = ({ seen, made }: Books, life: number, promised: boolean): Fate => {
  const own = seen.subarray(life * MOST, (life + 1) * MOST)
  let repeated = 0
  let end = promised ? made[life]! : 0
  for (const [number, times] of own.entries()) {
    if (times > 1) repeated++
    if (times > 0) end = Math.max(end, number + 1)
  }
  return { repeated, lost: own.subarray(0, end).filter((times) => times === 0).length }
}

/** Which items of a producer were not taken, for whoever has to find out why. */
const gapsOf = ({ seen, made }: Books, life: number): string => {
  const own = seen.subarray(life * MOST, (life + 1) * MOST)
  const gaps: string[] = []
  for (let i = 0, from = -1; i <= made[life]!; i++) {
    const missing = i < made[life]! && own[i] === 0
    if (missing && from < 0) from = i
    if (!missing && from >= 0) {
      gaps.push(`${from}-${i - 1}`)
      from = -1
    }
  }
  return `${gaps.join(', ')} of ${made[life]}`
}

interface Player {
  readonly process: mp.Process
  /** The number of a producer's life. */
  readonly life: number
}

const chaos = async (
  t: ExecutionContext,
  queue: ChaosQueue,
  /** Whether what was put in is published, so that it does not end with who has put it in. */
  promises: boolean,
): Promise<void> => {
  const books: Books = {
    stop: new mp.Event(),
    made: counters(LIVES),
    seen: mp.share(new Uint8Array(LIVES * MOST)),
    taken: counters(takers.length),
    faults: counters(2),
  }
  let lives = 0
  const start = (slot: number): Player => {
    const life = slot < makers.length ? lives++ : -1
    const process =
      slot < makers.length
        ? new mp.Process({ target: make, args: [queue, makers[slot]!, life, books] })
        : new mp.Process({
            target: consume,
            args: [queue, takers[slot - makers.length]!, slot - makers.length, books],
          })
    process.start()
    return { process, life }
  }
  const slots = makers.length + takers.length
  const players = Array.from({ length: slots }, (_, slot) => start(slot))
  const killed: number[] = []
  let bearable = 0
  let consumersKilled = 0
  let looked = performance.now()
  let before = { made: 0, taken: 0 }
  const end = looked + SECONDS * 1000
  while (performance.now() < end && lives < LIVES) {
    const slot = next(slots)
    const { process, life } = players[slot]!
    process.kill()
    await process.join()
    t.is(process.exitcode, -9, `it was running: ${makers[slot] ?? takers[slot - makers.length]}`)
    process.close()
    if (slot < makers.length) killed.push(life)
    else {
      consumersKilled++
      bearable += AT_ONCE[takers[slot - makers.length]!]
    }
    players[slot] = start(slot)
    await new Promise((resolve) => setTimeout(resolve, next(60)))
    if (performance.now() - looked > 2500) {
      const now = { made: sum(books.made), taken: sum(books.taken) }
      t.true(now.made > before.made, 'items are put in')
      t.true(now.taken > before.taken, 'items are taken')
      before = now
      looked = performance.now()
    }
  }
  books.stop.set()
  const stuck = (): string =>
    players
      .map(({ process }, slot) =>
        process.isAlive() ? (makers[slot] ?? takers[slot - makers.length]) : '',
      )
      .filter(Boolean)
      .join('; ')
  const allEnd = async (those: readonly Player[]): Promise<void> => {
    try {
      await within('all end', Promise.all(those.map(({ process }) => process.join())), 30_000)
    } catch (error) {
      t.log(`these hang: ${stuck()}; ${books.taken}; in the queue: ${queue.empty() ? 0 : 'some'}`)
      throw error
    }
    t.deepEqual(
      those.map(({ process }) => process.exitcode),
      those.map(() => 0),
    )
    for (const { process } of those) process.close()
  }
  await allEnd(players.slice(0, makers.length))
  // Whoever has ended well has its items in the queue, so these come last.
  for (const _ of takers) await queue.put(null)
  await allEnd(players.slice(makers.length))

  t.deepEqual([...books.faults], [0, 0], 'all came as they were put in, and in order')
  const left: Item[] = []
  while (!queue.empty()) left.push(await queue.get())
  t.deepEqual(left, [], 'nothing is left')
  let repeated = 0
  let lost = 0
  for (let life = 0; life < lives; life++) {
    const fate = fateOf(books, life, promises || !killed.includes(life))
    repeated += fate.repeated
    lost += fate.lost
    if (fate.lost > 5)
      t.log(`life ${life}, ${killed.includes(life) ? '' : 'not '}killed: ${gapsOf(books, life)}`)
  }
  t.log(
    `${killed.length} producers and ${consumersKilled} consumers were killed; ` +
      `${sum(books.taken)} items were taken, ${lost} lost of ${bearable} that may be`,
  )
  t.is(repeated, 0)
  t.true(lost <= bearable, `${lost} items are lost, and ${bearable} can have been`)
  t.true(sum(books.taken) > 100 * SECONDS)
}

/** Ends whoever is left, whatever became of the test. */
const run = async (t: ExecutionContext, queue: ChaosQueue, promises: boolean): Promise<void> => {
  const descriptors = openDescriptorCount()
  try {
    await chaos(t, queue, promises)
  } finally {
    for (const p of mp.activeChildren()) {
      p.kill()
      await p.join()
    }
  }
  // What was shared is there until it is collected.
  for (let i = 0; i < 50 && openDescriptorCount() > descriptors; i++) await collectGarbage()
  t.true(openDescriptorCount() <= descriptors, 'no descriptor is left')
}

/** What makes a queue and a process for the first time keeps descriptors. */
test.serial.before(async () => {
  const queue = new mp.Queue<Item>()
  const p = new mp.Process({ target: consume, args: [queue, 'blocking', 0, {} as Books] })
  p.start()
  await queue.put(null)
  await p.join()
  p.close()
  queue.close()
})

test.serial('a queue', async (t) => {
  t.timeout(120_000 + SECONDS * 1000)
  const queue = new mp.Queue<Item>()
  await run(t, queue, false)
  t.is(queue.qsize(), 0)
  queue.close()
})

test.serial('a queue of at most eight items', async (t) => {
  t.timeout(120_000 + SECONDS * 1000)
  const queue = new mp.Queue<Item>(8)
  await run(t, queue, false)
  t.is(queue.qsize(), 0)
  // Those who were killed have taken no place with them.
  for (let i = 0; i < 8; i++) queue.putNowait(null)
  t.throws(() => queue.putNowait(null), { instanceOf: mp.Full })
  for (let i = 0; i < 8; i++) t.is(queue.getNowait(), null)
  queue.close()
})

test.serial('a simple queue', async (t) => {
  t.timeout(120_000 + SECONDS * 1000)
  const queue = new mp.SimpleQueue<Item>()
  await run(t, queue, true)
  queue.close()
})

/** A little while with everybody at work, and then they are all killed at once. */
const round = async (t: ExecutionContext, queue: ChaosQueue, rest: number): Promise<void> => {
  const books: Books = {
    stop: new mp.Event(),
    made: counters(makers.length),
    seen: mp.share(new Uint8Array(makers.length * MOST)),
    taken: counters(takers.length),
    faults: counters(2),
  }
  const processes = [
    ...makers.map((kind, i) => new mp.Process({ target: make, args: [queue, kind, i, books] })),
    ...takers.map((kind, i) => new mp.Process({ target: consume, args: [queue, kind, i, books] })),
  ]
  for (const p of processes) p.start()
  await until('they are at work', () => sum(books.taken) > 20)
  await new Promise((resolve) => setTimeout(resolve, rest))
  for (const p of processes) p.kill()
  await Promise.all(processes.map((p) => p.join()))
  for (const p of processes) p.close()
  // What is there can still be taken, up to what is put in now.
  // There may be no room for it before.
  const putting = queue.put(null)
  for (;;) {
    const item = await within('what is left', queue.get())
    if (item === null) break
    const [life, number, content] = item
    Atomics.add(books.seen, life * MOST + number, 1)
    t.true(await isAsItWas(life, number, content))
  }
  await within('room for one more', putting)
  t.true(queue.empty())
  t.deepEqual([...books.faults], [0, 0])
  t.false(books.seen.some((times) => times > 1))
  const lost = makers.reduce((total, _, i) => total + fateOf(books, i, false).lost, 0)
  const bearable = takers.reduce((total, kind) => total + AT_ONCE[kind], 0)
  t.true(lost <= bearable, `${lost} items are lost, and ${bearable} can have been`)
}

const kinds: [string, () => ChaosQueue][] = [
  ['a queue', () => new mp.Queue<Item>()],
  ['a queue of at most eight items', () => new mp.Queue<Item>(8)],
  ['a simple queue', () => new mp.SimpleQueue<Item>()],
]
for (const [title, create] of kinds) {
  test.serial(`${title}: all are killed at once, and it is as good as new`, async (t) => {
    t.timeout(120_000 + SECONDS * 1000)
    const queue = create()
    try {
      for (let i = 0; i < SECONDS; i++) await round(t, queue, next(200))
    } finally {
      for (const p of mp.activeChildren()) {
        p.kill()
        await p.join()
      }
    }
    queue.close()
  })
}
