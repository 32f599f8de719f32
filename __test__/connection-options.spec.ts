/** What connections refuse: wrong types, wrong ranges, wrong states, in both forms of every call. */
import { getEventListeners } from 'node:events'
import { closeSync, fstatSync, openSync } from 'node:fs'
import test from 'ava'
import * as mp from 'node-multiprocessing'
import { Connection, type Waitable, wait, waitSync } from 'node-multiprocessing/connection'
import { within } from './fixtures/connection-patience.js'
import { program } from './fixtures/process-programs.js'

type Outcome = { value: unknown } | { error: unknown }

/** What a call gives or throws, whether at once or in its Promise. */
const outcomeOf = async (call: () => unknown): Promise<Outcome> => {
  try {
    return { value: await call() }
  } catch (error) {
    return { error }
  }
}

const closeAll = (...connections: Connection[]): void => {
  for (const connection of connections) connection.close()
}

interface Call {
  readonly name: string
  run(connection: Connection, options?: unknown): unknown
}

const small = Buffer.from('abc')

/** Every call that receives, with options of its own. */
const receivers: Call[] = [
  { name: 'recv', run: (c, options) => c.recv(options as object) },
  { name: 'recvSync', run: (c, options) => c.recvSync(options as object) },
  { name: 'recvBytes', run: (c, options) => c.recvBytes(options as object) },
  { name: 'recvBytesSync', run: (c, options) => c.recvBytesSync(options as object) },
  {
    name: 'recvBytesInto',
    run: (c, options) => c.recvBytesInto(Buffer.alloc(9), options as object),
  },
  {
    name: 'recvBytesIntoSync',
    run: (c, options) => c.recvBytesIntoSync(Buffer.alloc(9), options as object),
  },
]

const pollers: Call[] = [
  { name: 'poll', run: (c, options) => c.poll(options as object) },
  { name: 'pollSync', run: (c, options) => c.pollSync(options as object) },
]

const senders: Call[] = [
  { name: 'send', run: (c, options) => c.send('abc', options as object) },
  { name: 'sendSync', run: (c, options) => c.sendSync('abc', options as object) },
  { name: 'sendBytes', run: (c, options) => c.sendBytes(small, options as object) },
  { name: 'sendBytesSync', run: (c, options) => c.sendBytesSync(small, options as object) },
]

/** No numbers of milliseconds. The last cannot even be turned into text. */
const noTimes: unknown[] = [Number.NaN, '5', true, 5n, {}, [], Symbol('time'), Object.create(null)]

for (const { name, run } of [...receivers, ...pollers]) {
  test.serial(
    `${name} refuses a timeout that is none, whether or not a message is there`,
    async (t) => {
      const [a, b] = mp.Pipe()
      for (const timeout of noTimes) {
        const early = await outcomeOf(() => within(name, Promise.resolve(run(b, { timeout }))))
        t.true('error' in early && early.error instanceof TypeError, `empty: ${typeof timeout}`)
      }
      await a.sendBytes(small)
      for (const timeout of noTimes) {
        const late = await outcomeOf(() => run(b, { timeout }))
        t.true('error' in late && late.error instanceof TypeError, `full: ${typeof timeout}`)
      }
      t.deepEqual(await b.recvBytes({ timeout: 1000 }), small, 'a refused call takes no message')
      closeAll(a, b)
    },
  )
}

for (const { name, run } of senders) {
  test.serial(`${name} refuses a timeout that is none, and sends nothing`, async (t) => {
    const [a, b] = mp.Pipe()
    for (const timeout of noTimes) {
      const outcome = await outcomeOf(() => run(a, { timeout }))
      t.true('error' in outcome && outcome.error instanceof TypeError, typeof timeout)
    }
    t.false(await b.poll(), 'nothing was sent')
    closeAll(a, b)
  })
}

