/** Descriptors on their way, and classes that say how they travel. */
import { closeSync, fstatSync, openSync, readSync, writeSync } from 'node:fs'
import test from 'ava'
import * as mp from 'node-multiprocessing'
import {
  DupFd,
  recvHandle,
  recvHandleSync,
  register,
  sendHandle,
  sendHandleSync,
} from 'node-multiprocessing/reduction'
import { openDescriptorCount, within } from './fixtures/connection-patience.js'

test.serial('handles travel in both forms, and belong to whoever got them', async (t) => {
  const [a, b] = mp.Pipe()
  const fd = openSync('/dev/null', 'r+')
  await sendHandle(a, fd, process.pid)
  sendHandleSync(a, fd)
  const [one, two] = [await recvHandle(b), recvHandleSync(b)]
  t.not(one, fd)
  closeSync(fd)
  t.is(fstatSync(one).rdev, fstatSync(two).rdev)
  closeSync(one)
  closeSync(two)
  a.close()
  b.close()
})

test.serial('what is no handle is refused, and the connection stays as it is', async (t) => {
  const [a, b] = mp.Pipe()
  for (const wrong of ['3', 1.5, Number.NaN, null, undefined, {}, 3n]) {
    await t.throwsAsync(sendHandle(a, wrong as never), { instanceOf: TypeError })
    t.throws(() => sendHandleSync(a, wrong as never), { instanceOf: TypeError })
    t.throws(() => new DupFd(wrong as never), { instanceOf: TypeError })
  }
  for (const wrong of [-1, 2 ** 31 - 1, 2 ** 31, 2 ** 32 + 1]) {
    const bad = { instanceOf: mp.OSError, code: 'EBADF' }
    await t.throwsAsync(sendHandle(a, wrong), bad, String(wrong))
    t.throws(() => sendHandleSync(a, wrong), bad, String(wrong))
    t.throws(() => new DupFd(wrong), bad, String(wrong))
  }
  t.false(await b.poll())
  a.close()
  await t.throwsAsync(sendHandle(a, 1), { message: 'handle is closed' })
  t.throws(() => sendHandleSync(a, 1), { message: 'handle is closed' })
  await t.throwsAsync(recvHandle(a), { message: 'handle is closed' })
  t.throws(() => recvHandleSync(a), { message: 'handle is closed' })
  await t.throwsAsync(recvHandle(b), { instanceOf: mp.EOFError })
  t.throws(() => recvHandleSync(b), { instanceOf: mp.EOFError })
  b.close()
})

test.serial(
  'a byte without a handle is a RuntimeError, a timeout a TimeoutError, an abort its reason',
  async (t) => {
    const [a, b] = mp.Pipe()
    writeSync(a.fileno(), 'x')
    const nothing = { instanceOf: mp.RuntimeError, message: 'received 0 items of ancdata' }
    await t.throwsAsync(recvHandle(b), nothing)
    writeSync(a.fileno(), 'x')
    t.throws(() => recvHandleSync(b), nothing)
    await t.throwsAsync(within('a timeout', recvHandle(b, { timeout: 5 })), {
      instanceOf: mp.TimeoutError,
    })
    const controller = new AbortController()
    const waiting = recvHandle(b, { signal: controller.signal }).catch((error) => error)
    controller.abort('enough')
    t.is(await within('an abort', waiting), 'enough')
    a.close()
    b.close()
  },
)

test.serial('one-way ends refuse handles the other way', async (t) => {
  const [reader, writer] = mp.Pipe(false)
  t.throws(() => sendHandleSync(reader, 1), { instanceOf: mp.OSError })
  await t.throwsAsync(sendHandle(reader, 1), { instanceOf: mp.OSError })
  await t.throwsAsync(within('recvHandle', recvHandle(writer, { timeout: 1000 })), {
    instanceOf: mp.OSError,
  })
  reader.close()
  writer.close()
})

test.serial('a DupFd is detached once, and travels as a copy', async (t) => {
  const before = openDescriptorCount()
  const [a, b] = mp.Pipe()
  const fd = openSync('/dev/zero', 'r')
  const dup = new DupFd(fd)
  closeSync(fd)
  await a.send([dup, dup])
  const [one, two] = await b.recv<DupFd[]>()
  t.is(one, two)
  const taken = one!.detach()
  t.throws(() => one!.detach(), { instanceOf: mp.ValueError })
  t.throws(() => one!.fileno(), { instanceOf: mp.ValueError })
  t.is(readSync(taken, Buffer.alloc(1)), 1)
  closeSync(taken)
  closeSync(dup.detach())
  await t.throwsAsync(a.send(dup), { message: /detached/ })
  a.close()
  b.close()
  t.is(openDescriptorCount(), before)
})

test.serial('register checks its arguments, and its own errors come through', async (t) => {
  class Point {
    readonly #x: number
    constructor(x: number) {
      this.#x = x
    }
    get x(): number {
      return this.#x
    }
  }
  for (const wrong of [null, undefined, 5, 'x', {}]) {
    t.throws(
      () =>
        register(
          wrong as never,
          () => 1,
          () => new Point(1),
        ),
      { instanceOf: TypeError },
    )
    t.throws(() => register(Point, wrong as never, () => new Point(1)), { instanceOf: TypeError })
    t.throws(() => register(Point, () => 1, wrong as never), { instanceOf: TypeError })
  }
  const [a, b] = mp.Pipe()
  register(
    Point,
    (point) => point.x,
    (x: number) => new Point(x),
  )
  await a.send([new Point(5)])
  t.is((await b.recv<Point[]>())[0]!.x, 5)
  register(
    Point,
    () => {
      throw new RangeError('will not go')
    },
    () => new Point(0),
  )
  await t.throwsAsync(a.send(new Point(1)), { message: /will not go/ })
  register(
    Point,
    (point) => point.x,
    () => {
      throw new RangeError('will not come')
    },
  )
  await a.send(new Point(1))
  await t.throwsAsync(b.recv(), { message: /will not come/ })
  await a.send('next')
  t.is(await b.recv(), 'next')
  a.close()
  b.close()
})
