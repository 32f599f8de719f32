import { inspect } from 'node:util'
import test from 'ava'
import * as mp from 'node-multiprocessing'
import {
  alignment,
  bytesOf,
  type CData,
  type DataType,
  fieldsOf,
} from 'node-multiprocessing/ctypes'
import { typecodeToType } from 'node-multiprocessing/sharedctypes'

const { Structure, Union } = mp

class Point extends Structure.of({ x: mp.c_double, y: mp.c_double }) {}

const placesOf = (type: DataType): [string, number][] =>
  fieldsOf(type).map(({ name, offset }) => [name, offset])

test('each letter stands for its type', (t) => {
  const sizes = Object.fromEntries(
    Object.entries(typecodeToType).map(([code, type]) => [code, mp.sizeof(type)]),
  )
  const long = mp.sizeof(mp.c_size_t)
  t.deepEqual(sizes, {
    c: 1,
    u: process.platform === 'win32' ? 2 : 4,
    b: 1,
    B: 1,
    h: 2,
    H: 2,
    i: 4,
    I: 4,
    l: long,
    L: long,
    q: 8,
    Q: 8,
    f: 4,
    d: 8,
  })
})

const wraps: [DataType<{ value: unknown } & CData>, given: unknown, read: unknown][] = [
  [mp.c_byte, 1000, -24],
  [mp.c_byte, -129, 127],
  [mp.c_ubyte, -1, 255],
  [mp.c_short, 0x1_8000, -0x8000],
  [mp.c_ushort, -1, 0xffff],
  [mp.c_int, 2 ** 31, -(2 ** 31)],
  [mp.c_int, 2 ** 53 - 1, -1],
  [mp.c_int, 2n ** 100n + 5n, 5],
  [mp.c_uint, -1, 2 ** 32 - 1],
  [mp.c_uint, -1n, 2 ** 32 - 1],
  [mp.c_longlong, 2n ** 63n, -(2n ** 63n)],
  [mp.c_longlong, -5, -5n],
  [mp.c_ulonglong, -1n, 2n ** 64n - 1n],
  [mp.c_long, 7, 7n],
  [mp.c_size_t, -1, 2n ** 64n - 1n],
  [mp.c_float, 0.1, Math.fround(0.1)],
  [mp.c_double, 0.1, 0.1],
  [mp.c_double, 3n, 3],
  [mp.c_bool, [], true],
  [mp.c_bool, '', false],
  [mp.c_char, 65, Buffer.from('A')],
  [mp.c_char, Uint8Array.of(200), Buffer.of(200)],
  [mp.c_wchar, '😀', '😀'],
]
for (const [type, given, read] of wraps) {
  test(`a ${type.name} that is set to ${inspect(given)} reads as ${inspect(read)}`, (t) => {
    t.deepEqual(new type(given).value, read)
    const raw = mp.RawValue(type)
    raw.value = given
    t.deepEqual(raw.value, read)
    const array: any = mp.RawArray(type, 3)
    array[1] = given
    t.deepEqual(array[1], read)
    t.deepEqual(array.get(1), read)
    array.set([given], 2)
    t.deepEqual(array.get(2), read)
    class Around extends Structure.of({ before: mp.c_byte, value: type }, { pack: 1 }) {}
    const packed: any = new Around(0, given)
    t.deepEqual(packed.value, read)
    if (type === mp.c_wchar) return
    class Big extends mp.BigEndianStructure.of({ value: type }) {}
    t.deepEqual((new Big(given) as any).value, read)
  })
}

