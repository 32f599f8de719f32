import { readFileSync } from 'node:fs'
import { inspect } from 'node:util'
import test, { type ExecutionContext } from 'ava'
import * as mp from 'node-multiprocessing'
import { ensureRunning } from 'node-multiprocessing/resource-tracker'
import { ShareableList } from 'node-multiprocessing/shared-memory'
import { nothingIsLeftBehind, row } from '../helpers/row.js'

// The tracker is there for the program's whole life.
test.serial.before(() => ensureRunning())

nothingIsLeftBehind()

/** A list that goes when the test ends. */
const kept = <L extends ShareableList>(t: ExecutionContext, list: L): L => {
  t.teardown(() => {
    list.shm.close()
    list.shm.unlink()
  })
  return list
}

const ITEMS = ['howdy', Buffer.from('HoWdY'), -273.154, 100, null, true, 42] as const

row('_TestSharedMemory.test_shared_memory_ShareableList_basics', (t) => {
  const sl = kept(t, new ShareableList<(typeof ITEMS)[number] | string | number>(ITEMS))
  for (const shown of [String(sl), inspect(sl)]) {
    t.true(shown.includes(sl.shm.name) && shown.includes(inspect([...sl])), shown)
  }
  t.throws(() => sl.get(7), { instanceOf: mp.IndexError, message: 'index out of range' })
  t.throws(() => sl.get(-8), { instanceOf: mp.IndexError })
  t.throws(() => sl.set(7, 2), {
    instanceOf: mp.IndexError,
    message: 'assignment index out of range',
  })
  sl.set(0, 'howdy')
  t.is(sl.format, '8s8sdqxxxxxx?xxxxxxxx?q')
  t.is(sl.length, 7)
  t.throws(() => sl.index('100'), { instanceOf: mp.ValueError })
  t.is(sl.index(100), 3)
  t.is(sl.get(0), 'howdy')
  t.is(sl.get(-2), true)
  t.deepEqual([...sl], [...ITEMS])

  sl.set(3, 42)
  t.is(sl.get(3), 42)
  sl.set(4, 'some')
  t.is(sl.get(4), 'some')
  t.is(sl.format, '8s8sdq8sxxxxxxx?q')
  const tooLong = { instanceOf: mp.ValueError, message: /exceeds available storage/ }
  t.throws(() => sl.set(4, 'far too many'), tooLong)
  t.is(sl.get(4), 'some')
  sl.set(0, 'encodés')
  t.is(sl.get(0), 'encodés')
  t.deepEqual(sl.get(1), Buffer.from('HoWdY'))
  t.throws(() => sl.set(0, 'encodées'), tooLong)
  t.deepEqual(sl.get(1), Buffer.from('HoWdY'))
  t.throws(() => sl.set(1, Buffer.from('123456789')), tooLong)
  t.deepEqual(sl.get(1), Buffer.from('HoWdY'))

  t.is(sl.count(42), 2)
  t.is(sl.count(Buffer.from('HoWdY')), 1)
  t.is(sl.count(Buffer.from('adios')), 0)

  const name = `test03_duplicate-${process.pid}`
  const copy = new ShareableList(sl, { name })
  t.not(copy.shm.name, sl.shm.name)
  t.is(copy.shm.name, name)
  t.deepEqual([...copy], [...sl])
  t.is(copy.format, sl.format)
  copy.set(-1, 77)
  t.is(copy.get(-1), 77)
  t.not(sl.get(-1), 77)
  copy.shm.close()
  copy.shm.unlink()

  const tethered = new ShareableList(null, { name: sl.shm.name })
  t.is(tethered.shm.name, sl.shm.name)
  tethered.set(-1, 880)
  t.is(sl.get(-1), 880)
  tethered.shm.close()
  sl.shm.close()

  const empty = kept(t, new ShareableList())
  t.is(empty.length, 0)
  t.is(empty.format, '')
  t.is(empty.count('any'), 0)
  t.throws(() => empty.index(null), { instanceOf: mp.ValueError })
})

row('the bytes are those of the reference', (t) => {
  const sl = kept(t, new ShareableList(ITEMS))
  const golden = readFileSync(
    new URL('../../../__test__/fixtures/conformance/shareable-list.hex', import.meta.url),
    'utf8',
  )
  t.is(sl.shm.buf!.toString('hex'), golden.trim())
})

const sentAndReceived = async <T>(value: T, between: () => void = () => {}): Promise<T> => {
  const [a, b] = mp.Pipe()
  try {
    await a.send(value)
    between()
    return await b.recv<T>()
  } finally {
    a.close()
    b.close()
  }
}

const range = (end: number): number[] => Array.from({ length: end }, (_, i) => i)

row('_TestSharedMemory.test_shared_memory_ShareableList_pickling', async (t) => {
  const sl = kept(t, new ShareableList<string | number>(range(10)))
  const other = await sentAndReceived(sl)
  t.true(other instanceof ShareableList)
  t.not(other, sl)
  t.is(other.get(-1), 9)
  other.set(4, 'changed')
  t.is(sl.get(4), 'changed')
  sl.set(3, 'newvalue')
  t.is(other.get(3), 'newvalue')
  other.shm.close()

  const larger = kept(t, new ShareableList(range(400)))
  const sizes: number[] = []
  for (const list of [sl, larger]) {
    const [a, b] = mp.Pipe()
    await a.send(list)
    sizes.push((await b.recvBytes()).length)
    a.close()
    b.close()
  }
  t.is(sizes[0], sizes[1], 'it is the name that travels')
})

row('_TestSharedMemory.test_shared_memory_ShareableList_pickling_dead_object', async (t) => {
  const sl = new ShareableList(range(10))
  const received = sentAndReceived(sl, () => {
    sl.shm.close()
    sl.shm.unlink()
  })
  await t.throwsAsync(received, { instanceOf: mp.FileNotFoundError, code: 'ENOENT' })
})
