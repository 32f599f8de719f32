/** Pickles without Python: what becomes what, what is refused, and what a program may say about globals. */

import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import { isDeepStrictEqual } from 'node:util'
import test from 'ava'
import fc from 'fast-check'
import * as mp from 'node-multiprocessing'
import { Client, ClientSync, Listener, wait, waitSync } from 'node-multiprocessing/connection'
import * as subpath from 'node-multiprocessing/pickle'
import { program } from './fixtures/process-programs.js'
import { described } from './helpers/described.js'
import { pythonValue } from './helpers/python-values.js'
import { underWatchdog } from './helpers/watchdog.js'

const { pickle, PicklingError, UnpicklingError } = mp
const { dumps, loads, Tuple, tuple } = pickle

const again = (value: unknown): any => loads(dumps(value))
const bytes = (text: string): Buffer => Buffer.from(text, 'latin1')

test('the subpath is the same module', (t) => {
  t.is(subpath.dumps, pickle.dumps)
  t.is(subpath.Tuple, pickle.Tuple)
})

test('what the reference writes is what is written', (t) => {
  t.is(dumps(null).toString('hex'), '80044e2e')
  t.is(dumps(5).toString('hex'), '80044b052e')
  t.is(dumps(-129n).toString('hex'), '80044a7fffffff2e')
  t.is(dumps(2n ** 31n).toString('hex'), '80048a0500000080002e')
  t.is(dumps(-(2n ** 31n) - 1n).toString('hex'), '80048a05ffffff7fff2e')
  t.is(dumps(-(2n ** 39n)).toString('hex'), '80048a0500000000802e')
  t.is(dumps(tuple(1, 2)).toString('hex'), '80044b014b0286942e')
})

test('what JavaScript has comes back as it was', (t) => {
  const values = [
    null,
    true,
    0,
    -1,
    2 ** 53 - 1,
    -0,
    1.5,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    2n ** 64n,
    -(2n ** 512n),
    '',
    'naïve €😀',
    '\ud800x',
    'x'.repeat(70_000),
    [],
    [1, [2, [3]]],
    {},
    { a: 1, b: { c: [] } },
    new Map<unknown, unknown>([
      [1, 2],
      ['a', null],
    ]),
    new Set([1, 'a']),
    Buffer.from('bytes'),
    new Date(0),
    new Date(1_700_000_000_123),
  ]
  for (const value of values) t.deepEqual(again(value), value)
})

test('what becomes something near it', (t) => {
  t.is(again(undefined), null)
  t.is(again(5n), 5)
  t.deepEqual(again(new Array(2)), [null, null])
  t.deepEqual(again(tuple(1, 2)), [1, 2])
  t.deepEqual(again(Object.assign(Object.create(null), { a: 1 })), { a: 1 })
  t.deepEqual(again(new Uint8Array([1])), Buffer.from([1]))
  t.deepEqual(again(new Uint8Array([1]).buffer), Buffer.from([1]))
  t.deepEqual(again(new Map([['a', 1]])), { a: 1 })
  t.deepEqual(again(new pickle.FrozenSet([1])), new Set([1]))
  t.is(again(mp.float(2)), 2)
  t.deepEqual(
    again(new pickle.DateTime(2024, 2, 29, 1, 2, 3, 4567)),
    new Date(2024, 1, 29, 1, 2, 3, 4),
  )
  const late = new pickle.DateTime(50, 1, 1)
  t.is(again(late).getFullYear(), 50)
})

test('shared objects and cycles are kept', (t) => {
  const shared = { x: 1 }
  const [one, other] = again([shared, shared])
  t.is(one, other)
  const list: unknown[] = [1]
  list.push(list, tuple(list), new Map<unknown, unknown>([['self', list]]))
  const back = again(list)
  t.is(back[1], back)
  t.is(back[2][0], back)
  t.is(back[3].self, back)
  const inner: unknown[] = []
  const outer = tuple(inner, 1, 2, 3)
  inner.push(outer)
  t.is(again(outer)[0][0][3], 3)
  const set: Set<unknown> = new pickle.FrozenSet([inner])
  inner.push(set)
  const frozen = again(set)
  t.true([...frozen][0].includes(frozen))
})

