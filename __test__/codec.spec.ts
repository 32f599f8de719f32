import vm from 'node:vm'
import test, { type ExecutionContext } from 'ava'
import {
  DECODER_SHAPE_LIMIT,
  decode,
  deferReducers,
  ENCODER_SHAPE_BUDGET,
  type Encoded,
  encode,
  encoderShapeBytes,
  HEADROOM,
  limits,
  MAXIMUM_DEPTH,
  modulesOf,
  OUT_OF_BAND_THRESHOLD,
  registerReducer,
  scratchBytes,
} from '#codec'
import { carry, functions, Point, type Tagged, TaggedMap } from './fixtures/codec-classes.js'

const again = <T>(value: T, trusted = true): T => carry(value, trusted) as T

const payload = (value: unknown): Uint8Array => {
  const { bytes, start, end } = encode(value)
  return bytes.slice(start, end)
}

const decodeAll = (bytes: Uint8Array, trusted = true): unknown =>
  decode(bytes, 0, bytes.length, { trusted })

const refuses = (
  t: ExecutionContext,
  value: unknown,
  path: string,
  pattern: RegExp,
  label = 'args',
): void => {
  const error = t.throws(() => encode(value, label), { code: 'ERR_PICKLING' }) as Error & {
    path: string
  }
  t.is(error.name, 'PicklingError')
  t.is(error.path, path)
  t.true(error.message.startsWith(`cannot send ${path}: `), error.message)
  t.regex(error.message, pattern)
}

const unpicklable = (t: ExecutionContext, bytes: readonly number[], pattern: RegExp): void => {
  const error = t.throws(() => decodeAll(Uint8Array.from(bytes)), { code: 'ERR_UNPICKLING' })
  t.regex(error?.message ?? '', pattern)
}

test.before(() => functions.install())

test('primitives arrive as they were', (t) => {
  const values = [
    undefined,
    null,
    true,
    false,
    0,
    1,
    127,
    128,
    255,
    256,
    -1,
    -128,
    -129,
    32767,
    32768,
    -32768,
    -32769,
    2147483647,
    2147483648,
    -2147483648,
    -2147483649,
    0.1,
    Number.MAX_SAFE_INTEGER,
    Number.MIN_VALUE,
    Number.MAX_VALUE,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
  ]
  for (const value of values) t.is(again(value), value)
  t.true(Object.is(again(-0), -0))
  t.true(Object.is(again(0), 0))
  t.true(Object.is(again(Number.NaN), Number.NaN))
})

test('small integers take one byte and doubles nine', (t) => {
  const size = (value: unknown): number => payload(value).length - 1
  t.deepEqual([0, 127, 128, -1, 300, 70000, 0.5].map(size), [1, 1, 2, 2, 3, 5, 9])
})

test('bigints of any size arrive', (t) => {
  for (const bits of [0n, 1n, 31n, 62n, 63n, 64n, 65n, 127n, 1000n, 20000n]) {
    const power = 1n << bits
    for (const value of [power, power - 1n, power + 1n]) {
      t.is(again(value), value)
      t.is(again(-value), -value)
    }
  }
})

test('strings arrive, whatever their length and characters', (t) => {
  for (const length of [0, 1, 2, 7, 8, 9, 16, 17, 31, 32, 33, 47, 48, 49, 127, 128, 500, 70000]) {
    for (const unit of ['a', 'é', 'ÿ', 'Ā', 'я', '漢', '\ud800', '\udc00', '\u0000']) {
      const text = unit.repeat(length)
      t.true(again(text) === text, `${length} of ${unit.charCodeAt(0)}`)
      const mixed = `x${text}y`
      t.true(again(mixed) === mixed, `${length} of ${unit.charCodeAt(0)} between ASCII`)
    }
  }
  t.is(again('😀 \ud83d'), '😀 \ud83d')
  // Wherever they lie in the message.
  for (let before = 0; before < 4; before++) {
    for (const length of [49, 127, 128, 129, 16383, 16384, 50_000]) {
      const values = ['a'.repeat(before), 'я'.repeat(length), 'end']
      t.deepEqual(again(values), values)
    }
  }
})

test('many short strings in one message arrive', (t) => {
  const mixed = Array.from({ length: 3000 }, (_, i) => ({
    [`k${i % 7}`]: `value ${i}`,
    x: `é${i}`,
  }))
  t.deepEqual(again(mixed), mixed)
  const strings = Array.from({ length: 3000 }, (_, i) => 'é'.repeat(i % 128))
  t.deepEqual(again(strings), strings)
  const wide = [...strings, 'я']
  t.deepEqual(again(wide), wide)
  const long = [...strings, 'z'.repeat(128)]
  t.deepEqual(again(long), long)
})

test('symbols with a name known everywhere arrive', (t) => {
  for (const value of [Symbol.for('mp'), Symbol.for(''), Symbol.iterator, Symbol.asyncIterator]) {
    t.is(again(value), value)
  }
})

test('dates arrive, invalid ones too', (t) => {
  const date = new Date(1_700_000_000_123)
  t.deepEqual(again(date), date)
  t.true(again(new Date(Number.NaN)) instanceof Date)
  t.is(again(new Date(Number.NaN)).getTime(), Number.NaN)
  const dates = Array.from({ length: 200 }, (_, i) => new Date(i % 10))
  const shared = [...dates, ...dates.slice(50, 60)]
  const arrived = again(shared)
  t.deepEqual(arrived, shared)
  t.is(arrived[200], arrived[50])
  t.not(arrived[0], arrived[10])
})

test('arrays of Dates travel as a block until something else is in the way', (t) => {
  const made = (length: number): Date[] => Array.from({ length }, (_, i) => new Date(i * 1e9))
  t.true(payload(made(100)).length < 100 * 8 + 8)
  const dates = made(40)
  const known = new Date(77)
  const own = { kind: 'object' }
  const cases: unknown[][] = [
    dates,
    [...made(20), new Date(Number.NaN), ...made(20)],
    [known, ...made(20), known, ...made(20)],
    [...dates, dates[3], ...dates],
    [...made(30), 'text', known, own, ...made(5), known, own],
    [own, made(20), made(20), own],
    Object.assign(made(20), { length: 25 }),
    [dates, [...dates]],
  ]
  for (const value of cases) {
    const arrived = again(value)
    t.deepEqual(arrived, value)
    const flat = value.flat()
    const flatArrived = arrived.flat()
    for (const [i, each] of flat.entries()) {
      t.is(flatArrived.indexOf(flatArrived[i]), flat.indexOf(each))
    }
  }
  const list = new functions.classes.List(...made(20))
  t.deepEqual(again(list), list)
})