const refused: [DataType<{ value: unknown } & CData>, given: unknown][] = [
  [mp.c_int, 1.5],
  [mp.c_int, Number.NaN],
  [mp.c_int, Number.POSITIVE_INFINITY],
  [mp.c_int, '1'],
  [mp.c_int, null],
  [mp.c_int, true],
  [mp.c_longlong, 1.5],
  [mp.c_longlong, '1'],
  [mp.c_double, '1'],
  [mp.c_float, null],
  [mp.c_char, 256],
  [mp.c_char, -1],
  [mp.c_char, ''],
  [mp.c_char, 'ab'],
  [mp.c_char, 'é'],
  [mp.c_char, Buffer.from('ab')],
  [mp.c_wchar, 'ab'],
  [mp.c_wchar, 65],
]
for (const [type, given] of refused) {
  test(`a ${type.name} cannot be set to ${inspect(given)}`, (t) => {
    const raw = mp.RawValue(type)
    const before = Buffer.from(bytesOf(raw))
    t.throws(() => new type(given), { instanceOf: TypeError })
    t.throws(() => (raw.value = given), { instanceOf: TypeError })
    t.deepEqual(Buffer.from(bytesOf(raw)), before, 'nothing has changed')
    const array: any = mp.RawArray(type, 2)
    t.throws(() => (array[0] = given), { instanceOf: TypeError })
    t.throws(() => array.set(0, given), { instanceOf: TypeError })
    t.throws(() => array.set([given]), { instanceOf: TypeError })
    t.throws(() => array.fill(given), { instanceOf: TypeError })
  })
}

test('objects show themselves as the reference shows them', (t) => {
  t.is(String(new mp.c_int(5)), 'c_int(5)')
  t.is(inspect(new mp.c_char('x')), "c_char(b'x')")
  t.is(inspect(new mp.c_longlong(5)), 'c_longlong(5n)')
  t.is(inspect(new Point(1, 2)), 'Point { x: 1, y: 2 }')
  t.is(inspect(mp.RawArray('i', [1, 2])), 'c_int_Array_2 [ 1, 2 ]')
  t.is(String(new mp.Value('i', 5)), '<Synchronized wrapper for c_int(5)>')
  t.is(inspect(new mp.Value(Point, 1, 2)), '<SynchronizedPoint wrapper for Point { x: 1, y: 2 }>')
})

test('a structure is made from values in order, from a list of them by name, or zeroed', (t) => {
  t.deepEqual([new Point().x, new Point().y], [0, 0])
  const inOrder = new Point(1, 2)
  t.deepEqual([inOrder.x, inOrder.y], [1, 2])
  const byName = new Point({ y: 3 })
  t.deepEqual([byName.x, byName.y], [0, 3])
  t.throws(() => new Point(1, 2, 3), { instanceOf: TypeError, message: 'too many initializers' })
  t.throws(() => new Point({ z: 1 } as never), { instanceOf: TypeError, message: /no field "z"/ })
  t.throws(() => new Point('1' as never), { instanceOf: TypeError })
})

test('fields may be declared as in the reference', (t) => {
  class Old extends Structure {
    static fields = [
      ['a', mp.c_byte],
      ['b', mp.c_int, 3],
      ['c', mp.c_int],
    ]
    static pack = 2
    declare a: number
    declare b: number
    declare c: number
  }
  const old = new Old(1, -2, 3)
  t.deepEqual([old.a, old.b, old.c], [1, -2, 3])
  t.deepEqual(placesOf(Old), [
    ['a', 0],
    ['b', 1],
    ['c', 2],
  ])
  t.is(mp.sizeof(Old), 6)
  t.is(alignment(old), 2)
})

test('the fields of a class follow those of the class that it extends', (t) => {
  class Third extends Point {
    static fields = [['z', mp.c_byte]]
    declare z: number
  }
  const third = new Third(1, 2, 3)
  t.deepEqual([third.x, third.y, third.z], [1, 2, 3])
  t.is(mp.sizeof(Third), 24)
  t.deepEqual(placesOf(Third).at(-1), ['z', 16])
  t.true(third instanceof Point)
})

