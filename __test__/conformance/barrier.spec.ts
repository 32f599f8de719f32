import * as mp from 'node-multiprocessing'
import * as child from '../fixtures/conformance/synchronize.js'
import { N } from '../fixtures/conformance/synchronize.js'
import { wait } from '../helpers/lock-calls.js'
import { type GivenParties, rowOfBothKinds } from '../helpers/parties.js'
import { nothingIsLeftBehind } from '../helpers/row.js'
import { until } from '../helpers/until.js'

nothingIsLeftBehind()

/** How long a barrier waits that is not to be waited for in vain. */
const PATIENCE = 30_000

const counters = (count: number, length = 1): Int32Array[] =>
  Array.from({ length: count }, () => mp.share(new Int32Array(length)))

/** Does the work here, and in as many others as are missing; all end well. */
const runParties = async (
  { start, form }: GivenParties,
  work: child.BarrierWork,
  barrier: mp.Barrier,
  results: Int32Array[],
  ...rest: unknown[]
): Promise<void> => {
  const [started, finished] = counters(2) as [Int32Array, Int32Array]
  const parties = Array.from({ length: N - 1 }, () =>
    start(child.takePart, work, started, finished, form, barrier, results, ...rest),
  )
  // A thread needs this one's event loop to begin.
  await until('all have started', () => started[0] === N - 1)
  await work(form, barrier, results, ...rest)
  await until('all have finished', () => finished[0] === N - 1)
  const ends = await Promise.all(parties.map((party) => party.ended))
  if (ends.some((code) => code !== 0)) throw new Error(`the parties ended with ${ends}`)
}

const newBarrier = (): mp.Barrier => new mp.Barrier(N, { timeout: PATIENCE })

for (const [name, passes] of [
  ['_TestBarrier.test_barrier', 1],
  ['_TestBarrier.test_barrier_10', 10],
] as const) {
  rowOfBothKinds(name, async (t, given) => {
    const results = counters(2)
    const barrier = newBarrier()
    await runParties(given, child.multipass, barrier, results, passes)
    t.deepEqual(
      results.map(([count]) => count),
      [passes * N, passes * N],
    )
    t.is(barrier.nWaiting, 0)
    t.false(barrier.broken)
  })
}

rowOfBothKinds('_TestBarrier.test_wait_return', async (t, given) => {
  const results = counters(1, N)
  await runParties(given, child.noteIndex, newBarrier(), results)
  t.deepEqual([...results[0]!], [1, 1, 1, 1, 1])
})

rowOfBothKinds('_TestBarrier.test_action', async (t, given) => {
  const results = counters(1)
  const [count] = results as [Int32Array]
  const action = (): void => void Atomics.add(count, 0, 1)
  await runParties(given, child.seeAction, new mp.Barrier(N, { action }), results)
  t.is(count[0], 1)
})

rowOfBothKinds('_TestBarrier.test_abort', async (t, given) => {
  const results = counters(2)
  const barrier = newBarrier()
  await runParties(given, child.abortOnce, barrier, results)
  t.deepEqual(
    results.map(([count]) => count),
    [0, N - 1],
  )
  t.true(barrier.broken)
})

rowOfBothKinds('_TestBarrier.test_reset', async (t, given) => {
  const results = counters(3)
  await runParties(given, child.resetOnce, newBarrier(), results)
  t.deepEqual(
    results.map(([count]) => count),
    [0, N - 1, N],
  )
})

rowOfBothKinds('_TestBarrier.test_abort_and_reset', async (t, given) => {
  const results = counters(3)
  const other = new mp.Barrier(N)
  await runParties(given, child.abortAndReset, newBarrier(), results, other)
  t.deepEqual(
    results.map(([count]) => count),
    [0, N - 1, N],
  )
})

rowOfBothKinds('_TestBarrier.test_timeout', async (t, given) => {
  const results = counters(1)
  await runParties(given, child.comeLate, newBarrier(), results, undefined, 500)
  t.is(results[0]![0], N)
})

rowOfBothKinds('_TestBarrier.test_default_timeout', async (t, given) => {
  const results = counters(1)
  const barrier = new mp.Barrier(N, { timeout: 500 })
  await runParties(given, child.comeLate, barrier, results, PATIENCE, undefined)
  t.is(results[0]![0], N)
})

rowOfBothKinds('_TestBarrier.test_single_thread', async (t, { form }) => {
  const barrier = new mp.Barrier(1)
  t.is(await wait(form, barrier), 0)
  t.is(await wait(form, barrier), 0)
})

rowOfBothKinds('_TestBarrier.test_thousand', async (t, { start, form }) => {
  const passes = 1000
  const lock = new mp.Lock()
  const barrier = newBarrier()
  const [reader, writer] = mp.Pipe({ duplex: false })
  const parties = Array.from({ length: N }, () =>
    start(child.passAndTell, form, barrier, passes, writer, lock),
  )
  let inOrder = true
  for (let i = 0; i < passes; i++) {
    for (let j = 0; j < N; j++) inOrder &&= (await reader.recv<number>()) === i
  }
  t.true(inOrder)
  await Promise.all(parties.map((party) => party.ended))
  reader.close()
  writer.close()
})