test.serial('a large send with a timeout that is none leaves the stream whole', async (t) => {
  const [a, b] = mp.Pipe()
  const large = Buffer.alloc(8 << 20, 'L')
  await t.throwsAsync(a.sendBytes(large, { timeout: Number.NaN }), { instanceOf: TypeError })
  await t.throwsAsync(a.send({ large }, { timeout: 'soon' as never }), { instanceOf: TypeError })
  const sending = a.sendBytes(small)
  let last = await within('a whole message', b.recvBytes())
  if (last.length === large.length) last = await within('the next', b.recvBytes())
  t.deepEqual(last, small)
  await within('the small one is sent', sending)
  closeAll(a, b)
})

test.serial('an infinite timeout is for ever, a negative one is none', async (t) => {
  const [a, b] = mp.Pipe()
  for (const { run } of receivers) {
    for (const timeout of [-1, -Infinity, -0, 0]) {
      const outcome = await outcomeOf(() =>
        within('a zero timeout', Promise.resolve(run(b, { timeout }))),
      )
      t.true('error' in outcome && outcome.error instanceof mp.TimeoutError)
    }
  }
  for (const timeout of [-1, -Infinity, 0]) {
    t.false(await b.poll(timeout))
    t.false(b.pollSync(timeout))
    t.deepEqual(await wait([b], { timeout }), [])
    t.deepEqual(waitSync([b], { timeout }), [])
  }
  for (const timeout of [Infinity, null, 1e300, 2 ** 31, 2 ** 53]) {
    for (const { run } of receivers.filter(({ name }) => !name.endsWith('Sync'))) {
      const receiving = Promise.resolve(run(b, { timeout }))
      const waiting = wait([b], { timeout })
      await a.send('abc')
      await a.send('abc')
      t.truthy(await within('a receive', receiving))
      t.deepEqual(await within('a wait', waiting), [b])
      t.true(await b.poll({ timeout }))
      await b.recvBytes()
      const polling = b.poll({ timeout })
      await a.send('abc')
      t.true(await within('a poll', polling))
      await b.recvBytes()
    }
    for (const { run } of receivers.filter(({ name }) => name.endsWith('Sync'))) {
      await a.send('abc')
      t.truthy(run(b, { timeout }))
    }
  }
  closeAll(a, b)
})

test.serial('poll without a timeout does not wait, however that is said', async (t) => {
  const [a, b] = mp.Pipe()
  for (const options of [undefined, {}, { timeout: undefined }, 0, { timeout: 0 }]) {
    t.false(b.pollSync(options as never))
    t.false(await within(`poll(${JSON.stringify(options)})`, b.poll(options as never), 3000))
  }
  closeAll(a, b)
})

test.serial('options that are null are a TypeError, but where null is a time', async (t) => {
  const [a, b] = mp.Pipe()
  await a.send(1)
  for (const { name, run } of [...receivers, ...senders]) {
    const outcome = await outcomeOf(() => run(b, null))
    t.true('error' in outcome && outcome.error instanceof TypeError, name)
  }
  t.is(await b.recv({ timeout: 0 }), 1)
  closeAll(a, b)
})

test.serial('a signal that is none is a TypeError and nothing else happens', async (t) => {
  const [a, b] = mp.Pipe()
  await a.send('kept')
  for (const signal of [null, {}, 'abort', 1]) {
    for (const { name, run } of [...receivers, ...pollers, ...senders]) {
      if (name.endsWith('Sync') || signal === null) continue
      const outcome = await outcomeOf(() => run(name.includes('send') ? a : b, { signal }))
      t.true('error' in outcome && outcome.error instanceof TypeError, `${name} ${String(signal)}`)
    }
  }
  t.is(await b.recv({ timeout: 0 }), 'kept')
  t.false(await b.poll())
  closeAll(a, b)
})

