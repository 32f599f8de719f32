import { closeSync, openSync, readFileSync } from 'node:fs'
import { join as joinPath } from 'node:path'
import type { ExecutionContext } from 'ava'
import * as mp from 'node-multiprocessing'
import { Connection } from 'node-multiprocessing/connection'
import * as child from '../fixtures/conformance/connection.js'
import { openHigh } from '../fixtures/conformance/descriptors.js'
import {
  type GivenCalls,
  nothingIsLeftBehind,
  rowInBothForms,
  rowWithThreadsInBothForms,
} from '../helpers/row.js'
import { temporaryFolder } from '../helpers/temporary-folder.js'

/** What tells the echoing child to end. */
const sentinel = Buffer.alloc(0)

nothingIsLeftBehind()

rowWithThreadsInBothForms('_TestConnection.test_connection', async (t, { calls, api }) => {
  const [connection, childConnection] = api.Pipe()
  const p = new api.Process({ target: child.echo, args: [childConnection, calls.form] })
  p.daemon = true
  p.start()

  const sequence = [1, 2.25, null]
  const message = Buffer.from('hello world')
  const longMessage = Buffer.from('hello world'.repeat(10))
  const numbers = Int32Array.of(0, 1, 2, 3)

  t.is(typeof connection.fileno(), 'number')

  t.is(await calls.send(connection, sequence), undefined)
  t.deepEqual(await calls.recv(connection), sequence)

  t.is(await calls.sendBytes(connection, message), undefined)
  t.deepEqual(await calls.recvBytes(connection), message)

  const fromStart = new Int32Array(10)
  await calls.sendBytes(connection, numbers)
  t.is(await calls.recvBytesInto(connection, fromStart), numbers.byteLength)
  t.deepEqual(fromStart, Int32Array.of(0, 1, 2, 3, 0, 0, 0, 0, 0, 0))

  const fromThree = new Int32Array(10)
  await calls.sendBytes(connection, numbers)
  const offset = 3 * Int32Array.BYTES_PER_ELEMENT
  t.is(await calls.recvBytesInto(connection, fromThree, offset), numbers.byteLength)
  t.deepEqual(fromThree, Int32Array.of(0, 0, 0, 0, 1, 2, 3, 0, 0, 0))

  await calls.sendBytes(connection, longMessage)
  const tooShort = await t.throwsAsync(calls.recvBytesInto(connection, Buffer.alloc(40, ' ')), {
    instanceOf: mp.BufferTooShort,
  })
  t.deepEqual(Buffer.from(tooShort.data), longMessage)

  t.false(await calls.poll(connection))
  t.false(await calls.poll(connection, -1))
  const start = performance.now()
  t.false(await calls.poll(connection, 80))
  const rounding = 2
  t.true(performance.now() - start >= 80 - rounding, 'poll waits for its whole timeout')

  await calls.send(connection, null)
  t.true(await calls.poll(connection, null))
  t.true(await calls.poll(connection, 80))
  t.is(await calls.recv(connection), null)

  const reallyBig = Buffer.alloc(16 * 1024 * 1024, 'X')
  await calls.sendBytes(connection, reallyBig)
  t.true(reallyBig.equals(await calls.recvBytes(connection)))

  await calls.sendBytes(connection, sentinel)
  childConnection.close()
  t.true(connection.readable)
  t.true(connection.writable)
  await t.throwsAsync(calls.recv(connection), { instanceOf: mp.EOFError })
  await t.throwsAsync(calls.recvBytes(connection), { instanceOf: mp.EOFError })
  await calls.join(p)
  t.is(p.exitcode, 0)
  connection.close()
})

rowWithThreadsInBothForms('_TestConnection.test_duplex_false', async (t, { calls, api }) => {
  for (const form of [false, { duplex: false }]) {
    const [reader, writer] = api.Pipe(form)
    t.is(await calls.send(writer, 1), undefined)
    t.is(await calls.recv(reader), 1)
    t.true(reader.readable)
    t.false(reader.writable)
    t.false(writer.readable)
    t.true(writer.writable)
    await t.throwsAsync(calls.send(reader, 2), { instanceOf: mp.OSError })
    await t.throwsAsync(calls.recv(writer), { instanceOf: mp.OSError })
    await t.throwsAsync(calls.poll(writer), { instanceOf: mp.OSError })
    reader.close()
    writer.close()
  }
})