test('arrays of large bigints travel as a block', (t) => {
  const made = (length: number): bigint[] =>
    Array.from({ length }, (_, i) => (i % 2 === 0 ? 1n : -1n) * BigInt(i) ** 99n)
  const holey: bigint[] = new Array(50)
  for (let i = 0; i < 50; i++) holey[i] = 2n ** 80n + BigInt(i)
  const sparse = made(40)
  delete sparse[7]
  const withField = Object.assign(made(40), { field: () => 1 })
  const cases: unknown[][] = [
    made(16),
    made(1000),
    [...made(30), 0n, 1n, -1n, 2n ** 64n, -(2n ** 63n), 2n ** 20_000n],
    holey,
    sparse,
    [...made(20), 1, ...made(20)],
    [...made(20), null, ...made(20)],
    [made(20), made(20)],
    Array.from({ length: 40 }, (_, i) => (i % 2 === 0 ? BigInt(i) : 2n ** 70n)),
    new Proxy(made(30), {}),
  ]
  for (const trusted of [true, false]) {
    for (const value of cases) t.deepEqual(again(value, trusted), [...value])
    t.deepEqual(again(withField, trusted), made(40))
    const list = made(20)
    const [one, two, three] = again([list, made(20), list], trusted)
    t.is(one, three)
    t.not(one, two)
  }
  t.true(payload(made(1000)).length < payload(made(1000).map(String)).length / 2)
  // Often enough for whatever remembers the arrays it has seen.
  for (let i = 0; i < 500; i++) t.deepEqual(again(made(20)), made(20))
  const list = new functions.classes.List(...made(20))
  t.deepEqual(again(list), list)
})

test('a block of bigints can hold nothing but bigints', (t) => {
  const block = (body: readonly number[], length = 1): number[] => {
    const inner = [0xff, 0x0d, 0x41, length, ...body, 0x24, 0, length]
    return [0x50, 0xf1, length, inner.length, ...inner]
  }
  const large = [0x5a, 0x20, ...new Array(16).fill(7)]
  const others: number[][] = [
    block([0x49, 2]),
    block([0x6f, 0x7b, 0]),
    block([0x22, 1, 0x61]),
    block([...large, ...large]),
    block(large, 2),
    block([0x5a, 0x80]),
    block([0x5a, 0xff, 0xff, 0xff, 0xff, 0xff, 1]),
    block([0x5a, 0x22, ...new Array(16).fill(7)]),
    // A field on the array, the header of another version, and bytes at the end.
    [0x50, 0xf1, 1, 25, 0xff, 13, 0x41, 1, ...large, 0x22, 0, 0x49, 0, 0x24, 1, 1],
    [0x50, 0xf1, 1, 24, 0xff, 14, 0x41, 1, ...large, 0x24, 0, 1],
    [0x50, 0xf1, 1, 25, 0xff, 13, 0x41, 1, ...large, 0x24, 0, 1, 0],
    [0x50, 0xf1, 1, 0],
  ]
  const stranger = (bytes: readonly number[]): unknown => decodeAll(Uint8Array.from(bytes), false)
  t.deepEqual(stranger(block(large)), [0x07070707070707070707070707070707n])
  t.deepEqual(stranger(block([0x5a, 0x21, 1, ...new Array(15).fill(0)])), [-1n])
  for (const bytes of others) {
    t.throws(() => stranger(bytes), { code: 'ERR_UNPICKLING' }, bytes.join())
  }
  for (const bytes of [block([0x49, 2]), block(large, 2), [0x50, 0xf1, 1, 0]])
    unpicklable(t, bytes, /./)
})

test('regular expressions arrive with their lastIndex', (t) => {
  const pattern = /a(b+)\/[я]/giu
  pattern.lastIndex = 5
  const arrived = again(pattern)
  t.is(arrived.source, pattern.source)
  t.is(arrived.flags, pattern.flags)
  t.is(arrived.lastIndex, 5)
})

test('Maps and Sets arrive, with any keys, in order', (t) => {
  const key = { id: 1 }
  const map = new Map<unknown, unknown>([
    [key, 1],
    ['a', new Map([[1, 2]])],
    [Number.NaN, key],
  ])
  const arrived = again(map)
  t.deepEqual(arrived, map)
  t.is(arrived.get(Number.NaN), [...arrived.keys()][0])
  const set = new Set<unknown>([3, 1, 2, 'x', new Set([1])])
  t.deepEqual([...again(set)], [...set])
  t.deepEqual(again(new Map()), new Map())
  t.deepEqual(again(new Set()), new Set())
})

const isHole = (array: readonly unknown[], index: number): boolean => !Object.hasOwn(array, index)

test('arrays of every length and mixture arrive', (t) => {
  for (const length of [0, 1, 2, 3, 4, 5, 15, 16, 17, 100, 1000]) {
    const integers = Array.from({ length }, (_, i) => i)
    const kinds: unknown[][] = [
      integers,
      integers.map((i) => -i * 100),
      integers.map((i) => i * 100_000),
      integers.map((i) => i / 3),
      integers.map((i) => (i % 2 === 0 ? i : i / 7)),
      integers.map((i) => (i === length - 1 ? 'end' : i)),
      integers.map((i) => (i === length - 1 ? 1 : `${i}`)),
      integers.map((i) => ({ i })),
      integers.map(() => undefined),
      integers.map((i) => (i === length - 1 ? -0 : 1)),
    ]
    for (const array of kinds) t.deepEqual(again(array), array)
  }
  const special = [Number.NaN, -0, ...new Array(20).fill(Number.POSITIVE_INFINITY)]
  t.deepEqual(again(special), special)
})

test('holes in arrays stay holes', (t) => {
  // biome-ignore lint/suspicious/noSparseArray: what is tested
  const short = [, 1, undefined, , { a: 1 }, ,]
  const long: unknown[] = []
  long[3] = 'x'
  long[40] = undefined
  long[41] = { y: 1 }
  long[300] = 2
  long.length = 1000
  const numbers: unknown[] = new Array(50).fill(7)
  delete numbers[20]
  for (const array of [short, long, numbers, new Array(7), new Array(500)] as unknown[][]) {
    const arrived = again(array)
    t.is(arrived.length, array.length)
    t.deepEqual(Object.keys(arrived), Object.keys(array))
    for (let i = 0; i < array.length; i++) t.is(isHole(arrived, i), isHole(array, i))
    t.deepEqual(arrived, array)
  }
})

test('the longest array with one element travels in a few bytes', (t) => {
  const array: unknown[] = []
  array[0xfffffffe - 5] = 'end'
  array.length = 0xffffffff
  t.true(payload(array).length < 32)
  const arrived = again(array)
  t.is(arrived.length, 0xffffffff)
  t.deepEqual(Object.keys(arrived), [`${0xfffffffe - 5}`])
})

