/** What managers do beyond what the reference's own tests ask. */
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { inspect } from 'node:util'
import { Worker } from 'node:worker_threads'
import test, { type ExecutionContext } from 'ava'
import * as mp from 'node-multiprocessing'
import {
  BaseManager,
  BaseProxy,
  DictProxy,
  ListProxy,
  makeProxyType,
  RemoteError,
  SyncManager,
  slice,
} from 'node-multiprocessing/managers'
import { cert, key } from './fixtures/managers/certificate.js'
import * as child from './fixtures/managers/programs.js'
import { collectGarbage } from './helpers/garbage.js'
import { underWatchdog } from './helpers/watchdog.js'

class ShopBase extends SyncManager {}
const ShopManager = ShopBase.register('Shop', child.Shop)
  .register('Guarded', child.Shop, {
    exposed: ['buy', 'visitors'],
    methodToTypeid: { visitors: 'list' },
  })
  .register('prices', () => new Map([['apple', 3]]), { proxytype: DictProxy })
  .register('tree', () => [1, [2, 3]], { proxytype: ListProxy })

/** One for all tests of this file. */
let manager: InstanceType<typeof ShopManager>

test.before(async () => {
  manager = new ShopManager()
  await manager.start()
})

test.after.always(async () => {
  await manager.shutdown()
})

/** How many there are when all garbage is collected. */
const referents = async (): Promise<number> => {
  let before = Number.POSITIVE_INFINITY
  for (;;) {
    await collectGarbage()
    await collectGarbage()
    await sleep(10)
    const now = await manager._numberOfObjects()
    if (now === before) return now
    before = now
  }
}

for (const simple of [true, false]) {
  const kind = simple ? 'a simple' : 'any other'
  test.serial(`SIGINT ends ${kind} call that blocks, where the program listens`, async (t) => {
    await underWatchdog(async () => {
      using queue = await manager.Queue()
      const [mine, theirs] = mp.Pipe()
      const options = simple ? undefined : { block: true }
      const started = new mp.Process({ target: child.interrupted, args: [queue, theirs, options] })
      started.start()
      theirs.close()
      t.is(await mine.recv(), 'ready')
      const again = setInterval(() => process.kill(started.pid!, 'SIGINT'), 50)
      const ended = await mine.recv()
      clearInterval(again)
      t.is(ended, 'KeyboardInterrupt')
      await mine.send('go on')
      t.is(await mine.recv(), 7)
      await started.join()
      t.is(started.exitcode, 0)
      t.true(await queue.empty())
      mine.close()
    })
  })
}

test.serial('values of blocking calls arrive as they were, simple or nearly so', async (t) => {
  using list: ListProxy<unknown> = await manager.list()
  const lengths = [0, 1, 31, 32, 127, 128, 129, 500, 600, 70_000]
  const values = [
    ...[0, -0, 1, -1, 127, 128, 255, 256, -128, -129, 32_767, 32_768, 65_536, -(2 ** 31)],
    ...[2 ** 31 - 1, 2 ** 31, 2 ** 53, 0.5, -1e300, Number.NaN, Infinity, -Infinity],
    ...[true, false, null, undefined, 1n],
    ...lengths.flatMap((length) =>
      ['x', '\0', '\xe9', '\u6f22', '\ud800'].map((c) => c.repeat(length)),
    ),
  ]
  for (const value of values) {
    list.appendSync(value)
    t.true(Object.is(list.atSync(-1), value), inspect(value))
  }
  list.clearSync()
  for (const count of [0, 1, 15, 16, 17, 200]) {
    list.pushSync(...values.slice(0, 5), ...Array(count).fill('item'))
    t.is(list.atSync(-1), count === 0 ? values[4] : 'item')
  }
  t.is(list.lenSync(), 30 + 249)
  // What is under way in the other form goes before, and loses nothing.
  const under = Promise.all([list.len(), list.at(0)])
  t.is(list.atSync(0), 0)
  t.deepEqual(await under, [279, 0])
  t.throws(() => list.getSync(1000), { message: /range/ })
  t.is(list.atSync(1), -0)
})

