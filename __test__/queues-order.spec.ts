/**
 * Four producers and four consumers, all of the forms at once: each item is taken exactly once, and those of
 * a producer come to a consumer in the order in which it has put them in. `MP_QUEUE_ITEMS` says how many.
 */
import test from 'ava'
import * as mp from 'node-multiprocessing'
import { within } from './fixtures/connection-patience.js'
import {
  consume,
  type Item,
  type Ledger,
  type Manner,
  produce,
  putMuch,
} from './fixtures/queue-traffic.js'

const ITEMS = Number(process.env.MP_QUEUE_ITEMS ?? 200_000)
const PARTIES = 4
/** Enough for a machine with much else to do. */
const PATIENCE = 60_000 + ITEMS / 5

const start = <Args extends unknown[]>(
  target: (...args: Args) => unknown,
  ...args: Args
): mp.Process => {
  const p = new mp.Process({ target, args })
  p.start()
  return p
}

const joinAll = async (what: string, processes: readonly mp.Process[]): Promise<unknown[]> => {
  try {
    await within(what, Promise.all(processes.map((p) => p.join())), PATIENCE)
  } finally {
    for (const p of processes) p.kill()
  }
  const codes = processes.map((p) => p.exitcode)
  for (const p of processes) p.close()
  return codes
}

type Make = () => mp.Queue<Item> | mp.SimpleQueue<Item>

const check = (
  title: string,
  make: Make,
  producers: readonly Manner[],
  consumers: readonly Manner[],
  items: number,
): void => {
  test.serial(title, async (t) => {
    t.timeout(2 * PATIENCE)
    const each = Math.ceil(items / PARTIES)
    const queue = make()
    const ledger: Ledger = {
      seen: mp.share(new Uint8Array(each * PARTIES)),
      each,
      disorder: mp.share(new Int32Array(1)),
    }
    const taking = consumers.map((manner) => start(consume, queue, manner, ledger))
    const putting = producers.map((manner, i) => start(produce, queue, i, manner, ledger))
    try {
      t.deepEqual(await joinAll('the producers end', putting), [0, 0, 0, 0])
      // What a producer has put in is in the queue when it has ended, so these come last.
      for (const _ of consumers) await queue.put(null)
      t.deepEqual(await joinAll('the consumers end', taking), [0, 0, 0, 0])
    } finally {
      for (const p of mp.activeChildren()) p.kill()
    }
    t.is(ledger.disorder[0], 0)
    t.is(
      ledger.seen.findIndex((times) => times !== 1),
      -1,
    )
    t.true(queue.empty())
    queue.close()
  })
}

const blocking: Manner[] = ['Sync', 'Sync', 'Sync', 'Sync']
const awaiting: Manner[] = ['Promise', 'Promise', 'Promise', 'Promise']
const mixed: Manner[] = ['Sync', 'Promise', 'many', 'Sync']

check('a queue, all forms mixed', () => new mp.Queue(), mixed, mixed, ITEMS)
check('a queue, blocking', () => new mp.Queue(), blocking, blocking, ITEMS)
check('a queue, awaiting', () => new mp.Queue(), awaiting, awaiting, ITEMS / 2)
check('a queue of at most ten items', () => new mp.Queue(10), mixed, mixed, ITEMS / 10)
check('a queue of tasks', () => new mp.JoinableQueue(), mixed, mixed, ITEMS / 4)
check('a simple queue', () => new mp.SimpleQueue(), mixed, mixed, ITEMS / 2)

for (const method of mp.getAllStartMethods()) {
  test.serial(
    `what does not fit comes in before a process ends, of each by ${method}`,
    async (t) => {
      const { Process, Queue } = mp.getContext(method)
      // Not all are started in the same way: the first is not, nor those for whom one stands by.
      for (let round = 0; round < 3; round++) {
        const queue = new Queue<Uint8Array>()
        const p = new Process({ target: putMuch, args: [queue, 60, 100_000] })
        p.start()
        // It has time to end too early.
        await p.join(300)
        const firsts: number[] = []
        while (firsts.length < 60) firsts.push((await queue.get({ timeout: 10_000 }))[0]!)
        t.deepEqual(
          firsts,
          Array.from({ length: 60 }, (_, i) => i),
        )
        await p.join()
        t.is(p.exitcode, 0)
        p.close()
        queue.close()
      }
    },
  )
}
