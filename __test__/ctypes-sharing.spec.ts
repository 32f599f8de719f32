import test from 'ava'
import * as mp from 'node-multiprocessing'
import type { Connection } from 'node-multiprocessing/connection'
import { bytesOf } from 'node-multiprocessing/ctypes'
import { copy, synchronized } from 'node-multiprocessing/sharedctypes'
import { decode, encode, HEADROOM } from '#codec'
import { addOnes, addUnderLock, echo, movePerRequest, Particle } from './fixtures/ctypes.js'
import { underWatchdog } from './helpers/watchdog.js'

/** Runs with a connection to another process, and ends it. */
const withProcess = async (
  target: (connection: Connection) => Promise<void>,
  use: (connection: Connection) => Promise<void>,
): Promise<void> => {
  const [ours, theirs] = mp.Pipe()
  const process = new mp.Process({ target, args: [theirs], daemon: true })
  process.start()
  theirs.close()
  await underWatchdog(async () => {
    await use(ours)
    await ours.send(null)
    await process.join()
  })
  ours.close()
}

test.serial('a structure that was sent is the same memory on the other side', async (t) => {
  const particle = mp.RawValue(Particle, { charge: -3, name: 'first' })
  await withProcess(movePerRequest, async (connection) => {
    await connection.send(particle)
    t.deepEqual(await connection.recv(), [true, 5])
  })
  t.is(particle.distance, 5)
  t.is(particle.name.toString(), 'moved')
  t.is(particle.charge, -3)
})

test.serial('one of several in an array is sent as the part of it', async (t) => {
  const particles = mp.RawArray(Particle, 3)
  await withProcess(movePerRequest, async (connection) => {
    await connection.send(particles[1])
    t.deepEqual(await connection.recv(), [true, 5])
  })
  t.deepEqual(
    [...particles].map(({ distance }) => distance),
    [0, 5, 0],
  )
})

test.serial('what is not in shared memory is copied', async (t) => {
  const particle = new Particle({ charge: 7 })
  await withProcess(movePerRequest, async (connection) => {
    await connection.send(particle)
    t.deepEqual(await connection.recv(), [true, 5])
  })
  t.is(particle.distance, 0)
})

test.serial('objects of all types travel there and back', async (t) => {
  class Local extends mp.Structure.of({ a: mp.c_byte, b: mp.bits(mp.c_uint, 3) }, { pack: 1 }) {
    sum(): number {
      return this.a + this.b
    }
  }
  const Unnamed = mp.Union.of({ whole: mp.c_uint, bytes: mp.arrayOf(mp.c_ubyte, 4) })
  class Big extends mp.BigEndianStructure.of({ a: mp.c_int, list: mp.arrayOf(mp.c_short, 2) }) {}
  await withProcess(echo, async (connection) => {
    const there = async <T>(value: T): Promise<T> => {
      await connection.send(value)
      return connection.recv<T>()
    }
    t.is((await there(mp.RawValue('q', 5n))).value, 5n)
    t.is((await there(new mp.c_bool(true))).value, true)
    t.deepEqual((await there(mp.RawArray('u', 'né'))).value, 'né')
    t.deepEqual((await there(mp.RawArray(mp.arrayOf(mp.c_int, 2), [[1, 2]])))[0]!.slice(), [1, 2])

    const local = mp.RawValue(Local, 5, 6)
    const back = await there(local)
    t.true(back instanceof Local)
    t.is(back.sum(), 11)
    back.a = 7
    t.is(local.a, 7)

    const union = await there(mp.RawValue(Unnamed, 0x0102_0304))
    t.deepEqual([...union.bytes], [4, 3, 2, 1])
    const again = await there(mp.RawValue(Unnamed, 1))
    t.is(again.constructor, union.constructor, 'one declaration is one class')

    const big = await there(mp.RawValue(Big, 1, [2, 3]))
    t.is(Buffer.from(bytesOf(big)).toString('hex'), '0000000100020003')
    t.deepEqual([...(await there(mp.RawValue(Big, 1, [2, 3]).list))], [2, 3])

    const value = new mp.Value('i', 5)
    const [one, two] = await there([value, value.getObj()])
    t.is(one, one)
    one.value = 6
    t.is(two.value, 6)
    t.is(value.value, 6)
    const locked = await there(new mp.Value(Local, 1, 2))
    t.is(locked.a, 1)
  })
})