test.serial('objects of a class of the program', async (t) => {
  const shop = await manager.Shop()
  // The type of a proxy is that of what it stands for.
  const left: number = await shop.buy('apple')
  t.is(left, 1)
  t.is(shop.buySync('apple'), 0)
  t.is(await shop.add(1, 2, 3), 6)
  const error = await t.throwsAsync(shop.buy('apple'), { instanceOf: child.OutOfStock })
  t.is((error as child.OutOfStock).item, 'apple')
  t.regex((error.cause as Error).stack!, /Shop\.buy/)
  await t.throwsAsync(shop.buyLater('pear'), { instanceOf: child.OutOfStock })
  t.throws(() => shop.buySync('pear'), { instanceOf: child.OutOfStock })
  t.is(await shop.throwsText().catch((text: unknown) => text), 'text')
  await t.throwsAsync(shop.secret(), {
    instanceOf: RemoteError,
    message: /^Unserializable message: /,
  })
  t.throws(() => shop.secretSync(), { instanceOf: RemoteError })
  t.is((shop as unknown as { _hidden: unknown })._hidden, undefined)
  await t.throwsAsync(shop._callmethod('_hidden'), {
    instanceOf: RemoteError,
    message: /method '_hidden' of 'Shop' object is not in exposed/,
  })
  await t.throwsAsync(shop._callmethod('constructor'), { instanceOf: RemoteError })
  await t.throwsAsync(shop._callmethod('prices'), { instanceOf: RemoteError })
  t.regex(inspect(shop), /^<AutoProxy\[Shop\] object, typeid 'Shop' at 0x[\da-f]+>$/)
})

test.serial('what a method returns may be shared', async (t) => {
  const shop = await manager.Guarded()
  const visitors = (await shop.visitors()) as unknown as ListProxy<string>
  t.true(visitors instanceof ListProxy)
  await visitors.append('Cleo')
  t.deepEqual(await visitors.copy(), ['Ann', 'Bob', 'Cleo'])
  t.is((shop as unknown as { add?: unknown }).add, undefined)
  const prices = await manager.prices()
  await prices.set('pear', 4)
  t.deepEqual(await prices.items(), [
    ['apple', 3],
    ['pear', 4],
  ])
  const tree = await manager.tree()
  t.deepEqual(await tree.at(-1), [2, 3])
  t.is(await tree.at(2), undefined)
  t.is(String(tree), '[1, [2, 3]]')
})

test.serial('types that are not registered, and wrong arguments', async (t) => {
  await t.throwsAsync(manager._create('Nothing', []), {
    instanceOf: RemoteError,
    message: /KeyError/,
  })
  t.throws(() => manager._createSync('Iterator', []), { instanceOf: RemoteError })
  await t.throwsAsync(manager.Queue('many' as unknown as number), {
    instanceOf: RemoteError,
    message: /maxsize/,
  })
  await t.throwsAsync(manager._control('#nothing'), {
    instanceOf: RemoteError,
    message: /unrecognized/,
  })
  await t.throwsAsync(manager._control('constructor'), { instanceOf: RemoteError })
  const list = await manager.list<unknown>()
  await t.throwsAsync(list.append(new WeakSet()), { instanceOf: mp.PicklingError })
  t.throws(() => list.appendSync(new WeakSet()), { instanceOf: mp.PicklingError })
  t.is(await list.len(), 0)
  t.throws(() => slice(1.5), { instanceOf: TypeError })
  t.throws(() => BaseManager.register(1 as unknown as string), { instanceOf: TypeError })
  t.throws(() => BaseManager.register('x', 1 as never), { instanceOf: TypeError })
  t.throws(() => new SyncManager({ authkey: 'key' as never }), { instanceOf: TypeError })
  t.throws(() => new SyncManager({ serializer: 'xml' as never }), { instanceOf: mp.ValueError })
})

test.serial('managers that are not started', async (t) => {
  const other = new SyncManager()
  await t.throwsAsync(other.list(), {
    instanceOf: mp.ProcessError,
    message: 'server not yet started',
  })
  await t.throwsAsync(other.shutdown(), { instanceOf: mp.RuntimeError })
  await t.throwsAsync(other.connect(), { instanceOf: mp.ProcessError })
  const failed = new ShopManager()
  await t.throwsAsync(failed.start({ initializer: child.failing }), {
    instanceOf: child.OutOfStock,
  })
  const elsewhere = new SyncManager({ address: '/nowhere/at/all' })
  await t.throwsAsync(elsewhere.connect(), { instanceOf: mp.FileNotFoundError })
  await t.throwsAsync(elsewhere.start(), { code: 'ENOENT' })
})