test.serial('a signal that was aborted before wins over everything', async (t) => {
  const [a, b] = mp.Pipe()
  await a.send('kept')
  for (const reason of [new Error('mine'), 'text', 0, null, false]) {
    const signal = AbortSignal.abort(reason)
    for (const { name, run } of [...receivers, ...pollers, ...senders]) {
      if (name.endsWith('Sync')) continue
      const outcome = await outcomeOf(() => run(name.includes('send') ? a : b, { signal }))
      t.true('error' in outcome, name)
      if ('error' in outcome) t.is(outcome.error, reason, name)
    }
    const waited = await outcomeOf(() => wait([b], { signal }))
    t.deepEqual(waited, { error: reason })
  }
  t.is(await b.recv({ timeout: 0 }), 'kept')
  t.false(await b.poll())
  closeAll(a, b)
})

test.serial(
  'a signal that is aborted while waiting ends the wait, with whatever reason',
  async (t) => {
    const [a, b] = mp.Pipe()
    const calls = [...receivers, ...pollers].filter(({ name }) => !name.endsWith('Sync'))
    for (const reason of [new Error('mine'), 'text', 0, null, false]) {
      for (const { name, run } of calls) {
        const controller = new AbortController()
        const options = { signal: controller.signal, timeout: null }
        const waiting = outcomeOf(() => run(b, options))
        controller.abort(reason)
        t.deepEqual(await within(name, waiting), { error: reason }, name)
      }
      const controller = new AbortController()
      const waiting = outcomeOf(() => wait([b], { signal: controller.signal }))
      controller.abort(reason)
      t.deepEqual(await within('wait', waiting), { error: reason }, 'wait')
    }
    await a.send('whole')
    t.is(await b.recv(), 'whole')
    closeAll(a, b)
  },
)

test.serial('a signal that is aborted after the wait does nothing', async (t) => {
  const [a, b] = mp.Pipe()
  const controller = new AbortController()
  const receiving = b.recv({ signal: controller.signal })
  await a.send(1)
  t.is(await receiving, 1)
  controller.abort()
  await a.send(2)
  t.is(await b.recv(), 2)
  closeAll(a, b)
})

test.serial('waits leave nothing on a signal that lives longer', async (t) => {
  const [a, b] = mp.Pipe()
  const { signal } = new AbortController()
  for (let i = 0; i < 3; i++) {
    await t.throwsAsync(b.recv({ signal, timeout: 1 }), { instanceOf: mp.TimeoutError })
    t.false(await b.poll({ signal, timeout: 1 }))
    t.deepEqual(await wait([b], { signal, timeout: 1 }), [])
    await t.throwsAsync(a.sendBytes(Buffer.alloc(8 << 20), { signal, timeout: 1 }), {
      instanceOf: mp.TimeoutError,
    })
    await b.recvBytes({ signal })
    const receiving = b.recv({ signal })
    await a.send(1, { signal })
    await receiving
  }
  t.is(getEventListeners(signal, 'abort').length, 0)
  closeAll(a, b)
})

test.serial('an aborted wait leaves no timer that keeps the process alive', async (t) => {
  const timers = (): number =>
    process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
  const [a, b] = mp.Pipe()
  const before = timers()
  for (const start of [
    (signal: AbortSignal): Promise<unknown> => b.recv({ signal, timeout: 50_000 }),
    (signal: AbortSignal): Promise<unknown> => b.poll({ signal, timeout: 50_000 }),
    (signal: AbortSignal): Promise<unknown> => wait([b], { signal, timeout: 50_000 }),
    (signal: AbortSignal): Promise<unknown> =>
      a.sendBytes(Buffer.alloc(8 << 20), { signal, timeout: 50_000 }),
  ]) {
    const controller = new AbortController()
    const waiting = outcomeOf(() => start(controller.signal))
    controller.abort('enough')
    t.deepEqual(await waiting, { error: 'enough' })
  }
  t.is(timers(), before)
  closeAll(a, b)
})