test('no key reaches a prototype', (t) => {
  const evil = dumps(new Map([['__proto__', { polluted: true }]]))
  for (const value of [loads(evil), loads(dumps([new Map([['__proto__', 1]])]))[0]]) {
    t.is(Object.getPrototypeOf(value), Object.prototype)
    t.deepEqual(Object.keys(value), ['__proto__'])
  }
  const many = Array.from({ length: 100 }, () => new Map([['__proto__', 1]]))
  for (const value of again(many)) t.is(Object.getPrototypeOf(value), Object.prototype)
  const large = new Map(Array.from({ length: 100 }, (_, i) => [`k${i}`, i] as [string, unknown]))
  large.set('__proto__', { polluted: true })
  t.is(Object.getPrototypeOf(again(large)), Object.prototype)
  // An exception's attributes.
  const error = loads(bytes('cbuiltins\nValueError\n)R}U\x09__proto__}U\x08pollutedI01\nssb.'))
  t.is(Object.getPrototypeOf(error), mp.ValueError.prototype)
  t.is(({} as { polluted?: boolean }).polluted, undefined)
})

test('objects of the same keys are alike, however many', (t) => {
  const records = Array.from({ length: 500 }, (_, id) => ({ id, 'a b': `n${id}`, '"': null }))
  t.true(isDeepStrictEqual(again(records), records))
  const shapes = Array.from({ length: 3000 }, (_, i) => ({ [`k${i}`]: i, x: 1 }))
  t.true(isDeepStrictEqual(again(shapes), shapes))
})

test('errors are exceptions', (t) => {
  const pairs: [Error, string][] = [
    [new mp.KeyError('k'), 'KeyError'],
    [new TypeError('t'), 'TypeError'],
    [new Error('e'), 'Error'],
    [new mp.TimeoutError('late'), 'TimeoutError'],
    [new mp.Empty(), 'Empty'],
    [new mp.FileNotFoundError('gone'), 'FileNotFoundError'],
  ]
  for (const [error, name] of pairs) {
    const back = again(error)
    t.is(back.constructor, error.constructor)
    t.is(back.name, name)
  }
  t.is(again(new RangeError('r')).constructor, mp.ValueError)
  const own = Object.assign(new Error('with'), { status: 404 })
  t.is(again(own).status, 404)
  class Mine extends Error {
    override name = 'Mine'
  }
  t.is(again(new Mine('m')).message, 'Mine: m')
  const short = again(new mp.BufferTooShort(Buffer.from('x')))
  t.deepEqual(short.data, Buffer.from('x'))
  const missing = loads(bytes("cbuiltins\nOSError\n(I2\nS'No such file'\nS'f'\ntR."))
  t.true(missing instanceof mp.FileNotFoundError)
  t.is(missing.message, "[Errno 2] No such file: 'f'")
  t.is(missing.errno, -2)
})

test('typed arrays are numpy arrays', (t) => {
  const back = again(Float64Array.of(1, 2))
  t.deepEqual([...back], [1, 2])
  t.is(back.dtype, '<f8')
  t.deepEqual([...back.shape], [2])
  const grid = pickle.ndarray(new Int32Array(6), { shape: [2, 3], order: 'F' })
  t.deepEqual([...again(grid).shape], [2, 3])
  t.is(again(grid).order, 'F')
  t.is(again(pickle.ndarray(Uint8Array.of(1), { dtype: '|b1' })).dtype, '|b1')
  t.deepEqual([...again(pickle.ndarray(Float64Array.of(1, 2), { dtype: '<c16' })).shape], [1])
  const plain = loads(dumps(Float32Array.of(0.5), { typedArrays: 'array' }))
  t.deepEqual(plain, Float32Array.of(0.5))
  t.throws(() => pickle.ndarray(new Int8Array(3), { shape: [2] }), { instanceOf: mp.ValueError })
  t.throws(() => pickle.ndarray(new Int8Array(3), { dtype: '<f8' }), { instanceOf: mp.ValueError })
  t.throws(() => pickle.ndarray(new Int32Array(3), { dtype: '>i4' }), { instanceOf: mp.ValueError })
  t.throws(() => pickle.ndarray([] as never), { instanceOf: TypeError })
  t.throws(() => dumps(1, { typedArrays: 'list' as never }), { instanceOf: mp.ValueError })
})

