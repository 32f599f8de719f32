import test from 'ava'
import * as mp from 'node-multiprocessing'
import { CharArray, WideCharArray } from 'node-multiprocessing/ctypes'

class Point extends mp.Structure.of({ x: mp.c_double, tag: mp.c_int, wide: mp.c_longlong }) {}

for (const [name, make] of [
  ['RawArray', () => mp.RawArray('i', [10, 11, 12, 13])],
  ['Array', () => new mp.Array('i', [10, 11, 12, 13])],
] as const) {
  test(`elements of ${name} are found by index, from both ends`, (t) => {
    const array = make()
    t.is(array[0], 10)
    t.is(array[-1], 13)
    t.is(array.get(3), 13)
    t.is(array.get(-4), 10)
    t.is(array.at(-1), 13)
    t.is(array.at(4), undefined)
    array[1] = 21
    array[-2] = 22
    array.set(3, 23)
    t.deepEqual([...array], [10, 21, 22, 23])
    t.is(array.length, 4)
  })

  test(`an index outside of ${name} is an IndexError`, (t) => {
    const array = make()
    const error = { instanceOf: mp.IndexError, message: 'invalid index' }
    for (const index of [4, -5, 2 ** 40]) {
      t.throws(() => array[index], error)
      t.throws(() => array.get(index), error)
      t.throws(() => (array[index] = 1), error)
      t.throws(() => array.set(index, 1), error)
    }
    t.throws(() => array.get(0.5), { instanceOf: TypeError })
    t.throws(() => array.get('0' as never), { instanceOf: TypeError })
    t.deepEqual([...array], [10, 11, 12, 13])
  })

  test(`slices of ${name} are read and written`, (t) => {
    const array = make()
    t.deepEqual(array.slice(), [10, 11, 12, 13])
    t.deepEqual(array.slice(1, 3), [11, 12])
    t.deepEqual(array.slice(-2), [12, 13])
    t.deepEqual(array.slice(3, 1), [])
    array.set([1, 2], 2)
    t.deepEqual(array.slice(), [10, 11, 1, 2])
    array.set(new Set([5, 6]))
    t.deepEqual(array.slice(), [5, 6, 1, 2])
    array.set([8], -1)
    t.is(array[3], 8)
    t.throws(() => array.set([1, 2], 3), { instanceOf: mp.ValueError })
    t.throws(() => array.set([1], 5), { instanceOf: mp.IndexError })
    t.throws(() => array.set([1.5]), { instanceOf: TypeError })
    t.throws(() => array.set(Float64Array.of(1.5)), { instanceOf: TypeError })
    t.deepEqual(array.slice(), [5, 6, 1, 8])
    t.deepEqual(array.fill(7, 1, 3).slice(), [5, 7, 7, 8])
  })
}

test('names that are no index are ordinary properties', (t) => {
  const array: any = mp.RawArray('i', 3)
  t.is(array.nothing, undefined)
  t.is(array.then, undefined)
  array.note = 'mine'
  t.is(array.note, 'mine')
  t.deepEqual(Object.keys(array), ['note'])
  t.is(array['1.5'], undefined)
})

test('a typed array shows the same memory', (t) => {
  const array = mp.RawArray('d', [1, 2, 3])
  const view = array.typedArray()
  t.true(view instanceof Float64Array)
  view[1] = 5
  t.is(array[1], 5)
  array[2] = 6
  t.is(view[2], 6)
  t.is(array.typedArray(), view)
  t.true(mp.RawArray('q', 1).typedArray() instanceof BigInt64Array)
  t.true(mp.RawArray('c', 1).typedArray() instanceof Uint8Array)
  t.throws(() => mp.RawArray(Point, 1).typedArray(), { instanceOf: TypeError })
  // The types know which: no cast.
  const [doubles, integers]: [Float64Array, Int32Array] = [view, mp.RawArray('i', 1).typedArray()]
  t.is(doubles.length + integers.length, 4)
})

test('typed arrays are copied as numbers', (t) => {
  t.deepEqual(mp.RawArray('d', Int8Array.of(-1, 2)).slice(), [-1, 2])
  t.deepEqual(mp.RawArray('b', Uint16Array.of(300)).slice(), [44])
  t.deepEqual(mp.RawArray('q', BigUint64Array.of(2n ** 64n - 1n)).slice(), [-1n])
  t.deepEqual(mp.RawArray('q', Int8Array.of(-1)).slice(), [-1n])
  t.deepEqual(mp.RawArray('i', BigInt64Array.of(2n ** 32n + 3n)).slice(), [3])
})

