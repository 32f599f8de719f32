/** What connections do: sizes, order, early ends, both forms at once, memory, descriptors, the wire. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, constants, openSync, readSync, writeSync } from 'node:fs'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import test from 'ava'
import * as mp from 'node-multiprocessing'
import { Connection, wait } from 'node-multiprocessing/connection'
import { DupFd } from 'node-multiprocessing/reduction'
import { openDescriptorCount, within } from './fixtures/connection-patience.js'
import { program } from './fixtures/process-programs.js'
import { collectGarbage } from './helpers/garbage.js'
import { temporaryFolder } from './helpers/temporary-folder.js'
import { until } from './helpers/until.js'

const close = (...connections: Connection[]): void => {
  for (const connection of connections) connection.close()
}

/** Bytes that tell when some are missing or out of place. */
const pattern = (length: number): Buffer => {
  const bytes = Buffer.alloc(length)
  for (let i = 0; i < length; i += 997) bytes[i] = (i / 997) & 255
  if (length > 0) bytes[length - 1] = 77
  return bytes
}

const sizes = [
  ...[0, 1, 2, 3, 4, 5, 62, 63, 64, 65, 4095, 4096, 4097],
  ...[16_383, 16_384, 16_385, 32_767, 32_768, 32_769, 65_535, 65_536, 65_537],
  ...[(1 << 20) - 1, 1 << 20, (1 << 20) + 1, 16 << 20],
]

for (const size of sizes) {
  test.serial(
    `a message of ${size} bytes, as bytes, into a buffer, and in an object`,
    async (t) => {
      const [a, b] = mp.Pipe()
      const bytes = pattern(size)
      const sending = (async () => {
        await a.sendBytes(bytes)
        await a.sendBytes(bytes)
        await a.send({ bytes, text: 'x'.repeat(size % 70_000) })
        await a.send(bytes)
      })()
      t.true(bytes.equals(await within('bytes', b.recvBytes())))
      const target = Buffer.alloc(size + 2, '.')
      t.is(await within('into', b.recvBytesInto(target, 1)), size)
      t.true(target.subarray(1, -1).equals(bytes))
      t.is(target[0], 46)
      t.is(target[size + 1], 46)
      const object = await within('object', b.recv<{ bytes: Buffer; text: string }>())
      t.true(bytes.equals(object.bytes))
      t.is(object.text.length, size % 70_000)
      t.true(bytes.equals(await within('buffer', b.recv<Buffer>())))
      await sending
      t.false(await b.poll())
      close(a, b)
    },
  )
}

test.serial('a message of every size up to 4 KiB, blocking, one after the other', (t) => {
  const [a, b] = mp.Pipe()
  const all = pattern(4200)
  const target = Buffer.alloc(4200)
  let wrong = 0
  for (let size = 0; size <= 4200; size++) {
    a.sendBytesSync(all, { size })
    if (!b.recvBytesSync().equals(all.subarray(0, size))) wrong++
    a.sendBytesSync(all, { size })
    if (b.recvBytesIntoSync(target) !== size) wrong++
    if (!target.subarray(0, size).equals(all.subarray(0, size))) wrong++
  }
  t.is(wrong, 0)
  close(a, b)
})

test.serial('a message of more than 2 GiB has the long header and arrives whole', async (t) => {
  const outcome = await program(
    t,
    `
export const receive = async (reader) => {
  const bytes = await reader.recvBytes()
  reader.close()
  let wrong = 0
  for (let i = 0; i < bytes.length; i += 1 << 20) if (bytes[i] !== 0) wrong++
  if (bytes.length !== 2 ** 31 + 5 || bytes[2 ** 31 + 4] !== 9 || wrong > 0) process.exit(9)
}
if (mp.isMainProcess) {
  const [reader, writer] = mp.Pipe(false)
  const child = new mp.Process({ target: receive, args: [reader] })
  child.start()
  reader.close()
  const bytes = new Uint8Array(2 ** 31 + 5)
  bytes[2 ** 31 + 4] = 9
  await writer.sendBytes(bytes)
  await child.join()
  console.log(child.exitcode)
}
`,
    { limit: 100_000 },
  )
  t.is(outcome.stdout, '0\n', outcome.stderr)
})