test.serial(
  'every call on a closed connection is an OSError, but for close and the flags',
  async (t) => {
    const [a, b] = mp.Pipe()
    a.close()
    a.close()
    a[Symbol.dispose]()
    t.true(a.closed)
    t.true(a.readable)
    t.true(a.writable)
    const expected = { message: 'handle is closed' }
    for (const { name, run } of [...receivers, ...pollers, ...senders]) {
      const outcome = await outcomeOf(() => run(a, {}))
      t.true('error' in outcome && outcome.error instanceof mp.OSError, name)
      t.like((outcome as { error: Error }).error, expected, name)
    }
    t.throws(() => a.fileno(), { instanceOf: mp.OSError, ...expected })
    await t.throwsAsync(wait([a]), { instanceOf: mp.OSError, ...expected })
    t.throws(() => waitSync([a]), { instanceOf: mp.OSError, ...expected })
    await t.throwsAsync(b.send(a), { message: /handle is closed/ })
    b.close()
  },
)

test.serial('each end of a one-way pair refuses the other way, in both forms', async (t) => {
  const [reader, writer] = mp.Pipe(false)
  for (const { name, run } of senders) {
    const outcome = await outcomeOf(() => run(reader, {}))
    t.true('error' in outcome && outcome.error instanceof mp.OSError, name)
    t.like((outcome as { error: Error }).error, { message: 'connection is read-only' }, name)
  }
  for (const { name, run } of [...receivers, ...pollers]) {
    const outcome = await outcomeOf(() => run(writer, {}))
    t.true('error' in outcome && outcome.error instanceof mp.OSError, name)
    t.like((outcome as { error: Error }).error, { message: 'connection is write-only' }, name)
  }
  closeAll(reader, writer)
})

test.serial('who waits when the connection is closed gets an OSError', async (t) => {
  const [a, b] = mp.Pipe()
  const [c, d] = mp.Pipe()
  const large = Buffer.alloc(8 << 20)
  const waiting = [
    () => d.recv(),
    () => d.recvBytes(),
    () => d.recvBytesInto(Buffer.alloc(9)),
    () => d.poll(null),
    () => d.recv({ timeout: 60_000 }),
    () => a.sendBytes(large),
    () => a.send({ large }),
    () => a.send('last'),
  ].map(outcomeOf)
  a.close()
  d.close()
  for (const [index, waiter] of waiting.entries()) {
    const outcome = await within(`waiter ${index}`, waiter)
    t.true('error' in outcome && outcome.error instanceof mp.OSError)
    t.like((outcome as { error: Error }).error, { message: 'handle is closed' })
  }
  closeAll(b, c)
})

test.serial('wait ends when what it waits for is closed', async (t) => {
  const { code, signal, stdout } = await program(
    t,
    `
const [a, b] = mp.Pipe()
const [c, d] = mp.Pipe()
const waiting = connections.wait([b, d], { timeout: 5000 }).then(
  (ready) => console.log('ready', ready.length),
  (error) => console.log(error.name, error.message),
)
b.close()
await waiting
`,
  )
  t.deepEqual(
    { code, signal, stdout },
    { code: 0, signal: null, stdout: 'OSError handle is closed\n' },
  )
})

test.serial('wait ends when what it waits for is closed a moment later', async (t) => {
  const { code, signal, stdout } = await program(
    t,
    `
const [a, b] = mp.Pipe()
const waiting = connections.wait([b], { timeout: 5000 }).then(
  (ready) => console.log('ready', ready.length),
  (error) => console.log(error.name, error.message),
)
setTimeout(() => b.close(), 20)
await waiting
`,
  )
  t.deepEqual(
    { code, signal, stdout },
    { code: 0, signal: null, stdout: 'OSError handle is closed\n' },
  )
})