test.serial('only who holds the key', async (t) => {
  const stranger = new SyncManager({ address: manager.address, authkey: Buffer.from('wrong') })
  await t.throwsAsync(stranger.connect(), { instanceOf: mp.AuthenticationError })
  t.throws(() => stranger.connectSync(), { instanceOf: mp.AuthenticationError })
  t.is(await (await manager.list([1])).len(), 1)
})

test.serial('lists and dictionaries, as Python has them and as JavaScript does', async (t) => {
  const list = await manager.list([5, 6, 7])
  await list.push(8, 9)
  await list.setSlice(0, 2, [1, 2, 3])
  t.deepEqual(await list.slice(), [1, 2, 3, 7, 8, 9])
  await list.setSlice(null, null, [0, 0], 3)
  t.deepEqual(await list.copy(), [0, 2, 3, 0, 8, 9])
  await list.deleteSlice(0, null, 3)
  await list.delete(-1)
  t.deepEqual(await list.slice(null, null, -1), [8, 3, 2])
  await t.throwsAsync(list.set(9, 1), { instanceOf: mp.IndexError })
  await t.throwsAsync(list.remove(77), { instanceOf: mp.ValueError })
  await t.throwsAsync(list.pop(99), { instanceOf: mp.IndexError })
  await list.insert(1, 44)
  t.deepEqual(await list.reversed(), [8, 3, 44, 2])
  const mixed = await manager.list<unknown>([1, 'a'])
  await t.throwsAsync(mixed.sort(), { instanceOf: TypeError })
  t.deepEqual(await mixed.copy(), [1, 'a'])

  const dict = await manager.dict<unknown, unknown>([['a', 1]])
  await dict.set([1, 2], 'array')
  t.is(await dict.get([1, 2]), 'array')
  t.true(await dict.has([1, 2]))
  t.is(await dict.get('nothing'), undefined)
  t.is(await dict.get('nothing', 7), 7)
  t.is(await dict.pop('nothing', 8), 8)
  await t.throwsAsync(dict.pop('nothing'), { instanceOf: mp.KeyError })
  await dict.delete([1, 2])
  await t.throwsAsync(dict.delete([1, 2]), { instanceOf: mp.KeyError })
  t.is(await dict.setdefault('b', 2), 2)
  t.is(await dict.size(), 2)
  const iterator = await dict.iter()
  t.deepEqual([...iterator], ['a', 'b'])
  t.deepEqual(
    await dict._getvalue(),
    new Map<unknown, unknown>([
      ['a', 1],
      ['b', 2],
    ]),
  )
  t.deepEqual(list._getvalueSync(), await list.copy())
})

test.serial('large values, and many', async (t) => {
  const list = await manager.list<unknown>()
  const floats = Float64Array.from({ length: 300_000 }, (_, i) => i / 3)
  const text = 'ä€😀'.repeat(100_000)
  await list.append(floats)
  list.appendSync(text)
  await list.append([floats, text])
  t.deepEqual(await list.get(0), floats)
  t.is(list.getSync(1), text)
  t.deepEqual(list.getSync(2), [floats, text])
  const all = await Promise.all(Array.from({ length: 30 }, () => list.get(0)))
  t.true(all.every((one) => (one as Float64Array).length === floats.length))
  const dict = await manager.dict<number, string>()
  await Promise.all(Array.from({ length: 5000 }, (_, i) => dict.set(i, String(i))))
  t.is(await dict.size(), 5000)
  t.is(await dict.get(4999), '4999')
})