test.serial('many receivers are served first come, first served, of all kinds', async (t) => {
  const [a, b] = mp.Pipe()
  const receiving = Array.from({ length: 300 }, async (_, i) => {
    if (i % 3 === 0) t.is(await b.recv(), i)
    else if (i % 3 === 1) t.is((await b.recvBytes()).toString(), String(i))
    else t.is(await b.recvBytesInto(Buffer.alloc(9)), String(i).length)
  })
  for (let i = 0; i < 300; i++) {
    if (i % 3 === 0) await a.send(i)
    else await a.sendBytes(Buffer.from(String(i)))
  }
  await within('all', Promise.all(receiving))
  t.false(await b.poll())
  close(a, b)
})

test.serial(
  'many senders are served in the order of their calls, whatever they send',
  async (t) => {
    const [a, b] = mp.Pipe()
    const large = pattern(700_000)
    const sending = Array.from({ length: 60 }, (_, i) =>
      i % 3 === 0 ? a.sendBytes(large) : i % 3 === 1 ? a.send({ i, large }) : a.send(i),
    )
    for (let i = 0; i < 60; i++) {
      if (i % 3 === 0) t.true(large.equals(await b.recvBytes()))
      else if (i % 3 === 1) t.is((await b.recv<{ i: number }>()).i, i)
      else t.is(await b.recv(), i)
    }
    await within('all senders', Promise.all(sending))
    close(a, b)
  },
)

test.serial(
  'a receiver that was aborted or timed out loses no message, wherever it was',
  async (t) => {
    const [a, b] = mp.Pipe()
    const raw = a.fileno()
    const messages = Array.from({ length: 40 }, (_, i) => pattern((i * 7919) % 90_000))
    const framed = messages.map((bytes) => {
      const header = Buffer.alloc(4)
      header.writeInt32BE(bytes.length)
      return Buffer.concat([header, bytes])
    })
    const stream = Buffer.concat(framed)
    let got = 0
    let early = 0
    for (let at = 0; at < stream.length; ) {
      const piece = Math.min(stream.length - at, 1 + ((at * 31) % 20_011))
      at += writeSync(raw, stream, at, piece)
      for (;;) {
        const how = early++ % 4
        const controller = new AbortController()
        try {
          let bytes: Buffer
          if (how === 0) bytes = b.recvBytesSync({ timeout: 0 })
          else if (how === 1) {
            const receiving = b.recvBytes({ signal: controller.signal })
            controller.abort(new mp.TimeoutError())
            bytes = await receiving
          } else if (how === 2) {
            const target = Buffer.alloc(100_000)
            bytes = target.subarray(0, b.recvBytesIntoSync(target, { timeout: 0 }))
          } else {
            const target = Buffer.alloc(100_000)
            bytes = target.subarray(0, await b.recvBytesInto(target, { timeout: 0 }))
          }
          t.true(bytes.equals(messages[got++]!), `message ${got}`)
        } catch (error) {
          t.true(error instanceof mp.TimeoutError)
          break
        }
      }
    }
    while (got < messages.length) t.true((await b.recvBytes()).equals(messages[got++]!))
    t.false(await b.poll())
    close(a, b)
  },
)

test.serial(
  'a sender that was aborted or timed out in mid-message keeps the stream whole',
  async (t) => {
    const [a, b] = mp.Pipe()
    const large = pattern(9_000_001)
    const controller = new AbortController()
    const aborted = t.throwsAsync(a.sendBytes(large, { signal: controller.signal }), {
      message: 'enough',
    })
    const behind = t.throwsAsync(a.send({ never: large }, { signal: controller.signal }), {
      message: 'enough',
    })
    controller.abort(new Error('enough'))
    await aborted
    await behind
    const after = a.send('after')
    t.true(large.equals(await within('the message that was begun', b.recvBytes())))
    t.is(await within('the one after', b.recv()), 'after')
    await after
    for (const send of [
      () => a.sendBytesSync(large, { timeout: 5 }),
      () => a.sendSync({ large }, { timeout: 5 }),
      () => a.sendSync('x'.repeat(9_000_000), { timeout: 5 }),
    ]) {
      t.throws(send, { instanceOf: mp.TimeoutError })
      const next = a.send('next')
      await within('the message that was begun', b.recvBytes())
      t.is(await within('the next', b.recv()), 'next')
      await next
    }
    close(a, b)
  },
)

