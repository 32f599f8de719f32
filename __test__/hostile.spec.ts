/** Bytes that no honest peer sends: an error, then closed or usable; never a crash, never a hang. */
import { closeSync, writeSync } from 'node:fs'
import test from 'ava'
import fc from 'fast-check'
import * as mp from 'node-multiprocessing'
import { Connection } from 'node-multiprocessing/connection'
import { recvHandle, sendHandle, sendHandleSync } from 'node-multiprocessing/reduction'
import { openDescriptorCount, within } from './fixtures/connection-patience.js'
import { program } from './fixtures/process-programs.js'
import { collectGarbage } from './helpers/garbage.js'

const header = (length: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(length)
  return bytes
}

/** A pair whose first end may write anything; the second one is what is attacked. */
const attacked = (trusted: boolean): [number, Connection, Connection] => {
  const [a, b] = mp.Pipe()
  if (trusted) return [a.fileno(), b, a]
  // The same descriptor under a connection that does not trust its peer.
  const stranger = new Connection(new mp.DupFd(b.fileno()).detach())
  b.close()
  return [a.fileno(), stranger, a]
}

/** The bytes of an object's message, with its header. */
const messageOf = async (value: unknown): Promise<Buffer> => {
  const [a, b] = mp.Pipe()
  const sending = a.send(value)
  const payload = await b.recvBytes()
  await sending
  a.close()
  b.close()
  return Buffer.concat([header(payload.length), payload])
}

const seeds: unknown[] = [
  null,
  'text',
  { a: [1, 2.5, -3, 2n ** 70n, 'ü', new Date(0), /x/g], b: new Map([[1, new Set(['y'])]]) },
  new Uint8Array(100_000),
  [new Float64Array(10_000), new Error('e', { cause: 1 }), new URL('http://x/')],
  Array.from({ length: 200 }, (_, i) => ({ name: `n${i}`, value: i, list: [i, i + 0.5] })),
  Math.max,
]

for (const trusted of [true, false]) {
  const kind = trusted ? 'trusted' : 'untrusted'

  test.serial(`random bytes on a ${kind} connection`, async (t) => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 4000 }), async (bytes) => {
        const [raw, victim, peer] = attacked(trusted)
        writeSync(raw, Buffer.concat([header(bytes.length), bytes]))
        await victim.recv().catch((error: unknown) => {
          if (!(error instanceof mp.MultiprocessingError)) throw error
        })
        await peer.send('next')
        const next = await within('the next message', victim.recv())
        peer.close()
        victim.close()
        return next === 'next'
      }),
      { numRuns: 400 },
    )
    t.pass()
  })

  test.serial(`mutated messages on a ${kind} connection`, async (t) => {
    const messages = await Promise.all(seeds.map(messageOf))
    let errors = 0
    await fc.assert(
      fc.asyncProperty(
        fc.nat(messages.length - 1),
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 6 }),
        fc.boolean(),
        async (index, changes, sync) => {
          const mutant = Buffer.from(messages[index]!)
          for (const [at, byte] of changes) {
            // Mutations near the front hit the structure; the length header stays honest.
            const range = at % 3 === 0 ? mutant.length - 4 : Math.min(mutant.length - 4, 120)
            mutant[4 + (at % range)] = byte
          }
          const [raw, victim, peer] = attacked(trusted)
          writeSync(raw, mutant)
          try {
            if (sync) victim.recvSync()
            else await victim.recv()
          } catch (error) {
            errors++
            if (!(error instanceof mp.MultiprocessingError)) throw error
          }
          await peer.send('next')
          const next = await within('the next message', victim.recv())
          peer.close()
          victim.close()
          return next === 'next'
        },
      ),
      { numRuns: 1500 },
    )
    t.true(errors > 0)
  })

  test.serial(`raw garbage, lengths included, then the end, on a ${kind} connection`, async (t) => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 300 }), async (bytes) => {
        const [raw, victim, peer] = attacked(trusted)
        writeSync(raw, bytes)
        peer.close()
        for (let i = 0; i < 200; i++) {
          try {
            await within('an answer', victim.recv())
          } catch (error) {
            if (!(error instanceof mp.MultiprocessingError)) throw error
            if (error instanceof mp.EOFError || error instanceof mp.OSError) {
              victim.close()
              return true
            }
          }
        }
        return false
      }),
      { numRuns: 400 },
    )
    t.pass()
  })
}