test.serial(
  'a descriptor number that is taken again is not confused with what was closed',
  async (t) => {
    const { code, signal, stdout } = await program(
      t,
      `
const [a, b] = mp.Pipe()
const forever = connections.wait([b], { timeout: 300 }).catch(() => [])
b.close()
const pairs = Array.from({ length: 4 }, () => mp.Pipe())
for (let round = 0; round < 2; round++) {
  for (const [left, right] of pairs) {
    const receiving = right.recv({ timeout: 5000 })
    await left.send('mine')
    console.log(await receiving)
  }
  await forever
}
`,
    )
    t.deepEqual({ code, signal, stdout }, { code: 0, signal: null, stdout: 'mine\n'.repeat(8) })
  },
)

test.serial('sendBytes checks its range', async (t) => {
  const [a, b] = mp.Pipe()
  const bytes = Buffer.from('abcdef')
  const wrong: [object, unknown, RegExp][] = [
    [{ offset: -1 }, mp.ValueError, /^offset is negative$/],
    [{ offset: 7 }, mp.ValueError, /^buffer length < offset$/],
    [{ size: -1 }, mp.ValueError, /^size is negative$/],
    [{ size: 7 }, mp.ValueError, /^buffer length < offset \+ size$/],
    [{ offset: 4, size: 3 }, mp.ValueError, /^buffer length < offset \+ size$/],
    [{ offset: 2 ** 53 }, mp.ValueError, /offset/],
    [{ size: 2 ** 53 }, mp.ValueError, /size/],
    [{ offset: 1, size: Number.MAX_SAFE_INTEGER }, mp.ValueError, /size/],
    [{ offset: 0.5 }, TypeError, /offset/],
    [{ size: 0.5 }, TypeError, /size/],
    [{ offset: Number.NaN }, TypeError, /offset/],
    [{ size: Infinity }, TypeError, /size/],
    [{ offset: '1' }, TypeError, /offset/],
    [{ size: 1n }, TypeError, /size/],
  ]
  for (const [options, type, message] of wrong) {
    const expected = { instanceOf: type as typeof Error, message }
    await t.throwsAsync(a.sendBytes(bytes, options), expected)
    t.throws(() => a.sendBytesSync(bytes, options), expected)
  }
  t.false(await b.poll())
  for (const options of [
    { offset: 6 },
    { offset: 6, size: 0 },
    { offset: 2, size: null as never },
  ]) {
    const sent = bytes.subarray(
      options.offset,
      'size' in options && options.size === 0 ? 6 : undefined,
    )
    await a.sendBytes(bytes, options)
    t.deepEqual(await b.recvBytes(), sent)
    a.sendBytesSync(bytes, options)
    t.deepEqual(b.recvBytesSync(), sent)
  }
  closeAll(a, b)
})

test.serial('bytes are wanted where bytes are sent or received', async (t) => {
  const [a, b] = mp.Pipe()
  await a.sendBytes(small)
  for (const nothing of ['text', 5, null, undefined, {}, [1, 2], new Set(), Symbol('s')]) {
    const wrong = nothing as never
    await t.throwsAsync(a.sendBytes(wrong), { instanceOf: TypeError })
    t.throws(() => a.sendBytesSync(wrong), { instanceOf: TypeError })
    await t.throwsAsync(b.recvBytesInto(wrong), { instanceOf: TypeError })
    t.throws(() => b.recvBytesIntoSync(wrong), { instanceOf: TypeError })
  }
  const detached = new ArrayBuffer(8)
  structuredClone(detached, { transfer: [detached] })
  await t.throwsAsync(a.sendBytes(detached), { instanceOf: TypeError })
  t.deepEqual(await b.recvBytes(), small)
  t.false(await b.poll())
  closeAll(a, b)
})