test('what has no counterpart is refused, by its path', (t) => {
  const refused = (value: unknown): mp.PicklingError =>
    t.throws(() => dumps(value), { instanceOf: PicklingError })
  t.is(refused({ a: [1, { 'b c': () => 1 }] }).path, 'obj.a[1]["b c"]')
  t.is(refused(new Map([['k', Symbol('s')]])).path, 'obj.get("k")')
  t.is(refused(/x/).path, 'obj')
  t.is(refused([new WeakMap()]).path, 'obj[0]')
  t.is(refused(new Date(Number.NaN)).path, 'obj')
  class Custom {}
  t.regex(refused({ it: new Custom() }).message, /obj\.it .*Custom.*registerGlobal/)
  let deep: unknown = 1
  for (let i = 0; i < 2000; i++) deep = [deep]
  t.regex(refused(deep).message, /deeper than 1000/)
  // Whoever was refused leaves no trace.
  t.deepEqual(again([1, 'two']), [1, 'two'])
})

test('a registration says what a class is', (t) => {
  class Point {
    constructor(
      readonly x: number,
      readonly y: number,
    ) {}
  }
  pickle.registerGlobal<Point>('geometry', 'Point', {
    type: Point,
    load: ([x, y], { z = 0 }) => new Point(x, y + z),
    dump: ({ x, y }) => [x, y],
  })
  t.deepEqual(again(new Point(1, 2)), new Point(1, 2))
  const point = new Point(3, 4)
  const [one, other] = again([point, point])
  t.is(one, other)
  class Sub extends Point {}
  t.is(again(new Sub(1, 2)).constructor, Point)
  const named = dumps(
    new pickle.PythonObject(new pickle.Global('geometry', 'Point'), [1, 2], 'new', { z: 5 }),
  )
  t.deepEqual(loads(named), new Point(1, 7))

  class Bag {
    items: unknown[] = []
    entries = new Map<unknown, unknown>()
    state: unknown = null
  }
  pickle.registerGlobal<Bag>('bags', 'Bag', {
    type: Bag,
    load: () => new Bag(),
    append: (bag, items) => bag.items.push(...items) && undefined,
    setItems: (bag, entries) => {
      for (const [key, value] of entries) bag.entries.set(key, value)
    },
    setState: (bag, state) => {
      bag.state = state
    },
    dump: ({ items, entries, state }) => ({ items, entries, state, how: 'new' }),
  })
  const bag = new Bag()
  bag.items = [1, bag, 'x']
  bag.entries.set('k', 1)
  bag.state = { s: 1 }
  const back = again(bag)
  t.is(back.items[1], back)
  t.deepEqual(back.entries, bag.entries)
  t.deepEqual(back.state, bag.state)

  const twice = (x: number): number => 2 * x
  pickle.registerGlobal('tools', 'twice', { value: twice })
  t.is(again([twice])[0], twice)
  t.is(loads(bytes('ctools\ntwice\n.')), twice)
  t.throws(() => loads(bytes('ctools\ntwice\n(I1\ntR.')), { instanceOf: UnpicklingError })

  t.throws(() => pickle.registerGlobal('m', 'n', { load: 1 as never }), { instanceOf: TypeError })
  t.throws(() => pickle.registerGlobal(1 as never, 'n', {}), { instanceOf: TypeError })
  t.throws(() => pickle.registerGlobal('m\n', 'n', {}), { instanceOf: mp.ValueError })
})

test('what load throws goes to the caller', (t) => {
  pickle.registerGlobal('failing', 'load', {
    load: () => {
      throw new mp.KeyError('mine')
    },
  })
  t.throws(() => loads(bytes('cfailing\nload\n)R.')), { instanceOf: mp.KeyError })
})

test('a dump may dump', (t) => {
  class Wrapped {
    constructor(readonly inside: unknown) {}
  }
  pickle.registerGlobal<Wrapped>('wrapping', 'Wrapped', {
    type: Wrapped,
    load: ([data]) => new Wrapped(loads(data)),
    dump: ({ inside }) => [dumps(inside)],
  })
  const value = new Wrapped([new Wrapped('x'.repeat(5000)), 'y'])
  t.deepEqual(again(value), value)
})