test('objects arrive with their keys in order', (t) => {
  const objects = [
    {},
    { a: 1 },
    { b: 2, a: 1 },
    { 1: 'x', 0: 'y', z: 0 },
    { '': 1, 'with space': 2, я: 3, 'quote\'"': 4, '\u2028': 5, '\ud800': 6 },
    { nothing: undefined },
    Object.fromEntries(Array.from({ length: 128 }, (_, i) => [`k${i}`, i])),
    Object.fromEntries(Array.from({ length: 129 }, (_, i) => [`k${i}`, i])),
    Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`key ${i}`, { i }])),
    { ['long'.repeat(100)]: 1 },
  ]
  for (const object of objects) {
    // Often enough for the decoder to make a builder for the shape.
    for (let i = 0; i < 60; i++) {
      const arrived = again(object)
      t.deepEqual(Object.entries(arrived), Object.entries(object))
      t.is(Object.getPrototypeOf(arrived), Object.prototype)
    }
  }
})

test('objects without a prototype stay without', (t) => {
  const object = Object.assign(Object.create(null), { a: 1, constructor: 2 })
  const arrived = again({ object, same: object })
  t.is(Object.getPrototypeOf(arrived.object), null)
  t.deepEqual({ ...arrived.object }, { a: 1, constructor: 2 })
  t.is(arrived.object, arrived.same)
})

test('a key named __proto__ is a key and changes no prototype', (t) => {
  const hostile = JSON.parse('{"a": 1, "__proto__": {"polluted": true}, "constructor": {"b": 2}}')
  const large = { ...Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`k${i}`, i])) }
  Object.defineProperty(large, '__proto__', { value: { polluted: true }, enumerable: true })
  const bare = Object.create(null)
  Object.defineProperty(bare, '__proto__', { value: { polluted: true }, enumerable: true })
  const error = new Error('x')
  Object.defineProperty(error, '__proto__', { value: { polluted: true }, enumerable: true })
  for (const object of [hostile, large, bare, error]) {
    for (const value of [object, [object, object]]) {
      for (let i = 0; i < 60; i++) {
        const arrived = again(value)
        const one = Array.isArray(arrived) ? arrived[0] : arrived
        t.true(Object.hasOwn(one, '__proto__'))
        t.is(Object.getPrototypeOf(one), Object.getPrototypeOf(object))
        t.is(one.polluted, undefined)
      }
    }
  }
  t.is(({} as { polluted?: unknown }).polluted, undefined)
})

test('inherited enumerable keys are not sent', (t) => {
  const prototype = Object.prototype as any
  prototype.inherited = 1
  try {
    const arrived = again({ a: 1 })
    t.deepEqual(Object.keys(arrived), ['a'])
  } finally {
    delete prototype.inherited
  }
})

const VIEWS = [
  Uint8Array,
  Uint8ClampedArray,
  Int8Array,
  Uint16Array,
  Int16Array,
  Uint32Array,
  Int32Array,
  Float32Array,
  Float64Array,
]

test('views and buffers of every kind arrive, in the message or beside it', (t) => {
  for (const bytes of [0, 8, 64, 1000, OUT_OF_BAND_THRESHOLD, OUT_OF_BAND_THRESHOLD * 2]) {
    const source = Uint8Array.from({ length: bytes }, (_, i) => i * 7)
    const beside = bytes >= OUT_OF_BAND_THRESHOLD
    for (const View of VIEWS) {
      const view = new View(source.buffer.slice(0))
      const arrived = again(view)
      t.is(Object.getPrototypeOf(arrived), View.prototype)
      t.true(Buffer.from(arrived.buffer).equals(source))
      t.is(encode(view).buffers?.length ?? 0, beside ? 1 : 0)
    }
    const big = new BigUint64Array(source.buffer.slice(0))
    t.deepEqual(again(big), big)
    t.deepEqual(again(source.buffer), source.buffer)
    const view = again(new DataView(source.buffer))
    t.true(view instanceof DataView)
    t.true(Buffer.from(view.buffer).equals(source))
    const buffer = again(Buffer.from(source))
    t.true(Buffer.isBuffer(buffer))
    t.true(buffer.equals(source))
  }
})

test('what is beside the message is not copied on either side', (t) => {
  const numbers = new Float64Array(OUT_OF_BAND_THRESHOLD / 8)
  const message = encode({ numbers })
  t.is(message.buffers?.[0]?.buffer, numbers.buffer)
  const buffer = numbers.buffer.slice(0)
  const { bytes, start, end } = message
  const arrived = decode(bytes, start, end, { trusted: false, buffers: [buffer] })
  t.is((arrived as { numbers: Float64Array }).numbers.buffer, buffer)
})

test('a small Buffer brings nothing of the pool it is cut from', (t) => {
  const buffer = Buffer.from('secret neighbours').subarray(0, 6)
  t.true(payload([buffer, buffer.subarray(1, 3), Buffer.from('x')]).length < 40)
  const arrived = again(buffer)
  t.is(arrived.toString(), 'secret')
  t.is(arrived.buffer.byteLength, 6)
})

test('views of one ArrayBuffer go on sharing it', (t) => {
  const whole = new Uint8Array(64)
  const cases: [string, { buffer: ArrayBufferLike }[] | unknown[]][] = [
    ['whole first', [whole, new Uint16Array(whole.buffer, 2, 4)]],
    ['part first', [new Uint16Array(whole.buffer, 2, 4), whole]],
    ['two parts', [new Uint16Array(whole.buffer, 2, 4), new DataView(whole.buffer, 8, 8)]],
    ['part and buffer', [new Uint8Array(whole.buffer, 2, 4), whole.buffer]],
    ['buffer and part', [whole.buffer, new Uint8Array(whole.buffer, 2, 4)]],
    ['many before', [...Array.from({ length: 40 }, (_, i) => ({ i })), whole, whole.subarray(3)]],
  ]
  for (const [name, views] of cases) {
    const arrived = again(views) as { buffer?: ArrayBuffer }[]
    const buffers = arrived.slice(-2).map((view) => view.buffer ?? view)
    t.is(buffers[0], buffers[1], name)
    t.is((buffers[0] as ArrayBuffer).byteLength, 64, name)
    const sent = views.at(-1) as Uint8Array
    if (ArrayBuffer.isView(sent)) t.is((arrived.at(-1) as Uint8Array).byteOffset, sent.byteOffset)
  }
})

test('chunks of a large array travel as chunks', (t) => {
  const large = new Uint8Array(1024 * 1024).fill(9)
  const chunks = [large.subarray(0, 10), large.subarray(20, 40)]
  t.true(payload(chunks).length < 60)
  t.deepEqual(again(chunks), chunks)
  const halves = [large.subarray(0, 524288), large.subarray(524288)]
  const arrived = again(halves)
  t.is(arrived[0]?.buffer, arrived[1]?.buffer)
  t.is(encode(halves).buffers?.length, 1)
})

test('errors arrive with class, message, stack, cause and fields', (t) => {
  const kinds = [Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError]
  for (const Kind of kinds) {
    const cause = new Error('deeper', { cause: 'text' })
    const error = Object.assign(new Kind('went wrong', { cause }), { code: 'E_CODE', errno: -2 })
    const arrived = again(error)
    t.is(Object.getPrototypeOf(arrived), Kind.prototype)
    t.is(arrived.message, 'went wrong')
    t.is(arrived.stack, error.stack)
    t.is(arrived.code, 'E_CODE')
    t.is((arrived.cause as Error).cause, 'text')
    t.deepEqual(Object.keys(arrived), ['code', 'errno'])
    t.is(Object.prototype.toString.call(arrived), '[object Error]')
  }
})