test.serial('every kind of view and buffer is bytes', async (t) => {
  const [a, b] = mp.Pipe()
  const bytes = Buffer.from('0123456789abcdef')
  const plain = new Uint8Array(bytes).buffer
  const shared = new SharedArrayBuffer(16)
  new Uint8Array(shared).set(bytes)
  const views: (ArrayBufferView | ArrayBufferLike)[] = [
    plain,
    shared,
    new DataView(plain),
    new DataView(shared),
    new Float64Array(plain),
    new BigInt64Array(shared),
    new Uint16Array(plain),
    new Uint8ClampedArray(plain),
  ]
  for (const view of views) {
    await a.sendBytes(view)
    t.deepEqual(await b.recvBytes(), bytes)
    a.sendBytesSync(view)
    t.deepEqual(b.recvBytesSync(), bytes)
  }
  for (const make of [
    (): ArrayBufferLike => new ArrayBuffer(24),
    (): ArrayBufferLike => new SharedArrayBuffer(24),
  ]) {
    for (const wrap of [
      (buffer: ArrayBufferLike): ArrayBufferView | ArrayBufferLike => buffer,
      (buffer: ArrayBufferLike): ArrayBufferView | ArrayBufferLike => new DataView(buffer),
      (buffer: ArrayBufferLike): ArrayBufferView | ArrayBufferLike => new Float64Array(buffer),
    ]) {
      const [one, two] = [make(), make()]
      await a.sendBytes(bytes)
      t.is(await b.recvBytesInto(wrap(one), 8), 16)
      t.deepEqual(Buffer.from(new Uint8Array(one).slice(8)), bytes)
      a.sendBytesSync(bytes)
      t.is(b.recvBytesIntoSync(wrap(two), { offset: 8 }), 16)
      t.deepEqual(Buffer.from(new Uint8Array(two).slice(8)), bytes)
    }
  }
  closeAll(a, b)
})

test.serial('recvBytesInto checks its offset and takes nothing then', async (t) => {
  const [a, b] = mp.Pipe()
  await a.sendBytes(small)
  const wrong: [unknown, unknown, RegExp][] = [
    [-1, mp.ValueError, /^negative offset$/],
    [10, mp.ValueError, /^offset too large$/],
    [2 ** 53, mp.ValueError, /^offset too large$/],
    [0.5, TypeError, /offset/],
    [Number.NaN, TypeError, /offset/],
    [{ offset: '1' }, TypeError, /offset/],
    [{ offset: -1 }, mp.ValueError, /^negative offset$/],
  ]
  for (const [offset, type, message] of wrong) {
    const expected = { instanceOf: type as typeof Error, message }
    await t.throwsAsync(b.recvBytesInto(Buffer.alloc(9), offset as number), expected)
    t.throws(() => b.recvBytesIntoSync(Buffer.alloc(9), offset as number), expected)
  }
  t.deepEqual(await b.recvBytes({ timeout: 0 }), small)
  closeAll(a, b)
})

test.serial(
  'a message that does not fit the buffer is in the error, whole, and the next one is next',
  async (t) => {
    const [a, b] = mp.Pipe()
    for (const length of [1, 5, 65_536, 65_537, 150_000]) {
      const message = Buffer.alloc(length, 'm')
      for (const room of [0, length - 1]) {
        for (const sync of [false, true]) {
          const sending = Promise.all([a.sendBytes(message), a.sendBytes(small)])
          const target = Buffer.alloc(room, '.')
          const outcome = await outcomeOf(() =>
            sync ? b.recvBytesIntoSync(target) : b.recvBytesInto(target),
          )
          const { error } = outcome as { error: mp.BufferTooShort }
          t.true(error instanceof mp.BufferTooShort)
          t.true(message.equals(error.data))
          t.is(error.code, 'ERR_BUFFER_TOO_SHORT')
          t.true(target.equals(Buffer.alloc(room, '.')), 'the buffer is as it was')
          t.deepEqual(await b.recvBytes(), small)
          await sending
        }
      }
    }
    closeAll(a, b)
  },
)