test('structures, unions and arrays in one another are objects in its memory', (t) => {
  class Either extends Union.of({ whole: mp.c_uint, halves: mp.arrayOf(mp.c_ushort, 2) }) {}
  class Line extends Structure.of({
    from: Point,
    to: Point,
    name: mp.arrayOf(mp.c_char, 8),
    either: Either,
    grid: mp.arrayOf(mp.arrayOf(mp.c_int, 2), 2),
  }) {}
  const line = mp.RawValue(Line, {
    from: { x: 1, y: 2 },
    to: [3, 4],
    name: 'abc',
    either: { whole: 0x1234_5678 },
    grid: [[1, 2], [3]],
  })
  t.deepEqual([line.from.x, line.to.y, line.name.toString()], [1, 4, 'abc'])
  line.from.x = 10
  t.is(line.from.x, 10)
  t.deepEqual([...line.either.halves], [0x5678, 0x1234])
  t.deepEqual(
    [...line.grid].map((row) => [...row]),
    [
      [1, 2],
      [3, 0],
    ],
  )
  line.to = new Point(8, 9)
  t.is(line.to.y, 9)
  const mutable = line as unknown as Record<string, unknown>
  t.throws(() => (mutable.to = 5), { instanceOf: TypeError, message: /expected Point instance/ })
  t.throws(() => (mutable.to = [1, 'x']), { instanceOf: TypeError })
  t.deepEqual([line.to.x, line.to.y], [8, 9], 'what is refused changes nothing')
  t.throws(() => (mutable.name = 'too long a name'), { instanceOf: mp.ValueError })
  t.throws(() => (mutable.grid = [[1, 2, 3]]), { instanceOf: mp.IndexError })
})

test('what cannot be declared is an error that names it', (t) => {
  const refuse = (fields: any, options: any, type: any, message: RegExp): void => {
    t.throws(() => Structure.of(fields, options), { instanceOf: type, message })
  }
  refuse({ x: 'i' }, {}, TypeError, /has no size/)
  refuse({ x: class {} }, {}, TypeError, /has no size/)
  refuse({ x: Structure }, {}, TypeError, /abstract/)
  refuse({ x: mp.bits(mp.c_double, 3) }, {}, TypeError, /bit fields not allowed for type c_double/)
  refuse({ x: mp.bits(mp.c_char, 3) }, {}, TypeError, /bit fields not allowed/)
  refuse({ x: mp.bits(Point, 3) }, {}, TypeError, /bit fields not allowed/)
  refuse({ x: mp.bits(mp.c_int, 0) }, {}, mp.ValueError, /number of bits invalid/)
  refuse({ x: mp.bits(mp.c_int, 33) }, {}, mp.ValueError, /number of bits invalid/)
  refuse({ x: mp.bits(mp.c_int, 1.5) }, {}, mp.ValueError, /number of bits invalid/)
  refuse({ x: mp.c_int }, { pack: 3 }, mp.ValueError, /pack/)
  refuse({ x: mp.c_int }, { byteOrder: 'middle' }, mp.ValueError, /byteOrder/)
  refuse({ constructor: mp.c_int }, {}, mp.ValueError, /cannot be named/)
  refuse({ x: mp.c_wchar }, { byteOrder: 'big' }, TypeError, /other endian: c_wchar/)
  refuse(null, {}, TypeError, /fields are an object/)
  t.throws(() => new Structure(), { instanceOf: TypeError, message: /abstract/ })
  t.throws(() => mp.RawValue(class Without extends Structure {}), { message: /no fields/ })
  class Twice extends Structure {
    static fields = [
      ['a', mp.c_int],
      ['a', mp.c_int],
    ]
  }
  t.throws(() => new Twice(), { instanceOf: mp.ValueError, message: /two fields/ })
})

test('an unknown type, and a negative size, are errors', (t) => {
  t.throws(() => mp.RawValue('z' as never), { instanceOf: TypeError })
  t.throws(() => new mp.Value('z' as never), { instanceOf: TypeError })
  t.throws(() => mp.RawArray('toString' as never, 1), { instanceOf: TypeError })
  t.throws(() => mp.RawArray('i', -1), { instanceOf: mp.ValueError })
  t.throws(() => new mp.Array('i', -1), { instanceOf: mp.ValueError })
  t.throws(() => mp.RawArray('i', 1.5), { instanceOf: TypeError })
  t.throws(() => mp.RawArray('i', null as never), { instanceOf: TypeError })
  t.throws(() => mp.arrayOf(mp.c_int, 2 ** 52), { instanceOf: mp.ValueError })
  t.is(mp.RawArray('i', 0).length, 0)
})