test('unusual errors arrive', (t) => {
  const bare = new Error()
  const arrived = again(bare)
  t.false(Object.hasOwn(arrived, 'message'))
  t.is(arrived.stack, bare.stack)
  const without = new Error('x')
  delete without.stack
  t.false(Object.hasOwn(again(without), 'stack'))
  const named = new TypeError('x')
  Object.defineProperty(named, 'name', { value: 'Named', enumerable: false })
  t.is(again(named).name, 'Named')
  const odd = Object.assign(new Error('x'), { message: 5 as unknown as string })
  Object.defineProperty(odd, 'stack', { value: { not: 'text' } })
  t.is(again(odd).message as unknown, 5)
  t.deepEqual(again(odd).stack as unknown, { not: 'text' })
  const many = new AggregateError([new Error('a'), 2], 'many')
  const both = again(many)
  t.true(both instanceof AggregateError)
  t.is(both.errors[0].message, 'a')
  t.is(both.errors[1], 2)
  const self = new Error('self') as Error & { me?: unknown }
  self.cause = self
  const loop = again(self)
  t.is(loop.cause, loop)
  t.is(Error.stackTraceLimit > 0, true)
})

test('a DOMException arrives', (t) => {
  const exception = new DOMException('stopped', 'AbortError')
  const arrived = again(exception)
  t.true(arrived instanceof DOMException)
  t.is(arrived.name, 'AbortError')
  t.is(arrived.message, 'stopped')
  t.is(arrived.code, exception.code)
  t.is(arrived.stack, exception.stack)
})

test('URLs, search parameters and boxed primitives arrive', (t) => {
  const url = new URL('https://user@example.org:8080/a?b=c#d')
  t.is(again(url).href, url.href)
  const parameters = new URLSearchParams([
    ['a', '1'],
    ['a', 'я &'],
  ])
  t.deepEqual([...again(parameters)], [...parameters])
  for (const boxed of [
    Object(1),
    Object('x'),
    Object(false),
    Object(3n),
    Object(Symbol.iterator),
  ]) {
    const arrived = again(boxed)
    t.is(typeof arrived, 'object')
    t.is(Object.getPrototypeOf(arrived), Object.getPrototypeOf(boxed))
    t.is(arrived.valueOf(), boxed.valueOf())
  }
})

test('shared references and cycles keep their identity', (t) => {
  for (const before of [0, 10, 31, 32, 33, 100]) {
    const fillers = Array.from({ length: before }, (_, i) => ({ i }))
    const shared = { name: 'shared' }
    const map = new Map<unknown, unknown>()
    map.set(map, map)
    const set = new Set<unknown>([shared])
    set.add(set)
    const list: unknown[] = [shared]
    list.push(list)
    const date = new Date(5)
    const pattern = /x/g
    const everything = {
      fillers,
      shared,
      again: shared,
      map,
      set,
      list,
      date,
      sameDate: date,
      pattern,
      samePattern: pattern,
      url: new URL('a:b'),
      boxed: Object(1),
      long: Array.from({ length: 20 }, () => shared),
    }
    const root: Record<string, unknown> = { ...everything, ...{ sameFillers: fillers } }
    root.self = root
    root.sameUrl = root.url
    root.sameBoxed = root.boxed
    const arrived = again(root) as any
    t.is(arrived.self, arrived)
    t.is(arrived.shared, arrived.again)
    t.is(arrived.map.get(arrived.map), arrived.map)
    t.true(arrived.set.has(arrived.set))
    t.true(arrived.set.has(arrived.shared))
    t.is(arrived.list[1], arrived.list)
    t.is(arrived.date, arrived.sameDate)
    t.is(arrived.pattern, arrived.samePattern)
    t.is(arrived.url, arrived.sameUrl)
    t.is(arrived.boxed, arrived.sameBoxed)
    t.is(arrived.fillers, arrived.sameFillers)
    t.true(arrived.long.every((each: unknown) => each === arrived.shared))
  }
})

test('objects of another realm arrive as the local kind', (t) => {
  const foreign = vm.runInNewContext(
    `({ plain: { a: 1 }, list: [1, 2], map: new Map([[1, 2]]), date: new Date(5), error: new TypeError('x') })`,
  )
  const arrived = again(foreign)
  t.is(Object.getPrototypeOf(arrived.plain), Object.prototype)
  t.deepEqual(arrived.list, [1, 2])
  t.deepEqual(arrived.map, new Map([[1, 2]]))
  t.deepEqual(arrived.date, new Date(5))
  t.true(arrived.error instanceof TypeError)
})

test('instances of classes arrive as instances, with identity', (t) => {
  const point = new Point(1, 2)
  point.other = point
  const arrived = again([point, point, new Point(3, 4)])
  t.true(arrived[0] instanceof Point)
  t.is(arrived[0]?.other, arrived[0])
  t.is(arrived[0], arrived[1])
  t.is(arrived[2]?.length, 5)
})

test('instances of classes that extend built-ins arrive', (t) => {
  const map = new TaggedMap([['a', 1]])
  map.tag = 'tagged'
  map.set('self', map)
  const arrived = again(map)
  t.true(arrived instanceof TaggedMap)
  t.is(arrived.tag, 'tagged')
  t.is(arrived.get('a'), 1)
  t.is(arrived.get('self'), arrived)
  const tagged: Tagged[] = [
    Object.assign(new functions.classes.List(1, 2, 3), { tag: 'list' }),
    Object.assign(new functions.classes.Bytes([1, 2, 3]), { tag: 'bytes' }),
    Object.assign(new functions.classes.Moment(7), { tag: 'moment' }),
  ]
  for (const each of tagged) {
    const copy = again(each)
    t.is(Object.getPrototypeOf(copy), Object.getPrototypeOf(each))
    t.deepEqual(copy, each)
    t.is(copy.tag, each.tag)
  }
  t.is(again(new functions.classes.List()).length, 0)
})

test('an error class arrives as itself when it is found and as its built-in when not', (t) => {
  const known = new functions.classes.Trouble('known', { cause: 1 })
  const arrived = again(known)
  t.true(arrived instanceof functions.classes.Trouble)
  t.is(arrived.detail, 'more')
  t.is(arrived.stack, known.stack)
  t.is(arrived.cause, 1)
  class Local extends RangeError {
    extra = { a: 1 }
  }
  const local = new Local('unknown')
  const degraded = again(local)
  t.is(Object.getPrototypeOf(degraded), RangeError.prototype)
  t.is(degraded.name, 'Local')
  t.is(degraded.message, 'unknown')
  t.is(degraded.stack, local.stack)
  t.deepEqual(degraded.extra, { a: 1 })
  const message = payload(known)
  functions.lose('Trouble')
  try {
    const lost = decodeAll(message) as Error
    t.is(Object.getPrototypeOf(lost), Error.prototype)
    t.is(lost.name, 'Trouble')
    t.is(lost.message, 'known')
  } finally {
    functions.restore()
  }
})