test.serial('a sender that runs out of time before its first byte sends nothing', async (t) => {
  const [a, b] = mp.Pipe()
  const filling = a.sendBytes(pattern(9_000_000))
  await t.throwsAsync(a.send('late', { timeout: 5 }), { instanceOf: mp.TimeoutError })
  t.throws(() => a.sendSync('late', { timeout: 5 }), { instanceOf: mp.TimeoutError })
  t.throws(() => a.sendBytesSync(Buffer.from('late'), { timeout: 5 }), {
    instanceOf: mp.TimeoutError,
  })
  const next = a.send('in time')
  await b.recvBytes()
  t.is(await within('the next', b.recv()), 'in time')
  await Promise.all([filling, next])
  t.false(await b.poll())
  close(a, b)
})

test.serial('both forms on one connection, at once', async (t) => {
  const [a, b] = mp.Pipe()
  const first = b.recv()
  const second = b.recv()
  a.sendSync(1)
  a.sendSync(2)
  a.sendSync(3)
  t.is(b.recvSync(), 3, 'who waits already is served first')
  t.deepEqual(await within('those who waited', Promise.all([first, second])), [1, 2])
  const third = b.recv()
  t.throws(() => b.recvSync({ timeout: 5 }), { instanceOf: mp.TimeoutError })
  t.throws(() => b.recvBytesIntoSync(Buffer.alloc(5), { timeout: 5 }), {
    instanceOf: mp.TimeoutError,
  })
  a.sendSync(4)
  t.is(await within('who waited', third), 4)
  const sending = a.sendBytes(pattern(300_000))
  const reading = b.recvBytes()
  t.is((await within('large', reading)).length, 300_000)
  await sending
  close(a, b)
})

test.serial('who was served by a blocking receiver does not keep the process alive', async (t) => {
  const { code, stdout } = await program(
    t,
    `
const [a, b] = mp.Pipe()
globalThis.kept = [a, b]
const first = b.recv()
a.sendSync(1)
a.sendSync(2)
console.log(b.recvSync(), await first)
`,
    { limit: 8000 },
  )
  t.deepEqual({ code, stdout }, { code: 0, stdout: '2 1\n' })
})

test.serial('a receiver that gave up does not keep the process alive', async (t) => {
  const { code, stdout } = await program(
    t,
    `
const [a, b] = mp.Pipe()
globalThis.kept = [a, b]
for (const call of [
  (signal) => b.recv({ signal, timeout: 60_000 }),
  (signal) => b.poll({ signal, timeout: 60_000 }),
  (signal) => connections.wait([b], { signal, timeout: 60_000 }),
]) {
  const controller = new AbortController()
  const waiting = call(controller.signal)
  controller.abort('enough')
  await waiting.catch((reason) => console.log(reason))
}
`,
    { limit: 8000 },
  )
  t.deepEqual({ code, stdout }, { code: 0, stdout: 'enough\n'.repeat(3) })
})

test.serial(
  'a connection that waits keeps the process alive, and one that does not lets it end',
  async (t) => {
    const { code, stdout } = await program(
      t,
      `
export const late = async (writer) => {
  await new Promise((resolve) => setTimeout(resolve, 300))
  await writer.send('late')
}
if (mp.isMainProcess) {
  const [reader, writer] = mp.Pipe(false)
  new mp.Process({ target: late, args: [writer], daemon: true }).start()
  reader.recv().then((value) => console.log(value))
}
`,
    )
    t.deepEqual({ code, stdout }, { code: 0, stdout: 'late\n' })
  },
)

test.serial(
  'sending to an end that is closed is EPIPE every time, and receiving the end',
  async (t) => {
    for (const oneWay of [true, false]) {
      const [b, a] = mp.Pipe(!oneWay)
      await a.send('unread')
      b.close()
      const broken = { instanceOf: mp.OSError, code: 'EPIPE' }
      for (let i = 0; i < 3; i++) {
        await t.throwsAsync(a.send(1), broken)
        t.throws(() => a.sendSync(1), broken)
        await t.throwsAsync(a.sendBytes(pattern(1 << 20)), broken)
        t.throws(() => a.sendBytesSync(pattern(1 << 20)), broken)
        await t.throwsAsync(a.send({ large: pattern(1 << 20) }), broken)
        t.throws(() => a.sendSync({ large: pattern(1 << 20) }), broken)
      }
      if (!oneWay) {
        t.true(await a.poll())
        await t.throwsAsync(a.recv(), { instanceOf: mp.EOFError })
        t.throws(() => a.recvSync(), { instanceOf: mp.EOFError })
        t.throws(() => a.recvBytesIntoSync(Buffer.alloc(4)), { instanceOf: mp.EOFError })
      }
      a.close()
    }
  },
)