test('objects lie in memory that is given, wherever in it', (t) => {
  const buffer = Buffer.alloc(64)
  const bytes = buffer.subarray(3)
  const point = Point.fromBuffer(bytes, 2)
  point.x = 1.5
  t.is(buffer.readDoubleLE(5), 1.5)
  buffer.writeDoubleLE(2.5, 13)
  t.is(point.y, 2.5)
  t.true(point instanceof Point)
  t.throws(() => Point.fromBuffer(new ArrayBuffer(15)), {
    instanceOf: mp.ValueError,
    message: /Buffer size too small \(15 instead of at least 16 bytes\)/,
  })
  t.throws(() => Point.fromBuffer(new ArrayBuffer(20), 8), { instanceOf: mp.ValueError })
  t.throws(() => Point.fromBuffer(new ArrayBuffer(20), -1), { instanceOf: mp.ValueError })
  t.throws(() => Point.fromBuffer([] as never), { instanceOf: TypeError })

  const integers = mp.arrayOf(mp.c_int, 2).fromBuffer(bytes, 30)
  integers.set([7, -8])
  t.deepEqual([...integers], [7, -8])
  t.is(buffer.readInt32LE(37), -8)
  t.throws(() => integers.typedArray(), { instanceOf: TypeError })
  t.throws(() => mp.c_int.fromBuffer(bytes).add(1), { instanceOf: TypeError })
})

test('bit fields have the bits that C gives them, in both byte orders', (t) => {
  const fields = {
    a: mp.bits(mp.c_uint, 3),
    b: mp.bits(mp.c_int, 5),
    c: mp.bits(mp.c_ushort, 9),
    d: mp.bits(mp.c_longlong, 40),
    e: mp.bits(mp.c_bool, 1),
  }
  for (const byteOrder of ['little', 'big'] as const) {
    for (const pack of [undefined, 1] as const) {
      const options = pack === undefined ? { byteOrder } : { byteOrder, pack }
      class Flags extends Structure.of(fields, options) {}
      const flags = new Flags()
      const values = { a: 5, b: -3, c: 300, d: -(2n ** 39n) + 12_345n, e: true }
      Object.assign(flags, values)
      t.like(flags, values)
      flags.b = 15
      flags.d = 0n
      t.like(flags, { ...values, b: 15, d: 0n }, 'neighbours stay as they are')
      flags.a = 8 + 2
      flags.b = 16
      t.deepEqual([flags.a, flags.b], [2, -16], 'upper bits are lost')
      t.throws(() => (flags.a = 1.5), { instanceOf: TypeError })
    }
  }
})

test('numbers of another byte order have it in memory', (t) => {
  class Big extends mp.BigEndianStructure.of({
    short: mp.c_ushort,
    ints: mp.arrayOf(mp.c_int, 2),
    inner: Point,
    byte: mp.c_byte,
  }) {}
  const big = new Big(0x1234, [1, -2], [1, 2], 5)
  t.is(Buffer.from(bytesOf(big)).subarray(0, 12).toString('hex'), '1234000000000001fffffffe')
  t.deepEqual([...big.ints], [1, -2])
  t.is(big.inner.y, 2, 'a structure keeps its own')
  t.is(big.ints.get(1), -2)
  t.throws(() => big.ints.typedArray(), { instanceOf: TypeError })
  class Little extends mp.LittleEndianStructure.of({ short: mp.c_ushort }) {}
  t.is(Buffer.from(bytesOf(new Little(0x1234))).toString('hex'), '3412')
  t.is(
    Buffer.from(bytesOf(new (class extends mp.BigEndianUnion.of({ a: mp.c_uint }) {})(1))).toString(
      'hex',
    ),
    '00000001',
  )
})
