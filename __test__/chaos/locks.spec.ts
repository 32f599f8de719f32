/**
 * Processes are killed while they hold, take, release and wait for locks and their like: the others go on,
 * and what is counted is exact. `MP_CHAOS_SECONDS` says for how long.
 */
import test from 'ava'
import * as mp from 'node-multiprocessing'
import { type Guarded, meet, SLOTS, trades, type Workshop, work } from '../fixtures/chaos-locks.js'
import { openDescriptorCount, within } from '../fixtures/connection-patience.js'
import { until } from '../helpers/until.js'

const DURATION = Number(process.env.MP_CHAOS_SECONDS ?? 8) * 1000

let random = 12_345
const next = (limit: number): number => {
  random = (random * 1_103_515_245 + 12_345) & 0x7fff_ffff
  return (random >> 8) % limit
}

const counters = (length: number): Int32Array => mp.share(new Int32Array(length))

const guarded = (lock: mp.Lock | mp.RLock): Guarded => ({
  lock,
  state: counters(2),
  own: counters(SLOTS),
})

const sum = (numbers: Int32Array): number => numbers.reduce((total, number) => total + number, 0)

test.serial('holders and waiters of all kinds are killed at random', async (t) => {
  const lock = new mp.RLock()
  const workshop: Workshop = {
    plain: guarded(new mp.Lock()),
    recursive: guarded(new mp.RLock()),
    condition: new mp.Condition(lock),
    made: counters(SLOTS),
    taken: counters(SLOTS),
    stock: counters(2),
    semaphore: new mp.Semaphore(2),
    event: new mp.Event(),
    stop: new mp.Event(),
    progress: counters(SLOTS),
    faults: counters(2),
  }
  const start = (slot: number): mp.Process => {
    const p = new mp.Process({ target: work, args: [workshop, lock, trades[slot]!, slot] })
    p.start()
    return p
  }
  const processes = trades.map((_, slot) => start(slot))
  const before = openDescriptorCount()
  let kills = 0
  let looked = performance.now()
  let seen = [...workshop.progress]
  const end = looked + DURATION
  while (performance.now() < end) {
    const slot = next(SLOTS)
    processes[slot]!.kill()
    await processes[slot]!.join()
    processes[slot]!.close()
    kills++
    processes[slot] = start(slot)
    workshop.event.set()
    workshop.event.clear()
    // What a semaphore's holder had is lost with it.
    if (workshop.semaphore.getValue() === 0) workshop.semaphore.release()
    await new Promise((resolve) => setTimeout(resolve, next(30)))
    if (performance.now() - looked > 3000) {
      const now = [...workshop.progress]
      const stuck = trades.filter((_, i) => now[i] === seen[i])
      if (stuck.length > 0) t.log(`no progress: ${stuck}`)
      // One that is killed again and again may get nothing done; all of a kind do not.
      for (const kind of ['lock', 'consumer', 'semaphore', 'event']) {
        const those = trades.filter((name) => name.startsWith(kind))
        t.notDeepEqual(
          those.filter((name) => stuck.includes(name)),
          those,
        )
      }
      looked = performance.now()
      seen = now
    }
  }
  workshop.stop.set()
  for (let i = 0; i < SLOTS; i++) workshop.semaphore.release()
  const poke = setInterval(() => workshop.event.set(), 10)
  await within('all end by themselves', Promise.all(processes.map((p) => p.join())), 30_000)
  clearInterval(poke)
  t.deepEqual(
    processes.map((p) => p.exitcode),
    trades.map(() => 0),
  )
  for (const p of processes) p.close()

  const { plain, recursive, made, taken, stock, faults } = workshop
  t.is(faults[0], 0)
  t.true(faults[1]! > 0, 'some were killed while they held a lock')
  t.log(`${kills} were killed, ${faults[1]} of them inside a lock; ${sum(plain.own)} turns`)
  for (const { lock: guard, state, own } of [plain, recursive]) {
    t.true(guard.acquireSync({ timeout: 5000 }))
    t.false(guard.abandoned)
    t.is(state[1], sum(own))
    guard.release()
    t.false(guard.locked())
  }
  t.is(stock[0], sum(made) - sum(taken))
  t.false(workshop.condition.locked())
  await until('no descriptor is left', () => openDescriptorCount() <= before)
})

test.serial('one of those who meet at a barrier is killed: the others are told', async (t) => {
  const rounds = counters(1)
  for (let i = 0; i < 12; i++) {
    const barrier = new mp.Barrier(3)
    const parties = (['Promise', 'Sync', 'Sync'] as const).map((form) => {
      const p = new mp.Process({ target: meet, args: [barrier, form, rounds] })
      p.start()
      return p
    })
    const before = rounds[0]!
    await until('they meet', () => Atomics.load(rounds, 0) > before)
    await new Promise((resolve) => setTimeout(resolve, next(40)))
    parties[i % 3]!.kill()
    try {
      await within('all end', Promise.all(parties.map((p) => p.join())), 20_000)
    } finally {
      for (const p of parties) p.kill()
    }
    const ends = parties.map((p) => p.exitcode)
    t.deepEqual(
      ends.filter((code) => code !== -9),
      [0, 0],
    )
    for (const p of parties) p.close()
    t.true(barrier.broken)
    barrier.reset()
    t.false(barrier.broken)
  }
  t.true(rounds[0]! > 0)
})