test.serial('everyone who waits gets the end, every time', async (t) => {
  const [a, b] = mp.Pipe()
  const waiting = Array.from({ length: 20 }, () => b.recv().catch((error) => error))
  const polling = b.poll(null)
  a.close()
  for (const error of await within('the end', Promise.all(waiting))) {
    t.true(error instanceof mp.EOFError)
  }
  t.true(await within('poll', polling))
  await t.throwsAsync(b.recv(), { instanceOf: mp.EOFError })
  b.close()
})

test.serial('an end inside a message is an OSError, wherever it is', async (t) => {
  const whole = Buffer.concat([Buffer.from([0, 0, 0, 9]), Buffer.from('nine byte')])
  for (let cut = 1; cut < whole.length; cut++) {
    for (const sync of [false, true]) {
      const [a, b] = mp.Pipe()
      writeSync(a.fileno(), whole, 0, cut)
      a.close()
      const expected = { instanceOf: mp.OSError, message: 'got end of file during message' }
      if (sync) t.throws(() => b.recvBytesSync(), expected, `after ${cut}`)
      else await t.throwsAsync(b.recvBytes(), expected, `after ${cut}`)
      t.throws(() => b.recvBytesIntoSync(Buffer.alloc(20)), { instanceOf: Error })
      b.close()
    }
  }
})

test.serial(
  'an end inside a message is told from the end when our own bytes were unread, too',
  async (t) => {
    const [a, b] = mp.Pipe()
    await b.send('never read')
    writeSync(a.fileno(), Buffer.from([0, 0]))
    a.close()
    await t.throwsAsync(b.recvBytes(), {
      instanceOf: mp.OSError,
      message: 'got end of file during message',
    })
    b.close()
  },
)

test.serial(
  'what was sent whole before the end still comes, though our own bytes were unread',
  async (t) => {
    const [a, b] = mp.Pipe()
    await b.send('never read')
    await a.send('last words')
    a.close()
    t.is(await b.recv(), 'last words')
    await t.throwsAsync(b.recv(), { instanceOf: mp.EOFError })
    b.close()
  },
)

test.serial('awaited sends of 2 GB to a slow reader need no memory of their own', async (t) => {
  const { stdout, stderr } = await program(
    t,
    `
import { readFileSync } from 'node:fs'
const resident = () => Number(/VmRSS:\\s+(\\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1])
export const readAll = async (reader) => {
  for (let i = 0; i < 20; i++) if ((await reader.recvBytes()).length !== 100e6) process.exit(9)
}
if (mp.isMainProcess) {
  const [reader, writer] = mp.Pipe(false)
  const child = new mp.Process({ target: readAll, args: [reader] })
  child.start()
  reader.close()
  const bytes = new Uint8Array(100e6).fill(7)
  await writer.sendBytes(bytes)
  const before = resident()
  let most = 0
  for (let i = 1; i < 20; i++) {
    await writer.sendBytes(bytes)
    most = Math.max(most, resident())
  }
  await child.join()
  console.log(child.exitcode, most - before < 50_000 ? 'flat' : most - before)
}
`,
    { limit: 60_000 },
  )
  t.is(stdout, '0 flat\n', stderr)
})

test.serial('thousands of connections leave no descriptor', async (t) => {
  await collectGarbage()
  const before = openDescriptorCount()
  for (let i = 0; i < 3000; i++) {
    const [a, b] = mp.Pipe(i % 2 === 0)
    const receiving = a.recv()
    await b.send(i)
    await receiving
    close(a, b)
  }
  await turn()
  t.true(openDescriptorCount() <= before)
})

test.serial('connections that are collected close themselves', async (t) => {
  await collectGarbage()
  const before = openDescriptorCount()
  for (let i = 0; i < 100; i++) mp.Pipe()
  await until100(() => openDescriptorCount() <= before)
  t.true(openDescriptorCount() <= before)
})