test('hostile pickles are errors', (t) => {
  const hostile = [
    '',
    '.',
    'not a pickle',
    '\x80\x09N.',
    // Calls with what is no tuple, of what is no function.
    'cm\nn\n)RK\x01\x81.',
    'K\x01)R.',
    ')RR.',
    'cm\nn\n)Rcm\nn\n)RR.',
    // State, items and members of what has none.
    'K\x01K\x02b.',
    ']K\x02b.',
    'cbuiltins\nset\n)RK\x01a.',
    'cbuiltins\nset\n)RK\x01K\x02s.',
    'cm\nn\n)R(K\x01\x90.',
    'cdatetime\ndate\n(C\x04\x00\x00\x00\x00tR.',
    'cdatetime\ndatetime\n(C\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfftR.',
    "cdatetime\ndate\n(S'x'\ntR.",
    // Arrays whose bytes are not there.
    'cnumpy._core.multiarray\nscalar\n(cnumpy\ndtype\n(S"f8"\nI00\nI01\ntRC\x01xtR.',
    'cnumpy._core.numeric\n_frombuffer\n(C\x08xxxxxxxxcnumpy\ndtype\n(S"f8"\nI00\nI01\ntR(I1000000000\nI1000000000\ntS"C"\ntR.',
    'carray\n_array_reconstructor\n(carray\narray\nS"d"\nI16\nC\x01xtR.',
    `]${'('.repeat(100_000)}e.`,
    `N${'\x85'.repeat(100_000)}.`,
  ]
  for (const text of hostile) {
    t.throws(
      () => loads(bytes(text)),
      { instanceOf: UnpicklingError },
      JSON.stringify(text.slice(0, 60)),
    )
  }
  t.throws(() => loads('N.' as never), { instanceOf: TypeError })
  t.throws(() => loads(bytes('N.'), { encoding: 'koi8' as never }), { instanceOf: mp.ValueError })
  t.is(loads(new Uint8Array([0x4e, 0x2e]).buffer), null)
})

test('strings of Python 2 are what is asked for', (t) => {
  const old = bytes('U\x02\xc3\xa9.')
  t.throws(() => loads(old), { instanceOf: UnpicklingError })
  t.is(loads(old, { encoding: 'latin1' }), 'Ã©')
  t.is(loads(old, { encoding: 'utf8' }), 'é')
  t.deepEqual(loads(old, { encoding: 'bytes' }), Buffer.from('é'))
})

test('loading keeps nothing of the bytes', (t) => {
  const data = dumps([
    'text that is long enough not to be copied',
    Buffer.from('bytes'),
    Float64Array.of(1),
  ])
  const [text, buffer, numbers] = loads(data)
  data.fill(0)
  t.is(text, 'text that is long enough not to be copied')
  t.is(buffer.toString(), 'bytes')
  t.is(numbers[0], 1)
})

test('any bytes are read or refused', (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (data) => {
      try {
        loads(data)
      } catch (error) {
        t.true(error instanceof UnpicklingError, String(error))
      }
    }),
    { numRuns: 3000 },
  )
  t.pass()
})

test('pickles with a byte changed are read or refused', (t) => {
  const values = fc.tuple(pythonValue(true), fc.nat(), fc.integer({ min: 0, max: 255 }))
  fc.assert(
    fc.property(values, ([value, place, byte]) => {
      const data = dumps(value)
      data[place % data.length] = byte
      try {
        loads(data)
        loads(data, { lossless: true })
      } catch (error) {
        t.true(error instanceof UnpicklingError, String(error))
      }
    }),
    { numRuns: 2000 },
  )
  t.pass()
})

test('values come back', (t) => {
  fc.assert(
    fc.property(pythonValue(true), (value) => {
      const back = loads(dumps(value), { lossless: true })
      t.deepEqual(described(back), described(value))
    }),
    { numRuns: 500 },
  )
})

