/**
 * Locks that one thread has used alone for a while: it takes and frees them without asking anybody, until
 * somebody else comes. Nothing of that is to be seen from outside, so these tests look at the word.
 */
import test from 'ava'
import * as mp from 'node-multiprocessing'
import { program } from './fixtures/process-programs.js'
import * as fixtures from './fixtures/synchronize.js'
import { FORK_OPTIONS } from './helpers/fork-options.js'
import { TOO_OFTEN } from './helpers/lock-calls.js'
import { underWatchdog } from './helpers/watchdog.js'

type AnyLock = mp.Lock | mp.RLock

for (const type of [mp.Lock, mp.RLock]) {
  test.serial(
    `one ${type.name} that was used alone is held, and shown, like any other`,
    async (t) => {
      const lock = await fixtures.biased(new type())
      const free = String(lock)
      t.false(lock.locked())
      lock.acquireSync()
      t.true(lock.locked())
      t.not(String(lock), free)
      t.false(lock.abandoned)
      lock.release()
      t.is(String(lock), free)
      t.true(fixtures.isBiased(lock))
      t.true(await lock.acquire())
      t.true(lock.locked())
      lock.release()
      using held = lock.holdSync()
      t.true(lock.locked())
      t.truthy(held)
    },
  )

  test.serial(
    `one ${type.name} of a child that had it to itself is taken over when it dies`,
    async (t) => {
      await underWatchdog(async () => {
        const [here, there] = mp.Pipe()
        const p = new mp.Process({ target: fixtures.holdBiased, args: [there, type] })
        p.start()
        const lock = await here.recv<AnyLock>()
        t.true(fixtures.isBiased(lock))
        t.true(lock.locked())
        t.false(lock.acquireSync({ timeout: 20 }))
        t.false(fixtures.isBiased(lock))
        p.kill()
        await p.join()
        t.true(lock.acquireSync())
        t.true(lock.abandoned)
        lock.release()
        t.false(lock.abandoned)
      })
    },
  )

  test.serial(`one ${type.name} of a child that has died without it is free`, async (t) => {
    await underWatchdog(async () => {
      const [here, there] = mp.Pipe()
      const p = new mp.Process({ target: fixtures.leaveBiased, args: [there, type] })
      p.start()
      const lock = await here.recv<AnyLock>()
      here.sendSync(null)
      await p.join()
      t.true(fixtures.isBiased(lock))
      t.false(lock.locked())
      t.true(lock.acquireSync())
      t.false(lock.abandoned)
      lock.release()
    })
  })
}

test.serial(
  'a lock is not acquired twice by whoever has it to itself, and not freed twice',
  async (t) => {
    const lock = await fixtures.biased(new mp.Lock())
    lock.acquireSync()
    t.false(lock.acquireSync({ block: false }))
    t.false(lock.acquireSync({ timeout: 20 }))
    t.false(await lock.acquire({ timeout: 20 }))
    lock.release()
    t.throws(() => lock.release(), TOO_OFTEN)
    t.true(lock.acquireSync())
    lock.release()
    const other = await fixtures.biased(new mp.Lock())
    t.throws(() => other.release(), TOO_OFTEN)
    t.true(other.acquireSync({ timeout: 20 }))
    t.false(other.acquireSync({ block: false }))
    other.release()
    t.false(other.locked())
  },
)

test.serial('a recursive lock counts when it is biased, and when it is no more', async (t) => {
  const lock = await fixtures.biased(new mp.RLock())
  for (let i = 0; i < 3; i++) lock.acquireSync()
  t.is(String(lock), '<RLock(MainProcess, 3)>')
  using pool = new mp.Pool(1)
  const [taken, shown] = await pool.apply(fixtures.tryLock, [lock])
  t.false(taken)
  t.is(shown, '<RLock(SomeOtherProcess, nonzero)>')
  t.is(String(lock), '<RLock(MainProcess, 3)>')
  for (let i = 0; i < 3; i++) lock.release()
  t.throws(() => lock.release(), { instanceOf: mp.AssertionError })
  t.true((await pool.apply(fixtures.tryLock, [lock]))[0])
})

