/** Waiting for many things, of all kinds, again and again. */
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import test, { type ExecutionContext } from 'ava'
import * as mp from 'node-multiprocessing'
import {
  Client,
  ClientSync,
  type Connection,
  Listener,
  type Waitable,
  wait,
  waitSync,
} from 'node-multiprocessing/connection'
import { waitForEnd } from './fixtures/conformance/listener.js'
import { resourcesOf } from './helpers/resources.js'
import { until } from './helpers/until.js'
import { underWatchdog } from './helpers/watchdog.js'

const forms = {
  Promise: (objects: readonly Waitable[], timeout: number) => wait(objects, { timeout }),
  Sync: async (objects: readonly Waitable[], timeout: number) => waitSync(objects, { timeout }),
}

/** The sets of the kernel's that this process has; the event loop of each thread is one. */
const setCount = (): number =>
  resourcesOf().descriptors.filter((name) => name.includes('eventpoll')).length

let noSets = 0
test.serial.before(async () => {
  await underWatchdog(() => {})
  noSets = setCount()
})

/** Pairs that are closed when the test ends. */
const pairs = (t: ExecutionContext, count: number): [Connection[], Connection[]] => {
  const ours: Connection[] = []
  const theirs: Connection[] = []
  for (let i = 0; i < count; i++) {
    const [a, b] = mp.Pipe()
    ours.push(a)
    theirs.push(b)
  }
  t.teardown(() => {
    for (const connection of [...ours, ...theirs]) connection.close()
  })
  return [ours, theirs]
}

for (const [form, waitFor] of Object.entries(forms)) {
  for (const count of [1, 15, 16, 17, 1000]) {
    test.serial(`the ready ones of ${count}, in order, ${form} form`, (t) =>
      underWatchdog(async () => {
        const [ours, theirs] = pairs(t, count)
        t.deepEqual(await waitFor(ours, 0), [])
        t.deepEqual(await waitFor(ours, 5), [])
        const last = count - 1
        theirs[last]!.sendSync('x')
        t.is((await waitFor(ours, 10_000))[0], ours[last])
        theirs[0]!.sendSync('x')
        const expected = count === 1 ? [ours[0]] : [ours[0], ours[last]]
        t.deepEqual(
          (await waitFor(ours, 10_000)).map((one) => ours.indexOf(one as Connection)),
          expected.map((one) => ours.indexOf(one!)),
        )
        // What is received is ready no more.
        for (const connection of new Set(expected)) connection!.recvSync()
        if (count === 1) ours[0]!.recvSync()
        t.deepEqual(await waitFor(ours, 0), [])
      }),
    )
  }

  test.serial(`lists that change, ${form} form`, (t) =>
    underWatchdog(async () => {
      const [ours, theirs] = pairs(t, 60)
      const list = ours.slice(0, 40)
      t.deepEqual(await waitFor(list, 0), [])
      // One is closed, one leaves and others come, and descriptors are used again.
      list[3]!.close()
      t.throws(() => waitSync(list, { timeout: 0 }), { message: 'handle is closed' })
      await t.throwsAsync(wait(list, { timeout: 0 }), { message: 'handle is closed' })
      list.splice(3, 1)
      const [leaving] = list.splice(5, 1)
      const [again, other] = mp.Pipe()
      list.push(again, ...ours.slice(40))
      theirs[ours.indexOf(leaving!)]!.sendSync('not waited for')
      t.deepEqual(await waitFor(list, 5), [])
      other.sendSync('x')
      t.deepEqual(await waitFor(list, 10_000), [again])
      list.reverse()
      theirs[59]!.sendSync('x')
      t.deepEqual(await waitFor(list, 10_000), [ours[59]!, again])
      t.is((await waitFor([...list, leaving!], 0)).at(-1), leaving)
      again.close()
      other.close()
    }),
  )

  test.serial(`the same one twice among many, ${form} form`, (t) =>
    underWatchdog(async () => {
      const [ours, theirs] = pairs(t, 30)
      const list = [...ours, ours[7]!]
      theirs[7]!.sendSync('x')
      t.deepEqual(await waitFor(list, 10_000), [ours[7]!, ours[7]!])
    }),
  )

  test.serial(`many connections, a listener and a sentinel, ${form} form`, (t) =>
    underWatchdog(async () => {
      const [ours, theirs] = pairs(t, 50)
      const listener = new Listener()
      const [stop, stopped] = mp.Pipe()
      const p = new mp.Process({ target: waitForEnd, args: [stopped], daemon: true })
      p.start()
      stopped.close()
      const list: Waitable[] = [p.sentinel, ...ours, listener]
      t.deepEqual(await waitFor(list, 5), [])
      const client = ClientSync(listener.address)
      t.deepEqual(await waitFor(list, 10_000), [listener])
      theirs[20]!.sendSync('x')
      t.deepEqual(await waitFor(list, 10_000), [ours[20]!, listener])
      const accepted = listener.acceptSync()
      t.deepEqual(await waitFor(list, 10_000), [ours[20]!])
      ours[20]!.recvSync()
      stop.close()
      t.deepEqual(await waitFor(list, 10_000), [p.sentinel])
      await p.join()
      for (const each of [client, accepted, listener]) each.close()
    }),
  )
}

