/** Objects to and from CPython: over connections that speak pickle, and values of all kinds. */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { isDeepStrictEqual } from 'node:util'
import test from 'ava'
import fc from 'fast-check'
import * as mp from 'node-multiprocessing'
import { Client, type Connection, Listener, wait } from 'node-multiprocessing/connection'
import { described } from '../helpers/described.js'
import { pythonValue } from '../helpers/python-values.js'
import { beside, pythons, withNumpy } from '../helpers/pythons.js'
import { underWatchdog } from '../helpers/watchdog.js'

const { pickle } = mp
const authkey = Buffer.from('secret')

const connecting = `
import sys
from multiprocessing.connection import Client
c = Client(('127.0.0.1', int(sys.argv[1])), authkey=b'secret')
`

const portOf = (listener: Listener): string => String((listener.address as [string, number])[1])

const onTcp = (): Listener => new Listener(['127.0.0.1', 0], { authkey, serializer: 'pickle' })

/** Python says what it has got, and sends it back. */
const echoing = `${connecting}
import json, pickle
from recorders import describe
while True:
    data = c.recv_bytes()
    if not data:
        break
    value = pickle.loads(data)
    c.send_bytes(json.dumps(describe(value)).encode())
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        c.send_bytes(pickle.dumps(value, protocol))
`

/** Sets have no order, and their members may be told apart in another order there. */
const ordered = (value: unknown): unknown => {
  if (!Array.isArray(value)) return value
  const items = value.map(ordered)
  if (items[0] !== 'set' && items[0] !== 'frozenset') return items
  return [items[0], (items[1] as unknown[]).map((member) => JSON.stringify(member)).sort()]
}

/** The numbers of objects depend on what Python takes for one; that they are the same is kept. */
const lossless = (data: Uint8Array): unknown =>
  ordered(described(pickle.loads(data, { lossless: true })))

const echoed = async (connection: Connection, value: unknown): Promise<unknown[]> => {
  const sent = pickle.dumps(value)
  await connection.sendBytes(sent)
  const told = ordered(JSON.parse((await connection.recvBytes()).toString()))
  const back: unknown[] = [told]
  for (let protocol = 0; protocol <= 5; protocol++) {
    back.push(lossless(await connection.recvBytes()))
  }
  return back
}

test('there is a Python to talk to', (t) => {
  if (pythons.size === 0) t.log('there is none: the other tests of this file are not there')
  t.pass()
})