for (const sync of [false, true]) {
  const form = sync ? 'Sync' : 'Promise'
  const take = async (c: Connection, maxLength: unknown): Promise<Buffer> => {
    const options = { maxLength: maxLength as number }
    return sync ? c.recvBytesSync(options) : await c.recvBytes(options)
  }

  test.serial(
    `maxLength: what is allowed comes, what is longer ends the receiving [${form}]`,
    async (t) => {
      const [a, b] = mp.Pipe()
      for (const nothing of [null, undefined]) {
        await a.sendBytes(small)
        t.deepEqual(await take(b, nothing), small)
      }
      await a.sendBytes(Buffer.alloc(0))
      t.is((await take(b, 0)).length, 0)
      await a.sendBytes(small)
      for (const [wrong, type] of [
        [-1, mp.ValueError],
        [-Infinity, TypeError],
        [0.5, TypeError],
        [Number.NaN, TypeError],
        ['9', TypeError],
        [9n, TypeError],
      ] as const) {
        await t.throwsAsync(take(b, wrong), { instanceOf: type })
      }
      t.deepEqual(await take(b, 3), small)
      await a.sendBytes(small)
      await a.sendBytes(Buffer.from('never seen'))
      const bad = { instanceOf: mp.OSError, message: 'bad message length' }
      await t.throwsAsync(take(b, 2), bad)
      t.false(b.closed, 'it can still send')
      await t.throwsAsync(take(b, 100), { instanceOf: mp.OSError })
      await t.throwsAsync(within('recv', b.recv()), { instanceOf: mp.OSError })
      t.throws(() => b.recvSync({ timeout: 0 }), { instanceOf: mp.OSError })
      await t.throwsAsync(b.recvBytesInto(Buffer.alloc(99)), { instanceOf: mp.OSError })
      t.throws(() => b.recvBytesIntoSync(Buffer.alloc(99)), { instanceOf: mp.OSError })
      await b.send('the other way')
      t.is(await a.recv(), 'the other way')
      closeAll(a, b)
    },
  )

  test.serial(
    `maxLength: a read-only connection that got a longer message is closed [${form}]`,
    async (t) => {
      const [reader, writer] = mp.Pipe(false)
      await writer.sendBytes(small)
      const bad = { instanceOf: mp.OSError, message: 'bad message length' }
      await t.throwsAsync(take(reader, 2), bad)
      t.true(reader.closed)
      await t.throwsAsync(take(reader, 2), { message: 'handle is closed' })
      const pipe = { instanceOf: mp.OSError, code: 'EPIPE' }
      await t.throwsAsync(writer.sendBytes(small), pipe)
      writer.close()
    },
  )
}

test.serial(
  'maxLength of one receiver does not hurt those behind it before their time',
  async (t) => {
    const [a, b] = mp.Pipe()
    const first = b.recvBytes({ maxLength: 5 })
    const second = outcomeOf(() => b.recvBytes({ maxLength: 2 }))
    const third = outcomeOf(() => b.recv())
    await a.sendBytes(small)
    await a.sendBytes(small)
    t.deepEqual(await first, small)
    for (const waiting of [second, third]) {
      const outcome = await within('who waits behind a refused message', waiting)
      t.true('error' in outcome && outcome.error instanceof mp.OSError)
    }
    closeAll(a, b)
  },
)

test.serial('a Connection is made of an open descriptor only', (t) => {
  for (const fd of [
    -1,
    1.5,
    Number.NaN,
    Infinity,
    '3',
    null,
    undefined,
    3n,
    {},
    2 ** 31,
    2 ** 32,
  ]) {
    t.throws(() => new Connection(fd as number), {
      instanceOf: mp.ValueError,
      message: /^invalid handle/,
    })
  }
  const bad = { instanceOf: mp.OSError, code: 'EBADF' }
  t.throws(() => new Connection(2 ** 31 - 1), bad)
  const fd = openSync('/dev/null', 'r')
  closeSync(fd)
  t.throws(() => new Connection(fd), bad)
  t.throws(() => new Connection(1, { readable: false, writable: false }), {
    instanceOf: mp.ValueError,
    message: 'at least one of readable and writable must be true',
  })
  t.throws(() => new Connection(1, null as never), { instanceOf: TypeError })
})