for (const method of ['spawn', 'forkserver'] as const) {
  test.serial(`others exclude whoever had a lock to itself, and it them [${method}]`, async (t) => {
    await underWatchdog(async () => {
      const context = mp.getContext(method)
      for (let round = 0; round < 4; round++) {
        const lock = await fixtures.biased(new mp.Lock())
        const number = mp.share(new Int32Array(1))
        const times = 20_000
        const children = [0, 1].map(() => {
          const args: Parameters<typeof fixtures.count> = ['Sync', lock, number, times]
          return new context.Process({ target: fixtures.count, args })
        })
        for (const child of children) child.start()
        let mine = 0
        // They come while it is being taken and freed, at any point of that.
        while (fixtures.isBiased(lock) || mine < times) {
          lock.acquireSync()
          number[0]!++
          lock.release()
          mine++
        }
        for (const child of children) {
          await child.join()
          t.is(child.exitcode, 0)
        }
        t.is(number[0], mine + 2 * times)
        t.false(lock.locked())
      }
    })
  })
}

test.serial('somebody else may free a lock that is held by whoever has it to itself', async (t) => {
  const lock = await fixtures.biased(new mp.Lock())
  using pool = new mp.Pool(1)
  lock.acquireSync()
  t.deepEqual(await pool.apply(fixtures.tryLock, [lock]), [false, '<Lock(owner=SomeOtherProcess)>'])
  lock.release()
  const again = await fixtures.biased(new mp.Lock())
  again.acquireSync()
  await pool.apply((held: mp.Lock) => held.release(), [again])
  t.false(again.locked())
  t.throws(() => again.release(), TOO_OFTEN)
  t.deepEqual(await pool.apply(fixtures.tryLock, [again]), [true, '<Lock(owner=None)>'])
})

test.serial('a condition over a lock that was used alone', async (t) => {
  await underWatchdog(async () => {
    const lock = await fixtures.biased(new mp.RLock())
    const condition = new mp.Condition(lock)
    const p = new mp.Process({ target: fixtures.notifyOnce, args: [condition] })
    condition.acquireSync()
    p.start()
    t.true(await condition.wait(20_000))
    condition.release()
    await p.join()
    t.is(p.exitcode, 0)
  })
})

test.serial('copies of whoever made a lock do not take it for theirs', async (t) => {
  const outcome = await program(
    t,
    `
mp.setStartMethod('fork')
const lock = new mp.Lock()
const word = () => new Int32Array(lock.word.block.buffer)[0]
const useForAWhile = () => {
  const end = Date.now() + 300
  while (Date.now() < end) for (let i = 0; i < 1000; i++) { lock.acquireSync(); lock.release() }
  return word()
}
const turns = [0, 1, 2].map(() => new mp.Event())
const start = (target) => { const p = new mp.Process({ target }); p.start(); return p }
const one = start(() => {
  const alone = useForAWhile()
  turns[0].set()
  turns[1].waitSync()
  const taken = lock.acquireSync({ timeout: 1000 })
  if (taken) lock.release()
  turns[2].set()
  process.exit(alone === 0 && taken ? 3 : 1)
})
const other = start(() => {
  turns[0].waitSync()
  const alone = useForAWhile()
  turns[1].set()
  turns[2].waitSync()
  const taken = lock.acquireSync({ timeout: 1000 })
  process.exit(alone === 0 && taken ? 4 : 1)
})
one.joinSync()
other.joinSync()
console.log(one.exitcode, other.exitcode)
`,
    { execArgv: FORK_OPTIONS },
  )
  t.is(outcome.stdout, '3 4\n')
})

test.serial('a copy of the process does not have what the process had to itself', async (t) => {
  const outcome = await program(
    t,
    `
const lock = new mp.Lock()
const word = () => new Int32Array(lock.word.block.buffer)[0]
const end = Date.now() + 10_000
while (word() === 0 && Date.now() < end) for (let i = 0; i < 1000; i++) { lock.acquireSync(); lock.release() }
mp.setStartMethod('fork')
const start = (target) => { const p = new mp.Process({ target }); p.start(); p.joinSync(); return p.exitcode }
console.log(word() !== 0)
lock.acquireSync()
console.log(start(() => process.exit(lock.acquireSync({ timeout: 50 }) ? 1 : 7)))
lock.release()
console.log(start(() => { lock.acquireSync(); process.exit(lock.locked() ? 8 : 1) }))
console.log(lock.acquireSync(), lock.abandoned)
`,
    { execArgv: FORK_OPTIONS },
  )
  t.deepEqual(outcome.stdout.trim().split('\n'), ['true', '7', '8', 'true true'])
})