test("an error of Node's arrives as its built-in, also where no classes are accepted", (t) => {
  const error = new functions.classes.NodeTrouble('x')
  for (const trusted of [true, false]) {
    const arrived = again([error, error], trusted)
    t.is(Object.getPrototypeOf(arrived[0]), Error.prototype)
    t.is(arrived[0]?.name, 'NodeTrouble')
    t.is(arrived[0], arrived[1])
  }
  const [first, point] = again([error, new Point(3, 4)])
  t.is(first?.name, 'NodeTrouble')
  t.true(point instanceof Point)
})

test('functions and classes travel by reference', (t) => {
  const value = { run: functions.exported, also: functions.exported, Point, list: [Point] }
  const message = encode(value)
  t.true(message.modules)
  t.deepEqual(modulesOf(message.bytes, message.start, message.end), ['file:///fixtures/classes.js'])
  const arrived = again(value)
  t.is(arrived.run, functions.exported)
  t.is(arrived.also, functions.exported)
  t.is(arrived.list[0], Point)
  t.is(arrived.Point, Point)
})

test('modulesOf is empty without references and leaves out the global object', (t) => {
  const plain = encode({ a: [1, 2, 3] })
  t.false(plain.modules)
  t.deepEqual(modulesOf(plain.bytes, plain.start, plain.end), [])
  const cyclic: unknown[] = []
  cyclic.push(cyclic)
  const loop = encode(cyclic)
  t.deepEqual(modulesOf(loop.bytes, loop.start, loop.end), [])
  const global = encode(Array.isArray)
  t.false(global.modules)
  t.deepEqual(modulesOf(global.bytes, global.start, global.end), [])
  t.is(again(Array.isArray), Array.isArray)
})

test('strangers may not send functions, classes or instances', (t) => {
  for (const value of [functions.exported, new Point(1, 2), [Point]]) {
    t.throws(() => again(value, false), {
      code: 'ERR_UNPICKLING',
      message:
        'functions, classes and their instances are accepted only on a trusted connection (`trusted`)',
    })
  }
})

test('Symbol.for("mp.reduce") says how an instance travels', (t) => {
  const ratio = new functions.classes.Ratio(3, 4)
  const [a, b] = again([ratio, ratio])
  t.true(a instanceof functions.classes.Ratio)
  t.is(a?.value, 0.75)
  t.is(a, b)
  t.throws(() => again(ratio, false), { code: 'ERR_UNPICKLING' })
  const broken = new functions.classes.Ratio(3, 4)
  broken.broken = true
  refuses(t, [broken], 'args[0]', /must return \[function, arguments\]/)
})

class Door {
  fd: number
  state: unknown
  constructor(fd: number, state: unknown) {
    this.fd = fd
    this.state = state
  }
}
class FrontDoor extends Door {}
let reductions = 0
registerReducer(Door, {
  name: 'test.Door',
  trustedOnly: false,
  reduce: (door, context) => {
    reductions++
    return { index: context.handle(door.fd), state: door.state }
  },
  rebuild: (state, context) => {
    const { index, state: inner } = state as { index: number; state: unknown }
    return new Door(context.handle(index) + 1000, [inner, context.trusted])
  },
})

test('a reducer takes apart and rebuilds, with handles, and subclasses use it', (t) => {
  const door = new FrontDoor(7, { a: 1 })
  const message = encode([door, door, new Door(8, null)])
  t.deepEqual(message.handles, [7, 8])
  const { bytes, start, end } = message
  const arrived = decode(bytes, start, end, { trusted: true, handles: [50, 60] }) as Door[]
  t.is(arrived[0], arrived[1])
  t.is(arrived[0]?.fd, 1050)
  t.is(arrived[2]?.fd, 1060)
  t.deepEqual(arrived[0]?.state, [{ a: 1 }, true])
  const error = t.throws(() => decode(bytes, start, end, { trusted: true, handles: [50] }))
  t.regex(error?.message ?? '', /no descriptor 1/)
  t.is(encode(1).handles, null)
})

test('a reducer runs once, even when encoding starts over', (t) => {
  const buffer = new ArrayBuffer(64)
  reductions = 0
  const parts = [new Uint8Array(buffer, 0, 8), new Door(1, 2), new Uint8Array(buffer, 8, 8)]
  const message = encode(parts)
  t.is(reductions, 1)
  t.deepEqual(message.handles, [1])
})

test('what a reducer returns must not contain the object', (t) => {
  const door = new Door(1, null)
  door.state = { deep: [door] }
  const error = t.throws(() => encode([door], 'args'), { code: 'ERR_PICKLING' })
  t.regex(error?.message ?? '', /refers back to the object itself/)
})

class Vault {}
registerReducer(Vault, {
  name: 'test.Vault',
  trustedOnly: true,
  reduce: () => null,
  rebuild: () => new Vault(),
})

test('a reducer for trusted peers only refuses strangers', (t) => {
  t.true(again(new Vault()) instanceof Vault)
  t.throws(() => again(new Vault(), false), { code: 'ERR_UNPICKLING', message: /test\.Vault/ })
})

test('reducer names are unique and some classes cannot have one', (t) => {
  const reducer = { name: 'test.Vault', trustedOnly: true, reduce: () => 1, rebuild: () => ({}) }
  t.throws(() => registerReducer(class {}, reducer), { code: 'ERR_VALUE', message: /taken/ })
  t.throws(() => registerReducer(Object, { ...reducer, name: 'o' }), { code: 'ERR_VALUE' })
  t.throws(() => registerReducer(Array, { ...reducer, name: 'a' }), { code: 'ERR_VALUE' })
  t.throws(() => registerReducer(Date, { ...reducer, name: 'd', rebuild: () => new Date() }), {
    code: 'ERR_VALUE',
  })
})

test('a class registered after an instance was sent changes how it travels', (t) => {
  class Late {}
  refuses(t, new Late(), 'args', /not exported/)
  registerReducer(Late, {
    name: 'test.Late',
    trustedOnly: false,
    reduce: () => 'late',
    rebuild: () => new Late(),
  })
  t.true(again(new Late()) instanceof Late)
})