for (const [version, plain] of pythons) {
  test.serial(`Python ${version} has what was written, and it comes back`, (t) =>
    underWatchdog(async () => {
      const numpy = await withNumpy(t, version)
      using listener = onTcp()
      await beside(t, numpy ?? plain, echoing, [portOf(listener)], async () => {
        using connection = await listener.accept()
        const property = fc.asyncProperty(pythonValue(numpy !== undefined), async (value) => {
          const [told, ...back] = await echoed(connection, value)
          const own = lossless(pickle.dumps(value))
          t.deepEqual(told, own)
          for (const again of back) t.deepEqual(again, own)
        })
        await fc.assert(property, { numRuns: 150 })
        await connection.sendBytes(new Uint8Array(0))
      })
    }),
  )

  test.serial(`Python ${version} connects, and objects go both ways`, (t) =>
    underWatchdog(async () => {
      using listener = onTcp()
      const script = `${connecting}
assert c.recv() == {'numbers': [1, 2.5, 2**70], 'text': 'naïve', 'nothing': None}
c.send({'tuple': (1, 2), 'set': {1}, 'bytes': b'x', 'big': 2**70, 5: 'five'})
error = c.recv()
assert type(error) is KeyError and error.args == ('missing',), error
c.send(ZeroDivisionError('division by zero'))
big = c.recv()
assert len(big) == 100_000 and big[-1] == {'id': 99_999}
c.send(big)
c.close()
`
      await beside(t, plain, script, [portOf(listener)], async () => {
        using connection = await listener.accept()
        t.is(connection.serializer, 'pickle')
        await connection.send({ numbers: [1, 2.5, 2n ** 70n], text: 'naïve', nothing: null })
        t.deepEqual(
          await connection.recv(),
          new Map<unknown, unknown>([
            ['tuple', [1, 2]],
            ['set', new Set([1])],
            ['bytes', Buffer.from('x')],
            ['big', 2n ** 70n],
            [5, 'five'],
          ]),
        )
        const missing = new mp.KeyError('missing')
        await connection.send(missing)
        const error = await connection.recv()
        t.true(error instanceof pickle.PythonError)
        t.is(error.name, 'ZeroDivisionError')
        t.is(error.message, 'division by zero')
        const big = Array.from({ length: 100_000 }, (_, id) => ({ id }))
        await connection.send(big)
        t.true(isDeepStrictEqual(await connection.recv(), big))
        await t.throwsAsync(connection.recv(), { instanceOf: mp.EOFError })
      })
    }),
  )

  test.serial(`Python ${version} listens, and the forms that block`, (t) =>
    underWatchdog(async () => {
      const script = `
from multiprocessing.connection import Listener
with Listener(authkey=b'secret') as l:
    print(l.address, flush=True)
    with l.accept() as c:
        while True:
            try:
                c.send(('got', c.recv()))
            except EOFError:
                break
`
      await beside(t, plain, script, [], async (line) => {
        using connection = await Client(await line, { authkey, serializer: 'pickle' })
        for (const value of [1, 'two', [3], { four: 4 }, 'x'.repeat(1_000_000)]) {
          connection.sendSync(value)
          t.true(connection.pollSync(10_000))
          t.deepEqual(connection.recvSync(), ['got', value])
        }
        await connection.send(new Date(0))
        t.deepEqual(await wait([connection], { timeout: 10_000 }), [connection])
        t.deepEqual(await connection.recv(), ['got', new Date(0)])
      })
    }),
  )

  test.serial(`Python ${version} and arrays of numpy's`, (t) =>
    underWatchdog(async () => {
      const python = await withNumpy(t, version)
      if (python === undefined) {
        t.pass()
        return
      }
      using listener = onTcp()
      const script = `${connecting}
import numpy
a = c.recv()
assert a.dtype == numpy.float64 and a.shape == (2, 3) and a.flags.c_contiguous, a
assert a.tolist() == [[0, 1, 2], [3, 4, 5]]
c.send(a.T)
f = c.recv()
assert f.dtype == numpy.int16 and f.shape == (2, 2) and f.tolist() == [[1, 3], [2, 4]], f
assert f.flags.f_contiguous
c.send([a.sum(), numpy.int64(2), numpy.bool_(True)])
big = c.recv()
assert big.dtype == numpy.float32 and big.shape == (4_000_000,)
c.send(big * 2)
import pickle
for protocol in range(2, 6):
    c.send_bytes(pickle.dumps(numpy.arange(4, dtype='>u4').reshape(2, 2), protocol))
c.send(numpy.array([1, 'x', None], dtype=object))
assert c.recv().tolist() == [1, 'x', None]
c.send(numpy.array(['2024-01-01'], 'M8[D]'))
assert str(c.recv()[0]) == '2024-01-01'
`
      await beside(t, python, script, [portOf(listener)], async () => {
        using connection = await listener.accept()
        const { ndarray } = pickle
        const numbers = Float64Array.of(0, 1, 2, 3, 4, 5)
        await connection.send(ndarray(numbers, { shape: [2, 3] }))
        const turned = await connection.recv()
        t.true(turned instanceof Float64Array)
        t.deepEqual([...turned.shape], [3, 2])
        t.is(turned.order, 'F')
        t.deepEqual([...turned], [...numbers])
        await connection.send(ndarray(Int16Array.of(1, 2, 3, 4), { shape: [2, 2], order: 'F' }))
        t.deepEqual(await connection.recv(), [15, 2, true])
        const big = Float32Array.from({ length: 4_000_000 }, (_, i) => i % 1000)
        await connection.send(big)
        const doubled = await connection.recv<Float32Array>()
        t.is(doubled.length, big.length)
        t.true(doubled.every((value, index) => value === 2 * big[index]!))
        for (let protocol = 2; protocol <= 5; protocol++) {
          const swapped = pickle.loads(await connection.recvBytes())
          t.true(swapped instanceof Uint32Array)
          t.deepEqual([...swapped], [0, 1, 2, 3])
          t.is(swapped.dtype, '<u4')
        }
        // What has no typed array is a record, and goes back as it came.
        for (let i = 0; i < 2; i++) {
          const record = pickle.loads(await connection.recvBytes(), { lossless: true })
          t.true(record instanceof pickle.PythonObject)
          await connection.send(record)
        }
      })
    }),
  )

  test.serial(`Python ${version}, killed in the middle of a pickle, is an error and no more`, (t) =>
    underWatchdog(async () => {
      using listener = onTcp()
      const script = `${connecting}
import os, pickle, struct
data = pickle.dumps(list(range(100_000)))
os.write(c.fileno(), struct.pack('!i', len(data)) + data[:5000])
os.kill(os.getpid(), 9)
`
      const child = spawn(plain, ['-c', script, portOf(listener)], { stdio: 'inherit' })
      t.teardown(() => child.kill('SIGKILL'))
      using connection = await listener.accept()
      await t.throwsAsync(connection.recv(), {
        instanceOf: mp.OSError,
        message: 'got end of file during message',
      })
    }),
  )

  test.serial(`Python ${version} cannot make anything run`, (t) =>
    underWatchdog(async () => {
      using listener = onTcp()
      const sign = `/tmp/node-multiprocessing-${process.pid}-${version}`
      const script = `${connecting}
import os, pickle
class Evil:
    def __reduce__(self):
        return (os.system, ('touch ' + sys.argv[2],))
c.send([Evil()])
c.send_bytes(b"cos\\nsystem\\n(S'touch " + sys.argv[2].encode() + b"'\\ntR.")
c.send_bytes(b"cbuiltins\\neval\\n(S'1'\\ntR.")
c.send_bytes(b'not a pickle')
c.send('still here')
`
      await beside(t, plain, script, [portOf(listener), sign], async () => {
        using connection = await listener.accept()
        const [evil] = await connection.recv()
        t.true(evil instanceof pickle.PythonObject)
        t.regex(String(evil.callable), /^(posix|os)\.system$/)
        t.is(String((await connection.recv()).callable), 'os.system')
        t.is(String((await connection.recv()).callable), 'builtins.eval')
        await t.throwsAsync(connection.recv(), { instanceOf: mp.UnpicklingError })
        t.is(await connection.recv(), 'still here')
        t.false(existsSync(sign))
      })
    }),
  )

  test.serial(`Python ${version} sends what was registered`, (t) =>
    underWatchdog(async () => {
      class Ratio {
        constructor(
          readonly top: number,
          readonly bottom: number,
        ) {}
      }
      pickle.registerGlobal<Ratio>('fractions', 'Fraction', {
        type: Ratio,
        load: ([top, bottom]) => new Ratio(top, bottom),
        dump: ({ top, bottom }) => [top, bottom],
      })
      using listener = onTcp()
      const script = `${connecting}
from fractions import Fraction
c.send([Fraction(1, 3)])
assert c.recv() == Fraction(2, 3)
`
      await beside(t, plain, script, [portOf(listener)], async () => {
        using connection = await listener.accept()
        const [third] = await connection.recv()
        t.deepEqual(third, new Ratio(1, 3))
        await connection.send(new Ratio(2, 3))
      })
    }),
  )
}