test.serial('fileno is the descriptor that was given, and close closes it', (t) => {
  const fd = openSync('/dev/null', 'r+')
  const connection = new Connection(fd)
  t.is(connection.fileno(), fd)
  t.false(connection.trusted)
  connection.close()
  t.throws(() => fstatSync(fd), { code: 'EBADF' })
})

test.serial('wait refuses what cannot be waited for, in both forms', async (t) => {
  for (const thing of ['text', null, undefined, {}, 1.5, Number.NaN, [], { fileno: 3 }]) {
    await t.throwsAsync(wait([thing as never]), { instanceOf: TypeError })
    t.throws(() => waitSync([thing as never]), { instanceOf: TypeError })
  }
  for (const fd of [-1, -1000]) {
    await t.throwsAsync(wait([fd]), { instanceOf: mp.ValueError })
    t.throws(() => waitSync([fd]), { instanceOf: mp.ValueError })
  }
  for (const fd of [2 ** 31, 2 ** 32 + 1, 2 ** 53]) {
    await t.throwsAsync(wait([fd], { timeout: 0 }), { instanceOf: mp.OSError })
    t.throws(() => waitSync([fd], { timeout: 0 }), { instanceOf: mp.OSError })
  }
  await t.throwsAsync(wait([2 ** 31 - 1]), { instanceOf: mp.OSError, code: 'EBADF' })
  t.throws(() => waitSync([2 ** 31 - 1]), { instanceOf: mp.OSError, code: 'EBADF' })
  for (const list of [null, undefined, 5, {}]) {
    await t.throwsAsync(wait(list as never), { instanceOf: TypeError })
    t.throws(() => waitSync(list as never), { instanceOf: TypeError })
  }
  for (const timeout of noTimes) {
    await t.throwsAsync(within('wait', wait([], { timeout: timeout as number })), {
      instanceOf: TypeError,
    })
    t.throws(() => waitSync([], { timeout: timeout as number }), { instanceOf: TypeError })
  }
  t.deepEqual(await wait([], { timeout: 1 }), [])
  t.deepEqual(waitSync([], { timeout: 1 }), [])
})

test.serial(
  'wait gives what is ready in the order given, the same thing twice too, from any iterable',
  async (t) => {
    const pairs = Array.from({ length: 60 }, () => mp.Pipe())
    const ends = pairs.map(([, end]) => end)
    t.deepEqual(await wait(ends, { timeout: 1 }), [])
    const waiting = wait(new Set<Waitable>([...ends].reverse()))
    await pairs[7]![0].send(1)
    t.deepEqual(await within('one is ready', waiting), [ends[7]!])
    await pairs[41]![0].send(1)
    pairs[3]![0].close()
    const twice = [...ends, ...ends, ends[41]!.fileno()]
    const expected = [ends[3], ends[7], ends[41], ends[3], ends[7], ends[41], ends[41]!.fileno()]
    t.deepEqual(await wait(twice), expected as Waitable[])
    t.deepEqual(waitSync(twice), expected as Waitable[])
    for (const pair of pairs) closeAll(...pair)
  },
)

test.serial('Pipe takes a boolean or options', (t) => {
  for (const options of [undefined, true, {}, { duplex: true }, { duplex: undefined as never }]) {
    const [a, b] = mp.Pipe(options as boolean)
    t.true(a.readable && a.writable && b.readable && b.writable)
    closeAll(a, b)
  }
  for (const wrong of [null, 'one-way', 1, 5n, Symbol('s')]) {
    t.throws(() => mp.Pipe(wrong as never), { instanceOf: TypeError })
  }
  for (const wrong of [null, 0, '', 'false']) {
    t.throws(() => mp.Pipe({ duplex: wrong as never }), { instanceOf: TypeError })
  }
})