test('deferred reducers are registered for unknown classes only', (t) => {
  class Known {}
  class Unknown {}
  class KeyedMap extends Map<unknown, unknown> {}
  // To register a class makes the codec judge all others anew.
  registerReducer(Known, {
    name: 'test.Known',
    trustedOnly: false,
    reduce: () => 1,
    rebuild: () => new Known(),
  })
  registerReducer(KeyedMap, {
    name: 'test.KeyedMap',
    trustedOnly: false,
    reduce: (map) => [...map.keys()],
    rebuild: (keys) => new KeyedMap((keys as unknown[]).map((key) => [key, 'rebuilt'])),
  })
  let registered = false
  deferReducers(() => {
    registered = true
    registerReducer(Unknown, {
      name: 'test.Unknown',
      trustedOnly: false,
      reduce: () => 2,
      rebuild: () => new Unknown(),
    })
  })
  const builtins: unknown[] = [
    { a: [1] },
    Object.create(null),
    new Map(),
    new Set(),
    new Error('x'),
    new AggregateError([]),
    new Date(),
    /x/,
    new ArrayBuffer(8),
    Buffer.from('x'),
    new DataView(new ArrayBuffer(8)),
    new BigInt64Array(2),
    ...VIEWS.map((View) => new View(3)),
    Object(1),
    new URL('a:b'),
    new URLSearchParams('a=b'),
    new DOMException('x'),
    functions.exported,
    Point,
    new Known(),
    new KeyedMap(),
  ]
  for (const value of builtins) t.notThrows(() => again(value))
  t.throws(() => encode(Promise.resolve()))
  t.false(registered)
  t.is(again(new KeyedMap([['a', 1]])).get('a'), 'rebuilt')
  t.false(registered)
  t.true(again(new Unknown()) instanceof Unknown)
  t.true(registered)
})

test('an unknown reducer is an error', (t) => {
  const name = [...'nobody'].map((c) => c.charCodeAt(0))
  unpicklable(t, [0x50, 0xdf, 0x80 + name.length, ...name, 0xc1], /nothing here rebuilds 'nobody'/)
})

test('errors name the path through every container', (t) => {
  const culprit = Symbol('unique')
  const unique = /unique to the process/
  refuses(t, culprit, 'args', unique)
  refuses(t, [{ conn: { socket: culprit } }], 'args[0].conn.socket', unique)
  refuses(t, { 'odd key': [1, culprit] }, 'args["odd key"][1]', unique)
  refuses(t, new Map([['alice', culprit]]), 'args.get("alice")', unique)
  refuses(t, new Map([[3, culprit]]), 'args.get(3)', unique)
  refuses(t, new Map([[{ a: 1 }, culprit]]), 'args.get(<key 0>)', unique)
  refuses(
    t,
    new Map<unknown, number>([
      ['x', 1],
      [culprit, 1],
    ]),
    'args.<key 1>',
    unique,
  )
  refuses(t, new Set([1, culprit]), 'args.<member 1>', unique)
  refuses(t, new Error('x', { cause: [culprit] }), 'args.cause[0]', unique)
  refuses(t, new AggregateError([culprit]), 'args.errors[0]', unique)
  refuses(t, Object.assign(Object.create(null), { a: culprit }), 'args.a', unique)
  refuses(t, Object.assign(new Point(1, 2), { other: culprit }), 'args.other', unique)
  refuses(t, [new Door(1, { socket: culprit })], 'args[0].state.socket', unique)
  refuses(t, [1, undefined, culprit], 'args[2]', unique)
  const large = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`k${i}`, i])) as object
  refuses(t, { ...large, last: culprit }, 'args.last', unique)
  refuses(t, { items: [() => 1] }, 'job.items[0]', /not exported/, 'job')
  refuses(t, { args: [{ conn: { socket: culprit } }] }, 'args[0].conn.socket', unique, '')
  refuses(t, [{ a: culprit }], '[0].a', unique, '')
  refuses(t, { 'odd key': culprit }, '["odd key"]', unique, '')
  refuses(t, new Map([['alice', culprit]]), 'get("alice")', unique, '')
  const error = t.throws(() => encode(culprit, ''), { code: 'ERR_PICKLING' })
  t.regex(error?.message ?? '', /^cannot send it: Symbol/)
})