test.serial('calls of both forms at once, and those that wait', async (t) => {
  const queue = await manager.Queue<string>()
  // What waits holds up neither the calls after it nor the Sync ones.
  const waiting = queue.get()
  const second = queue.get()
  t.is(await queue.qsize(), 0)
  t.is(queue.qsizeSync(), 0)
  queue.putSync('first')
  await queue.put('second')
  t.deepEqual([await waiting, await second], ['first', 'second'])

  const controller = new AbortController()
  const called = queue.get({ signal: controller.signal })
  t.is(await queue.qsize(), 0)
  controller.abort(new Error('enough'))
  await t.throwsAsync(called, { message: 'enough' })
  await queue.put('kept')
  t.is(await queue.get(), 'kept')
  await t.throwsAsync(queue.get({ signal: AbortSignal.abort(new Error('no')) }), { message: 'no' })
  await queue.shutdown()
  await t.throwsAsync(queue.get(), { name: 'ShutDown' })
})

test.serial('a batch goes in one message', async (t) => {
  const dict = await manager.dict<string, number>()
  const list = await manager.list<number>([1, 2])
  const [, length, value, missing] = await manager.batch(() => [
    dict.set('a', 1),
    list.len(),
    dict.get('a'),
    dict.getItem('nothing').catch((error: unknown) => error),
  ])
  t.is(length, 2)
  t.is(value, 1)
  t.true(missing instanceof mp.KeyError)
  await t.throwsAsync(
    manager.batch(() => [dict.get('a'), dict.getItem('nothing')]),
    { instanceOf: mp.KeyError },
  )
  t.is(await manager.batch(() => dict.size()), 1)
  t.deepEqual(await manager.batch(() => []), [])
  const shop = await manager.Shop()
  const [bad, good] = await manager.batch(() => [
    shop.secret().catch((error: unknown) => error),
    shop.add(1, 1),
  ])
  t.true(bad instanceof RemoteError)
  t.is(good, 2)
})

test.serial('proxies travel over connections and through queues', async (t) => {
  await underWatchdog(async () => {
    const [here, there] = mp.Pipe()
    const p = new mp.Process({ target: child.appendToAll, args: [there] })
    p.start()
    there.close()
    const lists = [await manager.list<number>(), await manager.list<number>()]
    for (const list of lists) {
      await here.send(list)
      t.is(await here.recv(), 'done')
    }
    await here.send(null)
    t.deepEqual(await Promise.all(lists.map((list) => list.copy())), [[p.pid], [p.pid]])
    await p.join()
    here.close()

    // What is on its way is kept, though whoever has sent it gives it up.
    const queue = new mp.Queue<mp.pickle.LoadsOptions | object>()
    const value = await manager.Value('i', 1)
    const kept = await manager.dict({ value })
    await queue.put(value)
    value[Symbol.dispose]()
    const q = new mp.Process({ target: child.addOne, args: [queue] })
    q.start()
    await q.join()
    t.is(q.exitcode, 0)
    t.is(await ((await kept.get('value')) as typeof value).get(), 2)
    queue.close()

    const only = await manager.list(['alone'])
    const [one, other] = mp.Pipe()
    await one.send(only)
    only[Symbol.dispose]()
    const came = await other.recv<ListProxy<string>>()
    t.deepEqual(await came.copy(), ['alone'])
    t.is(came._id, only._id)
    one.close()
    other.close()
  })
})

test.serial('what nobody refers to goes', async (t) => {
  const before = await referents()
  let proxies: unknown[] = []
  for (let i = 0; i < 200; i++) proxies.push(await manager.list([i]))
  t.is(await manager._numberOfObjects(), before + proxies.length)
  proxies = []
  t.is(await referents(), before)

  const list = await manager.list([1])
  const outer = await manager.list([list])
  list[Symbol.dispose]()
  list[Symbol.dispose]()
  t.deepEqual(await ((await outer.get(0)) as ListProxy).copy(), [1])
  outer[Symbol.dispose]()
  await t.throwsAsync(outer.len(), { instanceOf: RemoteError })
})

test.serial('nothing is left of many that are created and given up', async (t) => {
  const round = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i += 100) {
      const made = await Promise.all(Array.from({ length: 100 }, () => manager.Event()))
      for (const event of made) event[Symbol.dispose]()
    }
  }
  const before = await manager._numberOfObjects()
  await round(20_000)
  // What earlier tests left may have been collected meanwhile.
  const after = await manager._numberOfObjects()
  t.true(after <= before, `${after} objects, ${before} before`)
})