test.serial('what becomes ready later ends the wait, whether there are many or few', (t) =>
  underWatchdog(async () => {
    for (const count of [2, 200]) {
      const [ours, theirs] = pairs(t, count)
      for (let i = 0; i < 3; i++) {
        const waiting = wait(ours)
        setImmediate(() => theirs[1]!.sendSync(i))
        t.deepEqual(await waiting, [ours[1]!])
        t.is(ours[1]!.recvSync(), i)
      }
    }
  }),
)

test.serial('several waits for the same many at once', (t) =>
  underWatchdog(async () => {
    const [ours, theirs] = pairs(t, 100)
    const waiting = [wait(ours), wait(ours), wait(ours.slice(50)), wait(ours, { timeout: 60_000 })]
    theirs[70]!.sendSync('x')
    for (const found of await Promise.all(waiting)) t.deepEqual(found, [ours[70]!])
  }),
)

test.serial(
  'one of many that is closed during the wait is an error, and the rest can be waited for',
  (t) =>
    underWatchdog(async () => {
      const [ours, theirs] = pairs(t, 100)
      const waiting = wait(ours)
      ours[4]!.close()
      await t.throwsAsync(waiting, { instanceOf: mp.OSError, message: 'handle is closed' })
      ours.splice(4, 1)
      theirs[4]!.close()
      theirs[99]!.sendSync('x')
      t.deepEqual(await wait(ours), [ours[98]!])
    }),
)

test.serial('a signal ends a wait for many', (t) =>
  underWatchdog(async () => {
    const [ours] = pairs(t, 100)
    const reason = new Error('enough')
    const abort = new AbortController()
    const waiting = wait(ours, { signal: abort.signal })
    abort.abort(reason)
    t.is(await t.throwsAsync(waiting), reason)
  }),
)

test.serial('what was kept for the next time is let go of', (t) =>
  underWatchdog(async () => {
    const [ours, theirs] = pairs(t, 30)
    await until('those of other tests are closed', () => setCount() === noSets)
    t.deepEqual(waitSync(ours, { timeout: 0 }), [])
    t.is(setCount(), noSets + 1)
    await until('the set is closed', () => setCount() === noSets)
    t.deepEqual(waitSync(ours, { timeout: 0 }), [])
    for (const connection of [...ours, ...theirs]) connection.close()
    t.is(setCount(), noSets)
  }),
)

test.serial('sockets of Node are waited for', (t) =>
  underWatchdog(async () => {
    const server = createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const client = connect((server.address() as { port: number }).port, '127.0.0.1')
    const [socket] = await once(server, 'connection')
    t.deepEqual(await wait([socket], { timeout: 5 }), [])
    client.write('hello')
    t.deepEqual(await wait([socket]), [socket])
    t.is(String(socket.read()), 'hello')
    t.deepEqual(await wait([socket], { timeout: 5 }), [])
    client.end()
    t.deepEqual(await wait([socket]), [socket])
    t.is(socket.read(), null)
    socket.destroy()
    server.close()
    await once(server, 'close')
  }),
)

test.serial('a listener with a key is ready when somebody was let in', (t) =>
  underWatchdog(async () => {
    const authkey = Buffer.from('k')
    const listener = new Listener({ authkey, backlog: 5 })
    const [first, one, other] = await Promise.all([
      listener.accept(),
      Client(listener.address, { authkey }),
      Client(listener.address, { authkey }),
    ])
    // Both were received, as both had come; one waits to be taken.
    t.deepEqual(await wait([listener]), [listener])
    t.deepEqual(waitSync([listener], { timeout: 0 }), [listener])
    const second = listener.acceptSync()
    t.deepEqual(await wait([listener], { timeout: 5 }), [])
    for (const each of [first, second, one, other, listener]) each.close()
  }),
)

/** What a round of waiting, receiving and answering takes at best, in milliseconds. */
const roundOf = (t: ExecutionContext, count: number): (() => number) => {
  const [ours, theirs] = pairs(t, count)
  return () => {
    const start = performance.now()
    for (let i = 0; i < 200; i++) {
      theirs[count - 1]!.sendSync(i)
      for (const connection of waitSync(ours)) connection.recvSync()
    }
    return (performance.now() - start) / 200
  }
}

test.serial('a thousand idle ones cost little more than ten', (t) =>
  underWatchdog(() => {
    const few = roundOf(t, 10)
    const many = roundOf(t, 1000)
    const best = { few: Number.POSITIVE_INFINITY, many: Number.POSITIVE_INFINITY }
    for (let i = 0; i < 10; i++) {
      best.few = Math.min(best.few, few())
      best.many = Math.min(best.many, many())
    }
    t.log(`10: ${(best.few * 1000).toFixed(1)} µs, 1000: ${(best.many * 1000).toFixed(1)} µs`)
    // Asking the kernel about each of a thousand takes twenty times as long.
    t.true(best.many < 4 * best.few, JSON.stringify(best))
  }),
)