test.serial('connections that once waited and are collected close themselves too', async (t) => {
  await collectGarbage()
  const before = openDescriptorCount()
  const waitOnce = async (i: number): Promise<void> => {
    const [a, b] = mp.Pipe()
    const receiving = b.recv()
    await a.send(i)
    await receiving
  }
  for (let i = 0; i < 100; i++) await waitOnce(i)
  await until100(() => openDescriptorCount() <= before)
  t.true(openDescriptorCount() <= before, `${openDescriptorCount() - before} are left`)
})

test.serial('a connection that is waited on is not collected', async (t) => {
  const [a, received] = (() => {
    const [a, b] = mp.Pipe()
    return [a, b.recv()]
  })()
  for (let i = 0; i < 5; i++) await collectGarbage()
  await a.send('still there')
  t.is(await within('it receives', received), 'still there')
  a.close()
})

/** Collects garbage until something holds, a hundred times at most. */
const until100 = async (holds: () => boolean): Promise<void> => {
  for (let i = 0; i < 100 && !holds(); i++) await collectGarbage()
}

test.serial('the bytes on the way are those of CPython', async (t) => {
  const [a, b] = mp.Pipe()
  const read = (count: number): Buffer => {
    const bytes = Buffer.alloc(count)
    let filled = 0
    while (filled < count) filled += readSync(b.fileno(), bytes, filled, count - filled, null)
    return bytes
  }
  await a.sendBytes(Buffer.from('abc'))
  t.is(read(7).toString('hex'), '00000003616263')
  a.sendBytesSync(Buffer.alloc(0))
  t.is(read(4).toString('hex'), '00000000')
  await a.sendBytes(Buffer.alloc(65_536, 'q'))
  t.is(read(4).toString('hex'), '00010000')
  t.true(read(65_536).equals(Buffer.alloc(65_536, 'q')))
  writeSync(b.fileno(), Buffer.from('ffffffff0000000000000002', 'hex'))
  writeSync(b.fileno(), Buffer.from('ok'))
  t.is((await a.recvBytes()).toString(), 'ok', 'a short message may have a long header')
  close(a, b)
})

test.serial(
  'a FIFO works like a socket, but carries no descriptors, and stays usable when asked to',
  async (t) => {
    const path = join(temporaryFolder(t), 'fifo')
    const made = spawn('mkfifo', [path])
    await once(made, 'close')
    const reading = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
    const writing = openSync(path, constants.O_WRONLY)
    const reader = new Connection(reading, { writable: false, trusted: true })
    const writer = new Connection(writing, { readable: false, trusted: true })
    for (const size of [0, 1, 4095, 4096, 4097, 65_536, 1 << 20]) {
      const sending = writer.sendBytes(pattern(size))
      t.true((await within('bytes', reader.recvBytes())).equals(pattern(size)))
      await sending
    }
    const sending = writer.send({ large: pattern(3 << 20), text: 'x' })
    t.is((await within('object', reader.recv<{ text: string }>())).text, 'x')
    await sending
    const [c, d] = mp.Pipe()
    const refused = {
      instanceOf: mp.ValueError,
      message: /descriptors can be sent over Unix sockets/,
    }
    await t.throwsAsync(writer.send(c), refused)
    t.throws(() => writer.sendSync(c), refused)
    await writer.send('usable')
    t.is(await within('the next', reader.recv()), 'usable')
    t.throws(() => reader.recvSync({ timeout: 5 }), { instanceOf: mp.TimeoutError })
    await t.throwsAsync(reader.recv({ timeout: 5 }), { instanceOf: mp.TimeoutError })
    writer.close()
    await t.throwsAsync(within('the end', reader.recv()), { instanceOf: mp.EOFError })
    close(reader, c, d)
  },
)

test.serial(
  'more descriptors than a message can carry are refused, and the next message goes',
  async (t) => {
    const [a, b] = mp.Pipe()
    const fd = openSync('/dev/null', 'r')
    const many = Array.from({ length: 254 }, () => new DupFd(fd))
    for (const send of [async () => a.send(many), async () => a.sendSync(many)]) {
      await t.throwsAsync(send, { instanceOf: Error, message: /descriptor|253|EINVAL/ })
      await a.send('usable')
      t.is(await within('the next', b.recv()), 'usable')
    }
    await a.send(many.slice(1))
    const came = await within('253 descriptors', b.recv<DupFd[]>())
    t.is(came.length, 253)
    for (const dup of [...came, ...many]) closeSync(dup.detach())
    closeSync(fd)
    close(a, b)
  },
)