for (const [code, zero, one] of [
  ['i', 1, 1],
  ['q', 1n, 1n],
  ['f', 1, 1],
  ['d', 1, 1],
] as const) {
  test.serial(`adding to '${code}' from two processes loses nothing`, async (t) => {
    const times = 200_000
    const total = new mp.Value(code, 0 as never)
    const process = new mp.Process({ target: addOnes, args: [total, times, one], daemon: true })
    process.start()
    await underWatchdog(async () => {
      total.store(zero as never)
      for (let i = 0; i < times; i++) total.add(one as never)
      await process.join()
    })
    t.is(process.exitcode, 0)
    t.is(Number(total.value), 2 * times + 1)
  })
}

test.serial('reading and writing under the lock of a value loses nothing', async (t) => {
  const times = 5_000
  const value = new mp.Value('i', 0)
  const processes = [1, 2].map(
    () => new mp.Process({ target: addUnderLock, args: [value, times], daemon: true }),
  )
  for (const process of processes) process.start()
  await underWatchdog(async () => {
    for (const process of processes) await process.join()
  })
  t.is(value.value, 2 * times)
})

test('atomic operations return what was there', (t) => {
  const value = new mp.Value('i', 0b1100)
  t.is(value.add(2), 0b1100)
  t.is(value.sub(2), 0b1110)
  t.is(value.and(0b0110), 0b1100)
  t.is(value.or(0b0011), 0b0100)
  t.is(value.xor(0b0101), 0b0111)
  t.is(value.exchange(5), 0b0010)
  t.is(value.compareExchange(4, 6), 5)
  t.is(value.compareExchange(5, 6), 5)
  t.is(value.load(), 6)
  value.store(2 ** 31)
  t.is(value.load(), -(2 ** 31), 'upper bits are lost')
  t.is(value.sub(1), -(2 ** 31))
  t.is(value.value, 2 ** 31 - 1)

  const float = mp.RawValue('d', 1.5)
  t.is(float.add(2), 1.5)
  t.is(float.sub(0.25), 3.5)
  t.is(float.exchange(Number.NaN), 3.25)
  t.is(float.compareExchange(Number.NaN, -0), Number.NaN)
  t.is(float.compareExchange(0, 1), -0)
  t.is(float.load(), -0)
  const single = mp.RawValue('f', 0.1)
  t.is(single.add(0.2), Math.fround(0.1))
  t.is(single.load(), Math.fround(Math.fround(0.1) + 0.2))

  const bool = mp.RawValue(mp.c_bool)
  t.is(bool.exchange(true), false)
  t.is(bool.compareExchange(true, false), true)
  t.is(bool.load(), false)
  for (const refused of [
    () => value.add(1.5),
    () => value.add('1' as never),
    () => float.add('1' as never),
  ])
    t.throws(refused, { instanceOf: TypeError })
  t.throws(() => (new mp.Value('c', 'x') as any).add(1), { instanceOf: TypeError })
  t.throws(() => (new mp.Value('d', 1) as any).or(1), { instanceOf: TypeError })
})