rowWithThreadsInBothForms('_TestConnection.test_spawn_close', async (t, { calls, api }) => {
  const [connection, childConnection] = api.Pipe()
  const p = new api.Process({ target: child.echo, args: [childConnection, calls.form] })
  p.daemon = true
  p.start()
  childConnection.close()

  const message = Buffer.from('hello')
  await calls.sendBytes(connection, message)
  t.deepEqual(await calls.recvBytes(connection), message)
  await calls.sendBytes(connection, sentinel)
  connection.close()
  await calls.join(p)
  t.is(p.exitcode, 0)
})

rowInBothForms('_TestConnection.test_sendbytes', async (t, { calls }) => {
  const message = Buffer.from('abcdefghijklmnopqrstuvwxyz')
  const [a, b] = mp.Pipe()

  await calls.sendBytes(a, message)
  t.deepEqual(await calls.recvBytes(b), message)
  await calls.sendBytes(a, message, { offset: 5 })
  t.deepEqual(await calls.recvBytes(b), message.subarray(5))
  await calls.sendBytes(a, message, { offset: 7, size: 8 })
  t.deepEqual(await calls.recvBytes(b), message.subarray(7, 15))
  await calls.sendBytes(a, message, { offset: 26 })
  t.deepEqual(await calls.recvBytes(b), Buffer.alloc(0))
  await calls.sendBytes(a, message, { offset: 26, size: 0 })
  t.deepEqual(await calls.recvBytes(b), Buffer.alloc(0))

  const outOfRange = [
    { offset: 27 },
    { offset: 22, size: 5 },
    { offset: 26, size: 1 },
    { offset: -1 },
    { offset: 4, size: -1 },
  ]
  for (const slice of outOfRange) {
    const named = JSON.stringify(slice)
    await t.throwsAsync(calls.sendBytes(a, message, slice), { instanceOf: mp.ValueError }, named)
  }
  t.false(await calls.poll(b), 'nothing was sent of what was refused')
  a.close()
  b.close()
})

/** Gives a descriptor of a new file to a child, which writes to it, and returns the file's text. */
const writtenByChild = async (
  t: ExecutionContext,
  { calls }: GivenCalls,
  target: typeof child.writeToReceivedHandle,
  text: string,
  open: (path: string) => number,
): Promise<string> => {
  const path = joinPath(temporaryFolder(t), 'file')
  const [connection, childConnection] = mp.Pipe({ duplex: true })
  const p = new mp.Process({ target, args: [childConnection, text, calls.form], daemon: true })
  p.start()
  childConnection.close()
  const descriptor = open(path)
  try {
    await calls.sendHandle(connection, descriptor, p.pid ?? 0)
  } finally {
    closeSync(descriptor)
  }
  await calls.join(p)
  t.is(p.exitcode, 0)
  connection.close()
  return readFileSync(path, 'utf8')
}

rowInBothForms('_TestConnection.test_fd_transfer', async (t, given) => {
  const open = (path: string): number => openSync(path, 'w')
  const written = await writtenByChild(t, given, child.writeToReceivedHandle, 'foo', open)
  t.is(written, 'foo')
})

rowInBothForms('_TestConnection.test_large_fd_transfer', async (t, given) => {
  const open = (path: string): number => {
    const descriptor = openHigh(path, 256)
    t.true(descriptor >= 256)
    return descriptor
  }
  const written = await writtenByChild(t, given, child.writeToReceivedHighHandle, 'bar', open)
  t.is(written, 'bar')
})

rowInBothForms('_TestConnection.test_missing_fd_transfer', async (t, { calls }) => {
  const [connection, childConnection] = mp.Pipe({ duplex: true })
  const p = new mp.Process({ target: child.sendByteWithoutHandle, args: [childConnection] })
  p.daemon = true
  p.start()
  childConnection.close()
  await t.throwsAsync(calls.recvHandle(connection), { instanceOf: mp.RuntimeError })
  await calls.join(p)
  t.is(p.exitcode, 0)
  connection.close()
})