for (const [name, prefix] of [
  ['-2', 'fffffffe'],
  ['the least', '80000000'],
  ['2^63', 'ffffffff8000000000000000'],
  ['2^64 - 1', 'ffffffffffffffffffffffff'],
  ['2^53 + 2', 'ffffffff0020000000000002'],
] as const) {
  test.serial(`a length of ${name} is refused at once and for good`, async (t) => {
    for (const sync of [false, true]) {
      const [raw, victim, peer] = attacked(true)
      writeSync(raw, Buffer.from(`${prefix}6162636465666768`, 'hex'))
      const bad = { instanceOf: mp.OSError, message: 'bad message length' }
      if (sync) t.throws(() => victim.recvSync({ timeout: 3000 }), bad)
      else await t.throwsAsync(within('an answer', victim.recv({ timeout: 3000 })), bad)
      t.throws(() => victim.recvBytesIntoSync(Buffer.alloc(9), { timeout: 3000 }), bad)
      peer.close()
      victim.close()
    }
  })
}

test.serial(
  'a length of 2^40 takes no memory until the bytes come, and ends with the peer',
  async (t) => {
    const { stdout, stderr, code } = await program(
      t,
      `
import { writeSync, readFileSync } from 'node:fs'
const resident = () => Number(/VmRSS:\\s+(\\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1])
const [a, b] = mp.Pipe()
const before = resident()
writeSync(a.fileno(), Buffer.from('ffffffff00000100000000006162', 'hex'))
const receiving = b.recv().catch((error) => error)
await new Promise((resolve) => setTimeout(resolve, 100))
console.log(resident() - before < 50_000)
a.close()
const error = await receiving
console.log(error instanceof mp.OSError)
`,
    )
    t.deepEqual([code, stdout], [0, 'true\ntrue\n'], stderr)
  },
)

test.serial('a table of buffers that cannot be is an error of that message only', async (t) => {
  const whole = await messageOf(new Uint8Array(100_000))
  for (const [at, byte] of [
    [9, 49],
    [8, 0],
    [8, 2],
    [10, 255],
    [11, 255],
    [16, 255],
    [23, 255],
    [24, 0],
    [31, 255],
  ] as const) {
    for (const sync of [false, true]) {
      const mutant = Buffer.from(whole)
      mutant[4 + at] = byte
      const [raw, victim, peer] = attacked(true)
      writeSync(raw, mutant)
      const expected = { instanceOf: mp.UnpicklingError }
      if (sync) t.throws(() => victim.recvSync({ timeout: 5000 }), expected, `byte ${at}`)
      else await t.throwsAsync(victim.recv({ timeout: 5000 }), expected, `byte ${at}`)
      await peer.send('next')
      t.is(await victim.recv({ timeout: 5000 }).catch(String), 'next', `byte ${at} is ${byte}`)
      peer.close()
      victim.close()
    }
  }
})

/** An extended frame with one announced descriptor, none beside it, and a graph of null. */
const announcing = async (graph: Buffer, descriptors = 1): Promise<Buffer> => {
  const frame = Buffer.alloc(24)
  frame[0] = 2
  frame.writeUInt32LE(descriptors, 4)
  frame.writeUInt32LE(graph.length, 16)
  return Buffer.concat([header(24 + graph.length), frame, graph])
}

/** The graph inside an object's plain message. */
const graphOf = async (value: unknown): Promise<Buffer> => (await messageOf(value)).subarray(5)