test('what belongs to its process is refused with a reason', (t) => {
  const generator = (function* () {})()
  const asynchronous = (async function* () {})()
  const refused: [unknown, RegExp][] = [
    [Promise.resolve(), /Promise.*await it/],
    [new WeakMap(), /WeakMap/],
    [new WeakSet(), /WeakSet/],
    [new WeakRef({}), /WeakRef/],
    [new FinalizationRegistry(() => {}), /FinalizationRegistry/],
    [generator, /generator/],
    [asynchronous, /async generator/],
    [[1][Symbol.iterator](), /iterator/],
    [new Map().entries(), /iterator/],
    [new SharedArrayBuffer(8), /SharedArrayBuffer/],
    [new Uint8Array(new SharedArrayBuffer(8)), /SharedArrayBuffer/],
    [Object.create({ a: 1 }), /belongs to no class/],
    [Object(Symbol('x')), /unique/],
    [new functions.classes.NodeThing(), /an instance of Node's NodeThing .* in this process only/],
    [class {}, /not exported/],
  ]
  for (const [value, pattern] of refused) refuses(t, { a: value }, 'args.a', pattern)
})

test('what throws while it is read is named, with its error as the cause', (t) => {
  const failure = new TypeError('no entry')
  const value = {
    list: [
      {
        get gate(): never {
          throw failure
        },
      },
    ],
  }
  const error = t.throws(() => encode(value, 'args'), { code: 'ERR_PICKLING' }) as Error & {
    path: string
  }
  t.is(error.path, 'args.list[0].gate')
  t.is(error.cause, failure)
  t.regex(error.message, /no entry/)
})

test('a graph that changes while it is encoded is refused', (t) => {
  const object = {
    get first() {
      delete (object as { second?: number }).second
      return 1
    },
    second: 2,
  }
  refuses(t, [object], 'args[0]', /changed while/)
  const map = new Map<unknown, unknown>()
  map.set('a', {
    get x() {
      map.set('b', 1)
      return 1
    },
  })
  refuses(t, map, 'args', /changed while/)
})

test('encoding and decoding go on after a failure as if it had not been', (t) => {
  const sample = { a: [1, 2, { b: 'x' }], c: new Map([[1, 2]]) }
  const expected = payload(sample)
  for (let i = 0; i < 50; i++) {
    const nested = Array.from({ length: i }, (_, j) => ({ j }))
    t.throws(() => encode([nested, { deep: [Symbol('x')] }]))
    t.deepEqual(payload(sample), expected)
    t.throws(() => decodeAll(expected.subarray(0, expected.length - 1 - (i % 5))))
    t.deepEqual(decodeAll(expected), sample)
  }
})

test('getters and reducers may encode and decode on their own', (t) => {
  const shared = { s: 1 }
  const outer = {
    before: [shared, { x: 1, y: 2 }],
    get inner() {
      const other = { x: 5, y: 6, list: Array.from({ length: 50 }, (_, i) => ({ i })) }
      t.deepEqual(again(other), other)
      t.throws(() => encode([Symbol('nested')], 'nested'), { message: /nested\[0\]/ })
      const one = encode({ one: 1 })
      const two = encode({ two: 2 })
      t.deepEqual(decode(one.bytes, one.start, one.end, { trusted: true }), { one: 1 })
      t.deepEqual(decode(two.bytes, two.start, two.end, { trusted: true }), { two: 2 })
      return shared
    },
    after: [shared, { x: 3, y: 4 }],
  }
  const arrived = again(outer)
  t.deepEqual(arrived, {
    before: [{ s: 1 }, { x: 1, y: 2 }],
    inner: { s: 1 },
    after: [{ s: 1 }, { x: 3, y: 4 }],
  })
  t.is(arrived.before[0], arrived.inner as never)
  t.is(arrived.after[0], arrived.inner as never)
  class Nesting {}
  registerReducer(Nesting, {
    name: 'test.Nesting',
    trustedOnly: false,
    reduce: () => payload({ deep: shared, back: [shared] }),
    rebuild: (state) => {
      const value = decodeAll(state as Uint8Array) as { deep: object; back: object[] }
      t.is(value.back[0], value.deep)
      return Object.assign(new Nesting(), value)
    },
  })
  const list: unknown[] = again([shared, new Nesting(), shared])
  t.is(list[0], list[2])
  t.deepEqual({ ...(list[1] as object) }, { deep: { s: 1 }, back: [{ s: 1 }] })
})

const nest = (levels: number, wrap: (inner: unknown) => unknown): unknown => {
  let value: unknown = 1
  for (let i = 0; i < levels; i++) value = wrap(value)
  return value
}

test('graphs as deep as allowed travel and deeper ones are refused on both sides', (t) => {
  const wraps: ((inner: unknown) => unknown)[] = [
    (inner) => [inner],
    (inner) => ({ inner }),
    (inner) => new Map([[inner, inner]]),
    (inner) => new Set([inner]),
    (inner) => new Error('x', { cause: inner }),
    (inner) => Object.assign(new Error('x'), { inner }),
    (inner) => new Point(inner as number, 1),
    (inner) => new Door(1, inner),
    (inner) => Object.assign(Object.create(null), { inner }),
    (inner) => Object.assign(new functions.classes.List(1), { tag: inner }),
  ]
  for (const wrap of wraps) {
    // A reducer's state is an object of its own.
    const levels = wrap(1) instanceof Door ? MAXIMUM_DEPTH / 2 : MAXIMUM_DEPTH
    const deepest = nest(levels, wrap)
    const { bytes, start, end, handles } = encode(deepest)
    t.truthy(decode(bytes, start, end, { trusted: true, handles }))
    const error = t.throws(() => encode(nest(levels + 1, wrap), 'args'), { code: 'ERR_PICKLING' })
    t.regex(error?.message ?? '', /nested deeper than/)
    t.throws(() => encode(nest(50_000, wrap)), { code: 'ERR_PICKLING' })
  }
  unpicklable(t, [0x50, ...new Array(100_000).fill(0xa1)], /nested deeper/)
  unpicklable(t, [0x50, ...new Array(100_000).fill(0xdb)], /malformed/)
  unpicklable(t, [0x50, ...new Array(100_000).fill(0xe4)], /nested/)
  unpicklable(t, [0x50, ...new Array(100_000).fill([0xe0, 1]).flat()], /nested deeper|too early/)
})

test('with little stack left the error is still one of the package', (t) => {
  const deep = nest(MAXIMUM_DEPTH, (inner) => ({ inner }))
  const message = payload(deep)
  const outcomes = new Set<string>()
  const exhaust = (run: () => unknown): void => {
    try {
      exhaust(run)
    } catch {}
    try {
      run()
      outcomes.add('done')
    } catch (error) {
      outcomes.add((error as { code?: string }).code ?? `${error}`)
    }
  }
  // The frames nearest to the end of the stack have no room to even begin, so only codes count.
  for (const run of [() => encode(deep), () => decodeAll(message)]) {
    outcomes.clear()
    exhaust(run)
    t.true(outcomes.has('done'))
    t.true(outcomes.has('ERR_PICKLING') || outcomes.has('ERR_UNPICKLING'))
  }
  t.deepEqual(payload(deep), message)
  t.deepEqual(again({ a: 1 }), { a: 1 })
})

test('a payload beyond the limit is refused', (t) => {
  const before = limits.payload
  limits.payload = 100_000
  try {
    const part = 'x'.repeat(60_000)
    t.is(again(part), part)
    const error = t.throws(() => encode([part, part], 'args'), { code: 'ERR_PICKLING' })
    t.regex(error?.message ?? '', /larger than 100000 bytes/)
    const numbers = new Float64Array(100_000)
    t.deepEqual(again(numbers), numbers)
  } finally {
    limits.payload = before
  }
})

test('the buffer grows for a large message and is given back after it', (t) => {
  encode('x'.repeat(3_000_000))
  t.true(scratchBytes() >= 3_000_000)
  for (let i = 0; i < 200; i++) encode({ small: i })
  t.true(scratchBytes() < 500_000)
  const large = 'y'.repeat(1_000_000)
  for (let i = 0; i < 50; i++) t.is(encode(large).start, HEADROOM)
  t.true(scratchBytes() >= 1_000_000)
})

test('keys that never repeat do not fill the memory', (t) => {
  for (let i = 0; i < 60_000; i++) {
    encode({ [`unique key ${i}`]: 1, [`another ${i}`]: 2 })
    if (i % 1000 === 0) t.true(encoderShapeBytes() < ENCODER_SHAPE_BUDGET * 1.1)
  }
  const value = { stable: 1, keys: 2 }
  t.deepEqual(again(value), value)
  t.true(DECODER_SHAPE_LIMIT <= 4096)
})

test('one message with very many shapes arrives', (t) => {
  const list = Array.from({ length: 40_000 }, (_, i) => ({ [`unique ${i}`]: i, common: 'x' }))
  t.deepEqual(again(list), list)
})

test('truncated messages are refused, wherever they are cut', (t) => {
  const self: Record<string, unknown> = {
    list: [1, 2.5, 'x', 'я'.repeat(30), -70000, 5n, -(2n ** 70n)],
  }
  self.self = self
  const values: unknown[] = [
    self,
    new Map([[{ a: 1 }, new Set([1])]]),
    [new Date(5), /x/g, new Error('x'), new URL('a:b'), Buffer.from('abc'), Object(1)],
    Array.from({ length: 40 }, (_, i) => i / 2),
    Array.from({ length: 40 }, (_, i) => `s${i}`),
    [new Point(1, 2), functions.exported],
    Object.fromEntries(Array.from({ length: 140 }, (_, i) => [`k${i}`, i])),
  ]
  for (const value of values) {
    const whole = payload(value)
    for (let length = 0; length < whole.length; length++) {
      t.throws(
        () => decodeAll(whole.slice(0, length)),
        { code: 'ERR_UNPICKLING' },
        `cut at ${length}`,
      )
    }
    const longer = new Uint8Array(whole.length + 1)
    longer.set(whole)
    t.throws(() => decodeAll(longer), { code: 'ERR_UNPICKLING' })
  }
})

test('a message is only read between its bounds', (t) => {
  const message = encode(['abc', 1])
  const padded = Buffer.alloc(100, 1)
  padded.set(message.bytes.subarray(message.start, message.end), 13)
  const size = message.end - message.start
  t.deepEqual(decode(padded, 13, 13 + size, { trusted: false }), ['abc', 1])
  t.throws(() => decode(padded, 13, 13 + size - 1, { trusted: false }), { code: 'ERR_UNPICKLING' })
  for (const [start, end] of [
    [5, 5],
    [6, 5],
    [-1, 5],
    [0, 101],
    [Number.NaN, 5],
  ]) {
    t.throws(() => decode(padded, start!, end!, { trusted: false }), { code: 'ERR_UNPICKLING' })
  }
})

const count = (value: number): number[] => {
  const out: number[] = []
  let rest = value
  while (rest > 127) {
    out.push((rest % 128) + 128)
    rest = Math.floor(rest / 128)
  }
  return [...out, rest]
}

test('counts that promise more than there is are refused before anything is allocated', (t) => {
  const huge = count(0xffffffff)
  for (let tag = 0xc0; tag <= 0xff; tag++) {
    const before = process.memoryUsage().arrayBuffers + process.memoryUsage().heapUsed
    for (const prefix of [
      [0x50, tag],
      [0x50, tag, 1],
      [0x51, tag, 0, 0],
    ]) {
      t.throws(() => decodeAll(Uint8Array.from([...prefix, ...huge])), { code: 'ERR_UNPICKLING' })
    }
    const after = process.memoryUsage().arrayBuffers + process.memoryUsage().heapUsed
    t.true(after - before < 32 * 1024 * 1024, `tag ${tag.toString(16)}`)
  }
})

test('many small announcements of large arrays are refused or stay small', (t) => {
  // Each level announces all that is left of the message.
  const size = 400_000
  const nested: number[] = [0x50]
  for (let i = 0; i < MAXIMUM_DEPTH - 10; i++) nested.push(0xd2, ...count(size - 5000))
  const bytes = new Uint8Array(size).fill(0xc1)
  bytes.set(nested)
  const before = process.memoryUsage().heapUsed
  t.throws(() => decodeAll(bytes), { code: 'ERR_UNPICKLING', message: /announces/ })
  t.true(process.memoryUsage().heapUsed - before < 64 * 1024 * 1024)
  const sparse: number[] = [0x50, 0xd2, ...count(10_000)]
  for (let i = 0; i < 10_000; i++)
    sparse.push(0xd3, ...count(30_000_000), 0xc5, ...count(30_000_000))
  const arrays = decodeAll(Uint8Array.from(sparse)) as unknown[][]
  t.is(arrays[9999]?.length, 30_000_000)
  t.true(process.memoryUsage().heapUsed - before < 64 * 1024 * 1024)
})

test('malformed messages are refused with a reason', (t) => {
  unpicklable(t, [], /no bytes/)
  unpicklable(t, [0x00, 0xc1], /not an encoded object/)
  unpicklable(t, [0x50], /too early/)
  unpicklable(t, [0x50, 1, 1], /something follows/)
  unpicklable(t, [0x50, 0xff], /unknown kind/)
  unpicklable(t, [0x50, 0xee, 0], /does not hold/)
  unpicklable(t, [0x51, 0xee, 0], /does not hold/)
  unpicklable(t, [0x51, 0xe4, 0xee, 0], /made from itself/)
  unpicklable(t, [0x50, 0xb0], /before it is defined/)
  unpicklable(t, [0x50, 0xd9, 5], /before it is defined/)
  unpicklable(t, [0x50, 0xc5, 1], /unknown kind/)
  unpicklable(t, [0x50, 0xd3, 2, 0xc5, 3], /too long/)
  unpicklable(t, [0x50, 0xd3, 2, 0xc5, 0], /too long/)
  unpicklable(t, [0x50, 0xd1, 200], /well-known symbol/)
  unpicklable(t, [0x50, 0xe5, 99, 0], /class of errors/)
  unpicklable(t, [0x50, 0xe5, 0, 255], /parts of an error/)
  unpicklable(t, [0x50, 0xeb, 99, 0], /typed array/)
  unpicklable(t, [0x50, 0xeb, 9, 7, 0, 0, 0, 0, 0, 0, 0], /within an element/)
  unpicklable(t, [0x50, 0xec, 1, 0], /did not come along/)
  unpicklable(t, [0x50, 0xed, 1, 0, 9, 0xe9, 1, 0], /does not fit/)
  unpicklable(t, [0x50, 0xe3, 0x81, 0x28, 0x80, 0], /cannot be rebuilt/)
  unpicklable(t, [0x50, 0xe7, 0x81, 0x28], /cannot be rebuilt/)
  unpicklable(t, [0x50, 0xe4, 0xc1], /primitive/)
  unpicklable(t, [0x50, 0xd0, 5], /string was expected/)
  unpicklable(t, [0x52, 0xc1], /too early/)
  unpicklable(t, [0x52, 0xc1, 0, 9, 0, 0, 0], /module table/)
  // The same key twice, and a block longer than its keys.
  unpicklable(t, [0x50, 0xd8, 0, 0, 5, 2, 2, 0x61, 2, 0x61, 1, 1], /list of keys/)
  unpicklable(t, [0x50, 0xd8, 0, 0, 4, 1, 2, 0x61, 0, 1], /list of keys/)
})

test('out-of-band buffers must be the ones the message names', (t) => {
  const message = encode([new Uint8Array(OUT_OF_BAND_THRESHOLD)])
  const bytes = message.bytes.slice(message.start, message.end)
  const run = (buffers: ArrayBuffer[]): unknown =>
    decode(bytes, 0, bytes.length, { trusted: true, buffers })
  const right = new ArrayBuffer(OUT_OF_BAND_THRESHOLD)
  t.notThrows(() => run([right]))
  t.throws(() => run([]), { code: 'ERR_UNPICKLING', message: /did not come along/ })
  t.throws(() => run([new ArrayBuffer(5)]), { code: 'ERR_UNPICKLING', message: /another length/ })
  t.throws(() => run([right, right]), { code: 'ERR_UNPICKLING', message: /more out-of-band/ })
})

test('the decoded object keeps nothing of the bytes it came from', (t) => {
  const value = { text: 'short', long: 'l'.repeat(100), bytes: new Uint8Array([1, 2, 3]), n: [1.5] }
  const bytes = payload(value)
  const arrived = decodeAll(bytes)
  bytes.fill(0)
  t.deepEqual(arrived, value)
})

test('an encoded message is valid until the next one', (t) => {
  const first: Encoded = encode({ a: 1 })
  t.is(first.start, HEADROOM)
  const copy = first.bytes.slice(first.start, first.end)
  const second = encode('another')
  t.is(first, second)
  t.deepEqual(decodeAll(copy), { a: 1 })
})