rowWithThreadsInBothForms('_TestConnection.test_context', async (t, { calls, api }) => {
  const [a, b] = api.Pipe()
  {
    using first = a
    using second = b
    await calls.send(first, 1729)
    t.is(await calls.recv(second), 1729)
    t.false(a.closed)
    t.false(b.closed)
  }
  t.true(a.closed)
  t.true(b.closed)
  await t.throwsAsync(calls.recv(a), { instanceOf: mp.OSError })
  a[Symbol.dispose]()
})

rowWithThreadsInBothForms('_TestPoll.test_empty_string', async (t, { calls, api }) => {
  const [a, b] = api.Pipe()
  t.false(await calls.poll(a))
  await calls.sendBytes(b, Buffer.alloc(0))
  t.true(await calls.poll(a))
  t.true(await calls.poll(a))
  t.is((await calls.recvBytes(a)).length, 0)
  t.false(await calls.poll(a))
  a.close()
  b.close()
})

rowWithThreadsInBothForms('_TestPoll.test_strings', async (t, { calls, api }) => {
  const messages = ['hello', '', 'a', 'b', '', 'bye', '', 'lop'].map((text) => Buffer.from(text))
  const [a, b] = api.Pipe()
  const p = new api.Process({ target: child.sendSlowly, args: [b, messages, calls.form] })
  p.start()
  b.close()
  for (const message of messages) {
    while (!(await calls.poll(a, 10))) {
      // The child has not sent it yet.
    }
    t.deepEqual(await calls.recvBytes(a), message)
  }
  await calls.join(p)
  t.is(p.exitcode, 0)
  a.close()
})

rowWithThreadsInBothForms('_TestPoll.test_boundaries', async (t, { calls, api }) => {
  const [reader, writer] = api.Pipe(false)
  const [readyReader, ready] = api.Pipe(false)
  const p = new api.Process({ target: child.pollOnly, args: [reader, ready, calls.form] })
  p.start()
  ready.close()
  t.is(await calls.recv(readyReader), 'ready')
  const messages = ['first', 'second']
  for (const message of messages) await calls.sendBytes(writer, Buffer.from(message))
  writer.close()
  await calls.join(p)
  t.is(p.exitcode, 0)
  for (const message of messages) t.is((await calls.recvBytes(reader)).toString(), message)
  await t.throwsAsync(calls.recvBytes(reader), { instanceOf: mp.EOFError })
  reader.close()
  readyReader.close()
})

rowWithThreadsInBothForms('_TestPoll.test_dont_merge', async (t, { calls, api }) => {
  const [a, b] = api.Pipe()
  t.false(await calls.poll(a, 0))
  t.false(await calls.poll(a, 100))

  const p = new api.Process({ target: child.sendThreeMessages, args: [b, calls.form] })
  p.start()
  b.close()
  t.is((await calls.recvBytes(a)).toString(), 'a')
  t.true(await calls.poll(a, 30_000))
  t.true(await calls.poll(a, 30_000))
  t.is((await calls.recvBytes(a)).toString(), 'b')
  t.true(await calls.poll(a, 30_000))
  t.true(await calls.poll(a, 30_000))
  t.true(await calls.poll(a, 0))
  t.is((await calls.recvBytes(a)).toString(), 'cd')
  await calls.join(p)
  t.is(p.exitcode, 0)
  a.close()
})

rowInBothForms('TestInvalidHandle.test_invalid_handles', async (t, { calls }) => {
  const isRefusal = (error: unknown): boolean =>
    error instanceof mp.ValueError || error instanceof mp.OSError

  const pollInvalid = async (): Promise<unknown> => {
    try {
      using connection = new Connection(44_977_608)
      return await calls.poll(connection)
    } catch (error) {
      return error
    }
  }
  const outcome = await pollInvalid()
  t.true(typeof outcome === 'boolean' || isRefusal(outcome), String(outcome))

  const error = t.throws(() => new Connection(-1))
  t.true(isRefusal(error), String(error))
})
