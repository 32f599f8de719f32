/** Lists in shared memory: what goes in comes out, and what is no list does no harm. */
import test from 'ava'
import fc from 'fast-check'
import * as mp from 'node-multiprocessing'
import { ensureRunning } from 'node-multiprocessing/resource-tracker'

ensureRunning()

/** Runs with a list, which goes. */
const withList = <T extends mp.ShareableValue>(
  items: Iterable<T | mp.Float>,
  use: (list: mp.ShareableList<T>) => void,
): void => {
  const list = new mp.ShareableList<T>(items)
  try {
    use(list)
  } finally {
    list.shm.close()
    list.shm.unlink()
  }
}

/** What a value is when it comes out: NULs at the end are lost, a bigint may be a number. */
const expected = (value: mp.ShareableValue): mp.ShareableValue => {
  if (typeof value === 'string') return value.replace(/\0+$/, '')
  if (typeof value === 'bigint') {
    return BigInt(Number(value)) === value && Number.isSafeInteger(Number(value))
      ? Number(value)
      : value
  }
  if (!(value instanceof Uint8Array)) return value
  let end = value.length
  while (end > 0 && value[end - 1] === 0) end--
  return Buffer.from(value.subarray(0, end))
}

const item = fc.oneof(
  fc.double(),
  fc.integer(),
  fc.maxSafeInteger(),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.boolean(),
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.uint8Array({ maxLength: 40 }),
  fc.constant(null),
) satisfies fc.Arbitrary<mp.ShareableValue>

test('what goes in comes out', (t) => {
  fc.assert(
    fc.property(fc.array(item, { maxLength: 20 }), (items) => {
      withList<mp.ShareableValue>(items, (list) => {
        t.deepEqual([...list], items.map(expected))
        const same = new mp.ShareableList(null, { name: list.shm.name })
        t.deepEqual([...same], items.map(expected))
        t.is(same.format, list.format)
        same.shm.close()
      })
    }),
    { numRuns: 200 },
  )
})

test('what is put in place of something comes out, or is refused and changes nothing', (t) => {
  fc.assert(
    fc.property(fc.array(item, { minLength: 1, maxLength: 8 }), fc.array(item), (items, others) => {
      withList<mp.ShareableValue>(items, (list) => {
        const now = items.map(expected)
        for (const [number, other] of others.entries()) {
          const index = number % items.length
          try {
            list.set(index, other)
            now[index] = expected(other)
          } catch (error) {
            if (!(error instanceof mp.ValueError && /exceeds/.test(error.message))) throw error
          }
          t.deepEqual([...list], now)
        }
      })
    }),
    { numRuns: 100 },
  )
})

test('bytes that are no list are refused, or read without harm', (t) => {
  const flip = fc.record({ at: fc.nat(), value: fc.integer({ min: 0, max: 255 }) })
  fc.assert(
    fc.property(
      fc.array(item, { maxLength: 6 }),
      fc.array(flip, { minLength: 1 }),
      (items, flips) => {
        withList<mp.ShareableValue>(items, (list) => {
          const bytes = list.shm.buf!
          for (const { at, value } of flips) bytes[at % bytes.length] = value
          try {
            const other = new mp.ShareableList<mp.ShareableValue>(null, { name: list.shm.name })
            try {
              for (let i = 0; i < Math.min(other.length, 10); i++) {
                other.get(i)
                other.set(i, 'x')
              }
            } finally {
              other.shm.close()
            }
          } catch (error) {
            if (!(error instanceof mp.ValueError)) throw error
          }
        })
      },
    ),
    { numRuns: 300 },
  )
  const short = new mp.SharedMemory({ create: true, size: 10 })
  t.throws(() => new mp.ShareableList(null, { name: short.name }), {
    instanceOf: mp.ValueError,
    message: /there is no ShareableList in/,
  })
  short.close()
  short.unlink()
})

test('a list of which everything is a lie about its length is refused', (t) => {
  for (const count of [-1n, 1n, 2n ** 62n, -(2n ** 63n)]) {
    const shm = new mp.SharedMemory({ create: true, size: 64 })
    shm.buf!.writeBigInt64LE(count)
    t.throws(() => new mp.ShareableList(null, { name: shm.name }), { instanceOf: mp.ValueError })
    shm.close()
    shm.unlink()
  }
})

test('numbers without a fraction are ints, unless they are said to be floats', (t) => {
  withList<mp.ShareableValue>([1, mp.float(1), 1n, -0, 2 ** 53, 1.5, Number.NaN], (list) => {
    t.is(list.format, 'qdqdddd')
    t.deepEqual([...list], [1, 1, 1, -0, 2 ** 53, 1.5, Number.NaN])
    t.is(list.index(1n), 0)
    t.is(list.count(1), 3)
    t.is(list.count(mp.float(1)), 3)
    list.set(0, mp.float(7))
    list.set(1, 7)
    t.is(list.format, 'dqqdddd')
  })
  t.throws(() => mp.float('1' as never), { instanceOf: TypeError })
})

test('what cannot be an item is refused, and the list stays as it is', (t) => {
  withList<mp.ShareableValue>([1, 'text'], (list) => {
    for (const wrong of [
      undefined,
      {},
      [],
      Symbol('s'),
      () => 1,
      new Date(),
      new Float64Array(1),
    ]) {
      t.throws(() => new mp.ShareableList([wrong as never]), { instanceOf: mp.KeyError })
      t.throws(() => list.set(0, wrong as never), { instanceOf: mp.KeyError })
    }
    for (const wrong of [2n ** 63n, -(2n ** 63n) - 1n, '\ud800', 'a\udc00b']) {
      t.throws(() => new mp.ShareableList([wrong]), { instanceOf: mp.ValueError })
      t.throws(() => list.set(1, wrong), { instanceOf: mp.ValueError })
    }
    t.throws(() => new mp.ShareableList(['x'.repeat(10_000_000)]), {
      instanceOf: mp.AssertionError,
    })
    t.throws(() => new mp.ShareableList(5 as never), { instanceOf: TypeError })
    for (const wrong of ['0', 0.5, Number.NaN, null, undefined, 0n]) {
      t.throws(() => list.get(wrong as never), { instanceOf: TypeError })
      t.throws(() => list.set(wrong as never, 1), { instanceOf: TypeError })
    }
    t.deepEqual([...list], [1, 'text'])
    t.is(list.format, 'q8s')
    t.deepEqual([list.at(-1), list.at(2), list.at(-3)], ['text', undefined, undefined])
  })
})

test('a list that is closed says so', (t) => {
  const list = new mp.ShareableList<mp.ShareableValue>([1, 'text', null])
  list.shm.unlink()
  list.shm.close()
  const closed = { instanceOf: mp.ValueError, message: 'the shared memory is closed' }
  t.throws(() => list.get(0), closed)
  t.throws(() => list.set(1, 'x'), closed)
  t.throws(() => [...list], closed)
  t.throws(() => list.format, closed)
  t.throws(() => list.count(1), closed)
  t.is(list.length, 3)
})