test.serial('a connection travels over itself, and over one that is already busy', async (t) => {
  const [a, b] = mp.Pipe()
  const filling = a.sendBytes(pattern(2 << 20))
  const [c, d] = mp.Pipe()
  const sending = a.send([d, b])
  d.close()
  t.is((await b.recvBytes()).length, 2 << 20)
  const [far, again] = await within('connections', b.recv<Connection[]>())
  await Promise.all([filling, sending])
  await c.send('through')
  t.is(await far!.recv(), 'through')
  await a.send('to the copy')
  t.is(await again!.recv(), 'to the copy')
  close(a, b, c, far!, again!)
})

test.serial(
  'a buffer that is taken away while it is sent is an error and not a short message',
  async (t) => {
    const [a, b] = mp.Pipe()
    const bytes = new Uint8Array(9_000_000).fill(1)
    const sending = a.sendBytes(bytes).then(
      () => 'sent',
      (error) => error,
    )
    structuredClone(bytes.buffer, { transfer: [bytes.buffer] })
    const receiving = b.recvBytes().then(
      (message) => message.length,
      (error) => error,
    )
    const sent = await within('the sender is told', sending)
    t.true(sent instanceof Error)
    await t.throwsAsync(a.send('more'), { instanceOf: Error })
    a.close()
    t.true((await within('the receiver is told', receiving)) instanceof mp.OSError)
    b.close()
  },
)

test.serial(
  'a message that begins while an object is encoded does not get in between',
  async (t) => {
    const [a, b] = mp.Pipe()
    const nested = {
      get first() {
        a.sendSync('from a getter')
        return 1
      },
      second: 'x'.repeat(1000),
    }
    await a.send(nested)
    const came = [await b.recv({ timeout: 5000 }), await b.recv({ timeout: 5000 })]
    t.deepEqual(came, ['from a getter', { first: 1, second: 'x'.repeat(1000) }])
    const closing = {
      get value() {
        a.close()
        return 1
      },
    }
    await t.throwsAsync(a.send(closing), { instanceOf: mp.OSError, message: 'handle is closed' })
    await t.throwsAsync(b.recv(), { instanceOf: mp.EOFError })
    b.close()
  },
)

test.serial('messages that need no reader do not block the event loop', async (t) => {
  const [a, b] = mp.Pipe()
  let turns = 0
  const counting = setInterval(() => turns++, 1)
  const sending = a.sendBytes(pattern(64 << 20))
  await until('the event loop turns', () => turns > 3)
  clearInterval(counting)
  t.is((await b.recvBytes()).length, 64 << 20)
  await sending
  close(a, b)
})

const python = `
import sys
from multiprocessing.connection import Connection
c = Connection(3)
for size in (0, 1, 3, 16384, 16385, 70000, 5000000):
    c.send_bytes(bytes(i % 251 for i in range(size)) if size < 100000 else b'p' * size)
while True:
    try:
        m = c.recv_bytes()
    except EOFError:
        break
    c.send_bytes(m[::-1])
`

test.serial('a real CPython understands every message, and is understood', async (t) => {
  const child = spawn('python3', ['-c', python], {
    stdio: ['ignore', 'inherit', 'inherit', 'pipe'],
  })
  const socket = child.stdio[3] as Socket
  const [fd] = [(socket as unknown as { _handle: { fd: number } })._handle.fd]
  const copy = new DupFd(fd).detach()
  socket.destroy()
  const connection = new Connection(copy)
  for (const size of [0, 1, 3, 16_384, 16_385, 70_000, 5_000_000]) {
    const bytes = await within(`${size} bytes from CPython`, connection.recvBytes())
    const expected =
      size < 100_000
        ? Buffer.from(Array.from({ length: size }, (_, i) => i % 251))
        : Buffer.alloc(size, 'p')
    t.true(bytes.equals(expected), String(size))
  }
  for (const size of [0, 1, 16_383, 16_384, 16_385, 65_537, 5_000_000]) {
    const bytes = pattern(size)
    const sending = connection.sendBytes(bytes)
    const back = await within(`${size} bytes from and to CPython`, connection.recvBytes())
    t.true(back.reverse().equals(bytes), String(size))
    await sending
  }
  const ended = once(child, 'close')
  connection.close()
  const [code] = await within('CPython ends', ended)
  t.is(code, 0)
})