test('a part of an array shows the same memory', (t) => {
  const array = mp.RawArray('h', [1, 2, 3, 4])
  const part = array.subarray(1, 3)
  t.deepEqual(part.slice(), [2, 3])
  part[0] = 9
  t.is(array[1], 9)
  const points = mp.RawArray(Point, 3)
  points.subarray(1)[1]!.x = 5
  t.is(points[2]!.x, 5)
})

test('elements that are structures are objects in the array', (t) => {
  const points = mp.RawArray(Point, [[1, 2, 3n], { tag: 5 }])
  t.is(points[0]!.wide, 3n)
  const second = points[1]!
  second.x = 4.5
  t.is(points.get(1).x, 4.5)
  points[0] = second
  t.deepEqual([points[0]!.x, points[0]!.tag], [4.5, 5])
  t.throws(() => (points[0] = 5 as never), { instanceOf: TypeError })
  t.throws(() => points.set([[1], 'x']), { instanceOf: TypeError })
})

test('a column shows one field of all structures', (t) => {
  const points = mp.RawArray(
    Point,
    Array.from({ length: 5 }, (_, i) => [i, 10 * i, BigInt(i)]),
  )
  const tags = points.column('tag')
  t.deepEqual([...tags], [0, 10, 20, 30, 40])
  t.is(tags.length, 5)
  tags.set(-1, 99)
  t.is(points[4]!.tag, 99)
  const { view, first, step } = tags
  view[first + 2 * step] = 77
  t.is(points[2]!.tag, 77)
  t.deepEqual(points.column('wide').toArray(), [0n, 1n, 2n, 3n, 4n])
  t.throws(() => tags.get(5), { instanceOf: mp.IndexError })
  t.throws(() => tags.set(0, 0.5), { instanceOf: TypeError })
  t.throws(() => points.column('nothing' as never), { instanceOf: mp.ValueError })
  t.throws(() => (mp.RawArray('i', 1) as any).column('x'), { instanceOf: TypeError })
  class Packed extends mp.Structure.of({ a: mp.c_byte, b: mp.c_int }, { pack: 1 }) {}
  t.throws(() => mp.RawArray(Packed, 2).column('b'), { instanceOf: mp.ValueError })
  t.deepEqual([...mp.RawArray(Packed, [[1], [2]]).column('a')], [1, 2])
})

test('text in an array of characters', (t) => {
  const text = mp.RawArray('c', 8)
  t.true(text instanceof CharArray)
  text.value = 'hello'
  t.is(text.value.toString(), 'hello')
  t.is(text.raw.toString('latin1'), 'hello\0\0\0')
  text.value = 'hi'
  t.is(text.raw.toString('latin1'), 'hi\0lo\0\0\0')
  text.raw = Buffer.from('abcdefgh')
  t.is(text.value.toString(), 'abcdefgh')
  t.deepEqual(text[0], Buffer.from('a'))
  t.is(text.slice(1, 3).toString(), 'bc')
  const error = t.throws(() => (text.value = 'abcdefghi'), { instanceOf: mp.ValueError })
  t.is(error?.message, 'byte string too long (9, maximum length 8)')
  t.throws(() => (text.raw = 'abcdefghi'), { instanceOf: mp.ValueError })
  t.throws(() => (text.value = 5 as never), { instanceOf: TypeError })
  t.is(text.value.toString(), 'abcdefgh')
  t.is(mp.RawArray('c', Uint8Array.of(104, 105)).value.toString(), 'hi')
  t.is(mp.RawArray('c', [104, 'i']).value.toString(), 'hi')

  const locked = new mp.Array('c', 'hello')
  locked.value = locked.value.toString().toUpperCase()
  t.is(locked.value.toString(), 'HELLO')
  t.is(locked.raw.length, 5)
})

test('text in an array of wide characters', (t) => {
  const text = mp.RawArray('u', 'né😀')
  t.true(text instanceof WideCharArray)
  t.is(text.value, 'né😀')
  t.is(text[1], 'é')
  t.is(text.slice(0, 2), 'né')
  text.value = 'x'
  t.is(text.value, 'x')
  const unaligned = mp.arrayOf(mp.c_wchar, 3).fromBuffer(new ArrayBuffer(16), 3)
  unaligned.value = 'é😀'
  t.is(unaligned.value, 'é😀')
  t.throws(() => (text.value = 'much too long'), { instanceOf: mp.ValueError })
  t.throws(() => (text.value = 5 as never), { instanceOf: TypeError })
})