test('a lock may be given, shared, or left out', (t) => {
  const lock = new mp.Lock()
  const one = new mp.Value('i', 1, { lock })
  const two = new mp.Array('i', 1, { lock })
  t.is(one.getLock(), lock)
  t.is(two.getLock(), lock)
  t.true(lock.acquireSync())
  t.is(one.getObj().value, 1, 'the object takes no lock')
  lock.release()
  t.false('getLock' in new mp.Value('i', 1, { lock: false }))
  t.false('getLock' in new mp.Value(Particle, { lock: false }))
  t.is(synchronized(mp.RawValue('i'), lock).getLock(), lock)
  t.throws(() => synchronized(one as never), { instanceOf: mp.AssertionError })
  t.throws(() => synchronized(5 as never), { instanceOf: TypeError })
  t.throws(() => new mp.Value('i', 1, { lock: {} as never }), { instanceOf: TypeError })
})

test('each use holds the lock', (t) => {
  const held: string[] = []
  let depth = 0
  const lock: mp.AnyLock = {
    acquireSync: () => {
      depth++
      held.push('acquire')
      return true
    },
    release: () => {
      depth--
    },
    acquire: async () => true,
    hold: async () => lock.holdSync(),
    holdSync: () => ({ release() {}, [Symbol.dispose]() {} }),
    runExclusive: async <R>(run: () => R | Promise<R>) => run(),
  }
  const count = (use: () => unknown): number => {
    held.length = 0
    use()
    t.is(depth, 0)
    return held.length
  }
  const value = new mp.Value('i', 1, { lock })
  const array = new mp.Array('i', [1, 2, 3], { lock })
  const text = new mp.Array('c', 'abc', { lock })
  const particle = new mp.Value(Particle, { charge: 2 }, { lock })
  t.is(
    count(() => value.value),
    1,
  )
  t.is(
    count(() => value.value++),
    2,
  )
  t.is(
    count(() => value.add(1)),
    0,
  )
  t.is(
    count(() => value.getObj().value),
    0,
  )
  t.is(
    count(() => array[1]),
    1,
  )
  t.is(
    count(() => (array[1] = 2)),
    1,
  )
  t.is(
    count(() => array.slice()),
    1,
  )
  t.is(
    count(() => array.set([1, 2])),
    1,
  )
  t.is(
    count(() => array.fill(1)),
    1,
  )
  t.is(
    count(() => [...array]),
    3,
  )
  t.is(
    count(() => array.length),
    0,
  )
  t.is(
    count(() => text.value),
    1,
  )
  t.is(
    count(() => (text.raw = 'xyz')),
    1,
  )
  t.is(
    count(() => particle.charge),
    1,
  )
  t.is(
    count(() => t.throws(() => array[9])),
    1,
    'it is released after an error too',
  )
})

test('a copy has memory of its own', (t) => {
  const array = mp.RawArray(Particle, 2)
  array[1]!.charge = 3
  const copied = copy(array)
  array[1]!.charge = 4
  t.is(copied[1]!.charge, 3)
  t.is(copied.length, 2)
  t.throws(() => copy(5 as never), { instanceOf: TypeError })
})

/** What is rebuilt of a message in which one text stands in the place of another. */
const rebuilt = (value: unknown, text = '', replacement = '', trusted = true): unknown => {
  const { bytes, end } = encode(value)
  const message = Buffer.from(bytes.subarray(HEADROOM, end))
  const at = message.indexOf(text)
  if (at < 0) throw new Error(`${text} is not in the message`)
  message.write(replacement, at)
  return decode(message, 0, message.length, { trusted, buffers: null, handles: null })
}

test('what comes in is checked', (t) => {
  const four = new (mp.arrayOf(mp.c_byte, 4))([1, 2, 3, 4])
  t.deepEqual((rebuilt(four) as typeof four).slice(), [1, 2, 3, 4])
  const refused = (replacement: string): void => {
    t.throws(() => rebuilt(four, 'c_byte', replacement), { instanceOf: mp.UnpicklingError })
  }
  refused('c_long')
  refused('c_what')
  refused('Struct')
  t.throws(() => rebuilt(four, 'array', 'arroy'), { instanceOf: mp.UnpicklingError })
  t.throws(() => rebuilt(four, '', '', false), { instanceOf: mp.UnpicklingError })
})