test.serial('a pipe speaks pickle', (t) =>
  underWatchdog(async () => {
    const [one, other] = mp.Pipe({ serializer: 'pickle' })
    one.sendSync({ a: tuple(1, 2n ** 80n) })
    t.deepEqual(other.recvSync(), { a: [1, 2n ** 80n] })
    await other.send(new Set(['x']))
    t.deepEqual(await one.recv(), new Set(['x']))
    await one.send([1])
    t.deepEqual(loads(await other.recvBytes()), [1])
    await one.sendBytes(Buffer.from('no pickle'))
    await t.throwsAsync(other.recv(), { instanceOf: UnpicklingError })
    await t.throwsAsync(one.send(Symbol('s')), { instanceOf: PicklingError })
    t.throws(() => one.sendSync(Symbol('s')), { instanceOf: PicklingError })
    await t.throwsAsync(other.recv({ timeout: 10 }), { instanceOf: mp.TimeoutError })
    t.throws(() => other.recvSync({ timeout: 10 }), { instanceOf: mp.TimeoutError })
    const large = 'x'.repeat(3_000_000)
    const sent = one.send([large, 1])
    t.deepEqual(await other.recv(), [large, 1])
    await sent
    one.close()
    await t.throwsAsync(other.recv(), { instanceOf: mp.EOFError })
    other.close()
    t.throws(() => mp.Pipe({ serializer: 'xml' as never }), { instanceOf: mp.ValueError })
  }),
)

test.serial('a connection that is sent still speaks pickle', (t) =>
  underWatchdog(async () => {
    using end = mp.Pipe({ serializer: 'pickle' })[0]
    const [channel, receiver] = mp.Pipe()
    await channel.send(end)
    using moved = await receiver.recv<mp.Connection>()
    t.is(moved.serializer, 'pickle')
    channel.close()
    receiver.close()
  }),
)

test.serial('a serializer of one’s own', (t) =>
  underWatchdog(async () => {
    const serializer = {
      dumps: (value: unknown) => dumps(value, { typedArrays: 'array' }),
      loads: (data: Buffer) => loads(data, { lossless: true }),
    }
    const [one, other] = mp.Pipe({ serializer })
    await one.send([tuple(1), Float64Array.of(1)])
    const [pair, array] = await other.recv()
    t.true(pair instanceof Tuple)
    t.true(array instanceof pickle.PythonArray)
    one.close()
    other.close()
  }),
)

test.serial('a listener and a client speak pickle', (t) =>
  underWatchdog(async () => {
    const authkey = Buffer.from('k')
    using listener = new Listener({ authkey, serializer: 'pickle' })
    const accepted = listener.accept()
    using client = await Client(listener.address, { authkey, serializer: 'pickle' })
    using server = await accepted
    await client.send({ a: [1] })
    t.deepEqual(await server.recv(), { a: [1] })
    await t.throwsAsync(Client(listener.address, { serializer: 'no' as never }), {
      instanceOf: mp.ValueError,
    })
    t.throws(() => new Listener({ serializer: 'no' as never }), { instanceOf: mp.ValueError })
  }),
)

test.serial('servers of Node’s can be waited for', (t) =>
  underWatchdog(async () => {
    const server = createServer((socket) => socket.destroy()).listen(0)
    await once(server, 'listening')
    t.deepEqual(await wait([server], { timeout: 20 }), [])
    t.deepEqual(waitSync([server], { timeout: 0 }), [])
    const waiting = wait([server])
    const first = connect((server.address() as AddressInfo).port)
    t.deepEqual(await waiting, [server])
    using _second = ClientSync(['127.0.0.1', (server.address() as AddressInfo).port])
    t.deepEqual(waitSync([server], { timeout: 20_000 }), [server])
    first.destroy()
    server.close()
    t.deepEqual(await wait([server]), [server])
  }),
)

test('the main module has all of it, and loads it when something of it is used', async (t) => {
  t.deepEqual(Object.keys(pickle).sort(), Object.keys(subpath).sort())
  for (const [name, value] of Object.entries(subpath)) t.is(Object(pickle)[name], value)
  const outcome = await program(
    t,
    `
import { createRequire } from 'node:module'
const { cache } = createRequire(import.meta.url)
const loaded = () =>
  ['pickling', 'managing'].map((name) => Object.keys(cache).some((file) => file.endsWith('/' + name + '.cjs')))
if (mp.isMainProcess) {
  console.log(...loaded())
  console.log(mp.pickle.loads(mp.pickle.dumps(7)), ...loaded())
  const manager = await mp.Manager()
  console.log((await manager.list([8])).constructor.name, ...loaded())
  await manager.shutdown()
}
`,
  )
  t.deepEqual(
    [outcome.code, outcome.stdout.trim().split('\n')],
    [0, ['false false', '7 true false', 'ListProxy true true']],
    outcome.stderr,
  )
})
