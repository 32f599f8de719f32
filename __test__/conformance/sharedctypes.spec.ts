import type { ExecutionContext } from 'ava'
import * as mp from 'node-multiprocessing'
import { copy } from 'node-multiprocessing/sharedctypes'
import {
  codesAndValues,
  double,
  Foo,
  sumUp,
  writeValues,
} from '../fixtures/conformance/sharedctypes.js'
import { type GivenCalls, nothingIsLeftBehind, row, rowInBothForms } from '../helpers/row.js'

nothingIsLeftBehind()

/** A character reads as bytes. */
const plain = (value: unknown): unknown => (Buffer.isBuffer(value) ? value.toString() : value)

const testValue = async (t: ExecutionContext, { calls }: GivenCalls, raw: boolean) => {
  const values = codesAndValues.map(([code, first]) =>
    raw ? mp.RawValue(code, first as never) : new mp.Value(code, first as never),
  )
  const now = (): unknown[] => values.map(({ value }) => plain(value))
  t.deepEqual(
    now(),
    codesAndValues.map(([, first]) => first),
  )
  const process = new mp.Process({ target: writeValues, args: [values], daemon: true })
  process.start()
  await calls.join(process)
  t.is(process.exitcode, 0)
  t.deepEqual(
    now(),
    codesAndValues.map(([, , written]) => written),
  )
}

rowInBothForms('_TestValue.test_value', (t, given) => testValue(t, given, false))

rowInBothForms('_TestValue.test_rawvalue', (t, given) => testValue(t, given, true))

row('_TestValue.test_getobj_getlock', (t) => {
  const first = new mp.Value('i', 5)
  t.true(first.getLock() instanceof mp.RLock)
  t.is(first.getObj().value, 5)

  const second = new mp.Value('i', 5, { lock: null })
  t.true(second.getLock() instanceof mp.RLock)
  t.not(second.getLock(), first.getLock())
  t.is(second.getObj().value, 5)

  const lock = new mp.Lock()
  const third = new mp.Value('i', 5, { lock })
  t.is(third.getLock(), lock)
  t.is(third.getObj().value, 5)

  const fourth = new mp.Value('i', 5, { lock: false })
  t.false('getLock' in fourth)
  t.false('getObj' in fourth)

  const error = t.throws(() => new mp.Value('i', 5, { lock: 'navalue' as never }), {
    instanceOf: TypeError,
  })
  t.is(error?.message, `"navalue" has no method 'acquire'`)

  const fifth = mp.RawValue('i', 5)
  t.false('getLock' in fifth)
  t.false('getObj' in fifth)
})

const testArray = async (t: ExecutionContext, { calls }: GivenCalls, raw: boolean) => {
  const list = [680, 626, 934, 821, 150, 233, 548, 982, 714, 831]
  const array = raw ? mp.RawArray('i', list) : new mp.Array('i', list)
  t.is(array.length, list.length)
  t.is(array[3], list[3])
  t.deepEqual(array.slice(2, 7), list.slice(2, 7))

  const replaced = Int32Array.of(1, 2, 3, 4)
  array.set(replaced, 4)
  list.splice(4, 4, ...replaced)
  t.deepEqual(array.slice(), list)

  sumUp(list)
  const process = new mp.Process({ target: sumUp, args: [array], daemon: true })
  process.start()
  await calls.join(process)
  t.is(process.exitcode, 0)
  t.deepEqual(array.slice(), list)
  t.deepEqual([...array], list)
}

rowInBothForms('_TestArray.test_array', (t, given) => testArray(t, given, false))

rowInBothForms('_TestArray.test_rawarray', (t, given) => testArray(t, given, true))

row('_TestArray.test_array_from_size', (t) => {
  const size = 10
  // More than once: memory that was used before is more likely to come back then.
  for (let i = 0; i < 3; i++) {
    let array: mp.SynchronizedArray<mp.c_int> | null = new mp.Array('i', size)
    t.is(array.length, size)
    t.deepEqual([...array], Array(size).fill(0))
    array.set([...Array(size).keys()])
    t.deepEqual([...array], [...Array(size).keys()])
    array = null
    globalThis.gc?.()
  }
})

row('_TestArray.test_getobj_getlock_obj', (t) => {
  const list = [...Array(10).keys()]
  const first = new mp.Array('i', list)
  t.true(first.getLock() instanceof mp.RLock)
  t.deepEqual(first.getObj().slice(), list)

  const second = new mp.Array('i', list, { lock: null })
  t.true(second.getLock() instanceof mp.RLock)
  t.deepEqual(second.getObj().slice(), list)

  const lock = new mp.Lock()
  const third = new mp.Array('i', list, { lock })
  t.is(third.getLock(), lock)
  t.deepEqual(third.getObj().slice(), list)

  const fourth = new mp.Array('i', list, { lock: false })
  t.false('getLock' in fourth)
  t.false('getObj' in fourth)
  t.throws(() => new mp.Array('i', list, { lock: 'notalock' as never }), { instanceOf: TypeError })

  const fifth = mp.RawArray('i', list)
  t.false('getLock' in fifth)
  t.false('getObj' in fifth)
})

const testSharedCTypes = async (t: ExecutionContext, { calls }: GivenCalls, lock: boolean) => {
  const options = { lock }
  const x = new mp.Value('i', 7, options)
  const y = new mp.Value(mp.c_double, 1 / 3, options)
  const z = new mp.Value(mp.c_longlong, 2n ** 33n, options)
  const foo = new mp.Value(Foo, 3, 2, options)
  const array = new mp.Array('d', Array(10).keys(), options)
  const string = new mp.Array('c', 20, options)
  string.value = 'hello'

  const process = new mp.Process({
    target: double,
    args: [x, y, z, foo, array, string],
    daemon: true,
  })
  process.start()
  await calls.join(process)
  t.is(process.exitcode, 0)

  t.is(x.value, 14)
  t.is(y.value, 2 / 3)
  t.is(z.value, 2n ** 34n)
  t.is(foo.x, 6)
  t.is(foo.y, 4)
  t.deepEqual(
    array.slice(),
    Array.from({ length: 10 }, (_, i) => 2 * i),
  )
  t.is(string.value.toString(), 'hellohello')
}

rowInBothForms('_TestSharedCTypes.test_sharedctypes', (t, given) =>
  testSharedCTypes(t, given, false),
)

rowInBothForms('_TestSharedCTypes.test_synchronize', (t, given) => testSharedCTypes(t, given, true))

row('_TestSharedCTypes.test_copy', (t) => {
  const foo = new Foo(2, 5, 2n ** 33n)
  const bar = copy(foo)
  foo.x = 0
  foo.y = 0
  foo.z = 0n
  t.is(bar.x, 2)
  t.is(bar.y, 5)
  t.is(bar.z, 2n ** 33n)
})