test.serial(
  'descriptors that are announced and do not come are an error, in both forms',
  async (t) => {
    const graph = await graphOf(null)
    for (const trusted of [true, false]) {
      for (const count of [1, 253, 254, 0xffff_ffff]) {
        const [raw, victim, peer] = attacked(trusted)
        const message = await announcing(graph, count)
        writeSync(raw, message)
        await t.throwsAsync(victim.recv(), { instanceOf: mp.UnpicklingError })
        writeSync(raw, message)
        t.throws(() => victim.recvSync(), { instanceOf: mp.UnpicklingError })
        await peer.send('next')
        t.is(await victim.recv(), 'next')
        peer.close()
        victim.close()
      }
    }
  },
)

/** Writes a message with a descriptor beside the byte at `at`, which must be 1. */
const writeWithDescriptor = (peer: Connection, message: Buffer, at: number, fd: number): void => {
  if (message[at] !== 1) throw new Error(`the byte is ${message[at]}`)
  if (at > 0) writeSync(peer.fileno(), message, 0, at)
  sendHandleSync(peer, fd, 0)
  if (at + 1 < message.length) writeSync(peer.fileno(), message, at + 1)
}

const countIs = async (expected: number): Promise<number> => {
  for (let i = 0; i < 50 && openDescriptorCount() !== expected; i++) await collectGarbage()
  return openDescriptorCount()
}

test.serial('a descriptor that no object takes is closed', async (t) => {
  const [raw, victim, peer] = attacked(false)
  t.true(raw > 2)
  await collectGarbage()
  const before = openDescriptorCount()
  const message = await announcing(await graphOf('nothing takes it'))
  for (let i = 0; i < 20; i++) {
    writeWithDescriptor(peer, message, 8, 1)
    t.is(await victim.recv(), 'nothing takes it')
  }
  t.is(await countIs(before), before)
  peer.close()
  victim.close()
})

test.serial(
  'descriptors beside messages that should have none are closed, and hurt no later message',
  async (t) => {
    const [, victim, peer] = attacked(true)
    await collectGarbage()
    const before = openDescriptorCount()
    const plain = await messageOf('plain')
    for (let i = 0; i < 20; i++) {
      writeWithDescriptor(peer, plain, 4, 1)
      t.is(await victim.recv(), 'plain')
      writeWithDescriptor(peer, Buffer.from([0, 0, 0, 1, 9]), 3, 1)
      t.is((await victim.recvBytes()).length, 1)
      writeWithDescriptor(peer, Buffer.from([0, 0, 0, 1, 9]), 3, 1)
      t.is(victim.recvBytesIntoSync(Buffer.alloc(4)), 1)
    }
    t.is(await countIs(before), before)
    const [c, d] = mp.Pipe()
    await peer.send(c)
    const came = await victim.recv<Connection>()
    t.true(came instanceof Connection)
    for (const connection of [c, d, came, peer, victim]) connection.close()
  },
)

test.serial('a malformed message with a descriptor hurts no later message', async (t) => {
  const [, victim, peer] = attacked(true)
  await collectGarbage()
  const before = openDescriptorCount()
  const message = await announcing(await graphOf('x'))
  message[5] = 7
  for (let i = 0; i < 5; i++) {
    writeWithDescriptor(peer, message, 8, 1)
    await t.throwsAsync(victim.recv(), { instanceOf: mp.UnpicklingError })
  }
  t.is(await countIs(before), before)
  const [c, d] = mp.Pipe()
  await peer.send(c)
  const came = await victim.recv<Connection>()
  t.true(came instanceof Connection)
  for (const connection of [c, d, came, peer, victim]) connection.close()
})