test.serial('a server in this process', async (t) => {
  const local = new ShopManager({ authkey: Buffer.from('here') })
  const server = local.getServer()
  const served = server.serveForever()
  const remote = new ShopManager({ address: server.address, authkey: Buffer.from('here') })
  // The client's connection is to the same event loop, so only the Promise forms can be used.
  await remote.connect()
  await t.throwsAsync(remote.shutdown(), { instanceOf: mp.RuntimeError })
  t.deepEqual(await remote._numberOfObjects(), 0)
  server.stop()
  await served
  await t.throwsAsync(remote._numberOfObjects(), { instanceOf: mp.EOFError })
})

test.serial('in worker threads', async (t) => {
  const list = await manager.list<number>()
  const secret = new Uint8Array(mp.currentProcess().authkey)
  const source = `
    const { workerData } = require('node:worker_threads')
    import(workerData.url).then(async ({ SyncManager, ListProxy, Token }) => {
      const manager = new SyncManager({ address: workerData.address, authkey: workerData.authkey })
      manager.connectSync()
      const list = new ListProxy(new Token('list', workerData.address, workerData.id))
      list.appendSync(1)
      await list.append(2)
    })
  `
  const url = import.meta.resolve('node-multiprocessing/managers')
  const workerData = { url, address: manager.address, authkey: secret, id: list._id }
  const worker = new Worker(source, { eval: true, workerData })
  const [code] = await once(worker, 'exit')
  t.is(code, 0)
  t.deepEqual(await list.copy(), [1, 2])
})

test.serial('over TLS', async (t) => {
  const address = ['127.0.0.1', 0] as const
  const own = new ShopManager({ address, tls: { key, cert, ca: cert } })
  await own.start()
  try {
    const shop = await own.Shop()
    t.is(await shop.buy('apple'), 1)
    const list = await own.list<unknown>()
    const large = new Float64Array(200_000).fill(1.5)
    await list.append(large)
    t.deepEqual(await list.get(0), large)
    t.throws(() => list.lenSync(), { instanceOf: mp.RuntimeError, message: /Promise forms/ })
    const p = new mp.Process({ target: child.appendPid, args: [list] })
    p.start()
    await p.join()
    t.is(p.exitcode, 0)
    t.is(await list.get(1), p.pid)

    const at = own.address!
    const trusting = new SyncManager({
      address: at,
      tls: { ca: cert },
      authkey: Buffer.from('wrong'),
    })
    await t.throwsAsync(trusting.connect(), { instanceOf: mp.AuthenticationError })
    const { authkey } = mp.currentProcess()
    const doubting = new SyncManager({ address: at, tls: {}, authkey })
    await t.throwsAsync(doubting.connect(), { message: /self.signed/ })
    t.throws(() => new SyncManager({ tls: { key, cert }, serializer: 'pickle' }), {
      instanceOf: mp.ValueError,
    })
    await t.throwsAsync(new SyncManager({ tls: { key, cert } }).start(), {
      instanceOf: mp.ValueError,
    })
  } finally {
    await own.shutdown()
  }
  t.is(own._process?.exitcode, 0)
})

test.serial('classes of proxies of the program', async (t) => {
  const Counter = makeProxyType('CounterProxy', ['increment', 'get_value'])
  t.is(Counter.name, 'CounterProxy')
  t.true(Counter.prototype instanceof BaseProxy)
})

const failsAtOnce = async (t: ExecutionContext, call: () => Promise<unknown>): Promise<void> => {
  const before = performance.now()
  await t.throwsAsync(call, { instanceOf: mp.EOFError })
  t.true(performance.now() - before < 5000)
}

test.serial('after the shutdown', async (t) => {
  const other = await mp.Manager()
  const list = await other.list([1])
  const waiting = (await other.Queue()).get()
  const failed = t.throwsAsync(waiting, { instanceOf: mp.EOFError })
  await other.shutdown()
  await failed
  await failsAtOnce(t, () => list.len())
  t.throws(() => list.lenSync(), { instanceOf: mp.EOFError })
  t.regex(String(list), /ListProxy object, typeid 'list' at 0x[\da-f]+; 'toString\(\)' failed>$/)
  await t.throwsAsync(other.list(), { message: 'Manager has shut down' })
})