test.serial('no more descriptors is an OSError, and leaves none behind', async (t) => {
  const { stdout, stderr } = await program(
    t,
    `
import { readdirSync } from 'node:fs'
import { execFileSync } from 'node:child_process'
const free = 7
const count = readdirSync('/proc/self/fd').length
execFileSync('prlimit', ['--pid', String(process.pid), '--nofile=' + (count + free) + ':' + (count + free)])
const pairs = []
let failure
try {
  for (;;) pairs.push(mp.Pipe())
} catch (error) {
  failure = error
}
console.log(failure instanceof mp.OSError, failure.code)
for (const pair of pairs) for (const end of pair) end.close()
const [a, b] = mp.Pipe()
a.sendSync('again')
console.log(b.recvSync())
`,
  )
  t.is(stdout, 'true EMFILE\nagain\n', stderr)
})

test.serial(
  'descriptors that cannot be opened here are an error of that message only',
  async (t) => {
    const { stdout, stderr } = await program(
      t,
      `
import { readdirSync, openSync, closeSync } from 'node:fs'
import { execFileSync } from 'node:child_process'
const [a, b] = mp.Pipe()
const fd = openSync('/dev/null')
const dups = Array.from({ length: 20 }, () => new mp.DupFd(fd))
await a.send(dups)
const limit = readdirSync('/proc/self/fd').length + 5
execFileSync('prlimit', ['--pid', String(process.pid), '--nofile=' + limit + ':' + limit])
try {
  await b.recv()
  console.log('came')
} catch (error) {
  console.log(error instanceof mp.MultiprocessingError, error.code)
}
for (const dup of dups) closeSync(dup.detach())
await a.send('next')
try {
  console.log(await b.recv({ timeout: 3000 }))
} catch (error) {
  console.log(error.message)
}
`,
    )
    t.regex(stdout, /^true (EMFILE|ERR_UNPICKLING)\nnext\n$/, stderr)
  },
)

test.serial('a wait over many connections of which each is answered in turn', async (t) => {
  const pairs = Array.from({ length: 50 }, () => mp.Pipe())
  const seen = new Set<unknown>()
  for (const [a] of pairs) void a.send(1)
  let open: Connection[] = pairs.map(([, b]) => b)
  while (open.length > 0) {
    for (const ready of await within('one is ready', wait(open))) {
      seen.add(ready)
      await ready.recv()
      open = open.filter((other) => other !== ready)
    }
  }
  t.is(seen.size, 50)
  for (const pair of pairs) close(...pair)
})

test.serial('very large messages are each their own, however many are kept', async (t) => {
  const size = 40 * 2 ** 20
  const [a, b] = mp.Pipe()
  const sources = [pattern(size), pattern(size).reverse()]
  // They come in memory that is used again once nobody has it, of which there is less than this.
  const kept: Uint8Array[] = []
  for (let i = 0; i < 14; i++) {
    const source = sources[i % 2]!
    const sending = i % 3 === 0 ? a.send({ source }) : a.sendBytes(source)
    const receiving: Promise<Uint8Array> =
      i % 3 === 0 ? b.recv<{ source: Uint8Array }>().then((came) => came.source) : b.recvBytes()
    const received = await within('a message', receiving, 60_000)
    await sending
    // Every other one is dropped, and what is written to one is nobody else's.
    if (i % 2 === 0) kept.push(received)
    else received.fill(0xee)
  }
  t.true(kept.every((bytes) => sources[0]!.equals(bytes)))
  for (let i = 0; i < 12; i++) {
    const sending = a.sendBytes(sources[1]!)
    kept.push(await within('a message', b.recvBytes(), 60_000))
    await sending
  }
  t.true(kept.slice(0, 7).every((bytes) => sources[0]!.equals(bytes)))
  t.true(kept.slice(7).every((bytes) => sources[1]!.equals(bytes)))
  close(a, b)
})