test.serial(
  'an object that is broken after its descriptor was taken closes it once, not twice',
  async (t) => {
    const { stdout, stderr } = await program(
      t,
      `
import { writeSync, openSync, fstatSync, readFileSync } from 'node:fs'
const [a, b] = mp.Pipe()
const [spy, seen] = mp.Pipe()
const [c, d] = mp.Pipe()
// The message of an object with a connection in it, its descriptor left out.
await spy.send([c, 'Q'])
const payload = await seen.recvBytes()
payload[payload.length - 1] = 0xff
payload[payload.length - 2] = 0xff
const header = Buffer.alloc(4)
header.writeInt32BE(payload.length)
const message = Buffer.concat([header, payload])
let failed = 0
for (let round = 0; round < 30; round++) {
  writeSync(a.fileno(), message, 0, 8)
  reduction.sendHandleSync(a, c.fileno())
  writeSync(a.fileno(), message, 9)
  await b.recv().catch(() => failed++)
  // These take the numbers that were just closed, if any were.
  const mine = Array.from({ length: 4 }, () => openSync('/dev/null'))
  for (let i = 0; i < 4; i++) {
    global.gc()
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
  for (const fd of mine) fstatSync(fd)
}
console.log(failed, 'untouched')
`,
      { execArgv: ['--expose-gc'] },
    )
    t.is(stdout, '30 untouched\n', stderr)
  },
)

test.serial('one descriptor that is taken twice is refused, and closed once', async (t) => {
  const [, victim, peer] = attacked(true)
  const [spy, seen] = mp.Pipe()
  const [c, d] = mp.Pipe()
  await spy.send([c, d])
  const payload = await seen.recvBytes()
  // Both now want the descriptor with number 0.
  const at = payload.indexOf(Buffer.from([0]), 24)
  t.true(at > 0)
  const graph = payload.subarray(24)
  const second = graph.lastIndexOf(1)
  t.true(second > 0)
  graph[second] = 0
  const message = await announcing(Buffer.from(graph))
  await collectGarbage()
  const before = openDescriptorCount()
  writeWithDescriptor(peer, message, 8, c.fileno())
  await t.throwsAsync(victim.recv(), { instanceOf: mp.UnpicklingError })
  t.is(await countIs(before), before)
  for (const connection of [spy, seen, c, d, peer, victim]) connection.close()
})

test.serial('strangers may send no functions and no classes', async (t) => {
  class Local {}
  t.truthy(Local)
  for (const value of [Math.max, [setTimeout], { f: process.exit }, Connection]) {
    const [raw, victim, peer] = attacked(false)
    const message = await messageOf(value)
    writeSync(raw, message)
    const async_ = await victim.recv().then(
      (came) => came,
      (error: unknown) => error,
    )
    t.true(async_ instanceof mp.UnpicklingError, String(value))
    writeSync(raw, message)
    t.throws(() => victim.recvSync(), { instanceOf: mp.UnpicklingError })
    await peer.send('next')
    t.is(await victim.recv(), 'next')
    peer.close()
    victim.close()
  }
})

test.serial('a module named by a stranger is not imported', async (t) => {
  const { stdout, stderr } = await program(
    t,
    `
import { closeSync, writeSync } from 'node:fs'
import { bomb } from './bomb.mjs'
const [a, b] = mp.Pipe()
const [c, d] = mp.Pipe()
await c.send(bomb)
const payload = await d.recvBytes()
const text = payload.toString('latin1').replace('bomb.mjs', 'evil.mjs')
const stranger = new connections.Connection(b.fileno())
await a.sendBytes(Buffer.from(text, 'latin1'))
try {
  console.log(await stranger.recv())
} catch (error) {
  console.log(error.name)
}
`,
    {
      files: {
        'bomb.mjs': 'export const bomb = () => 1',
        'evil.mjs': "console.log('imported'); export const bomb = () => 2",
      },
    },
  )
  t.is(stdout, 'UnpicklingError\n', stderr)
})

test.serial('a descriptor is not sent into the middle of a message', async (t) => {
  const [a, b] = mp.Pipe()
  const bytes = Buffer.alloc(5_000_000, 'm')
  const sending = a.sendBytes(bytes)
  t.throws(() => b.recvBytesSync({ timeout: 0 }), { instanceOf: mp.TimeoutError })
  t.throws(() => sendHandleSync(a, 1, null, { timeout: 20 }), { instanceOf: mp.TimeoutError })
  const following = sendHandle(a, 1)
  t.true(bytes.equals(await within('the message', b.recvBytes({ timeout: 5000 }))))
  await sending
  await following
  const handle = await within('the handle', recvHandle(b))
  t.true(handle > 2)
  closeSync(handle)
  a.close()
  b.close()
})
