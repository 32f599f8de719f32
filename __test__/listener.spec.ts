/** Listeners and clients: addresses, keys, time, and peers who mean no good. */
import { existsSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import * as mp from 'node-multiprocessing'
import {
  type Address,
  addressType,
  arbitraryAddress,
  Client,
  ClientSync,
  type Connection,
  defaultFamily,
  families,
  Listener,
  type ListenerOptions,
} from 'node-multiprocessing/connection'
import { connectOften, leaveListener, sendFunction } from './fixtures/listener.js'
import { collectGarbage } from './helpers/garbage.js'
import { resourcesOf } from './helpers/resources.js'
import { temporaryFolder } from './helpers/temporary-folder.js'
import { until } from './helpers/until.js'
import { underWatchdog } from './helpers/watchdog.js'

/** A test under a watchdog. */
const timed = (title: string, run: (t: ExecutionContext) => Promise<void> | void): void => {
  test.serial(title, (t) => underWatchdog(() => run(t)))
}

const listen = (
  t: ExecutionContext,
  address?: Address | null,
  options?: ListenerOptions,
): Listener => {
  const listener = new Listener(address, options)
  t.teardown(() => listener.close())
  return listener
}

const closing = (t: ExecutionContext, ...connections: Connection[]): void => {
  t.teardown(() => {
    for (const connection of connections) connection.close()
  })
}

const key = Buffer.from('a secret')

/** Both ends of a new connection. */
const met = async (
  t: ExecutionContext,
  listener: Listener,
  authkey?: Uint8Array,
): Promise<[Connection, Connection]> => {
  const [ours, theirs] = await Promise.all([
    listener.accept(),
    Client(listener.address, { authkey }),
  ])
  closing(t, ours, theirs)
  return [ours, theirs]
}

const meetings: readonly [string, () => Address | null, RegExp | null][] = [
  ['a host name', () => ['localhost', 0], /^127\.0\.0\.1$/],
  ['an IPv4 address', () => ['127.0.0.1', 0], /^127\.0\.0\.1$/],
  ['no host', () => ['', 0], /^0\.0\.0\.0$/],
  ['an IPv6 address', () => ['::1', 0], /^::1$/],
  ['nothing', () => null, null],
  ['an abstract name', () => `\0mp-test-${process.pid}`, null],
  ['an abstract name in bytes', () => Buffer.from(`\0mp-test-${process.pid}\xff`, 'latin1'), null],
]

for (const [what, address, host] of meetings) {
  for (const authkey of [undefined, key]) {
    timed(`${what}, ${authkey ? 'with' : 'without'} a key`, async (t) => {
      const listener = listen(t, address(), { authkey })
      t.is(listener.lastAccepted, null)
      if (host !== null) t.regex((listener.address as [string, number])[0], host)
      const [ours, theirs] = await met(t, listener, authkey)
      t.deepEqual([ours.trusted, theirs.trusted], [authkey !== undefined, authkey !== undefined])
      await theirs.send({ list: [1, new Map([['k', 2n]])] })
      t.deepEqual(await ours.recv(), { list: [1, new Map([['k', 2n]])] })
      t.is(typeof listener.lastAccepted, host === null ? 'string' : 'object')
    })
  }
}

timed('without a key nothing comes that runs code', async (t) => {
  const [ours, theirs] = await met(t, listen(t))
  await theirs.send(met)
  await t.throwsAsync(ours.recv(), { instanceOf: mp.UnpicklingError })
  await theirs.send('data')
  t.is(await ours.recv(), 'data')
})

timed('with the key of the program functions come', async (t) => {
  const listener = listen(t, null, { authkey: mp.currentProcess().authkey })
  const p = new mp.Process({ target: sendFunction, args: [listener.address] })
  p.start()
  const connection = await listener.accept()
  t.is((await connection.recv())(21), 42)
  connection.close()
  await p.join()
  t.is(p.exitcode, 0)
})

timed('arguments are looked at', (t) => {
  const strange = (value: unknown): never => value as never
  const type = { instanceOf: TypeError }
  const value = { instanceOf: mp.ValueError }
  const before = resourcesOf().descriptors.length
  t.throws(() => new Listener(null, { authkey: strange('text') }), {
    ...type,
    message: 'authkey should be a byte string',
  })
  t.throws(() => new Listener(null, { family: strange('AF_IPX') }), value)
  t.throws(() => new Listener(strange(7)), value)
  t.throws(() => new Listener(['localhost', 70_000]), value)
  t.throws(() => new Listener(['localhost', strange('x')]), type)
  t.throws(() => new Listener(['localhost', 0], { family: 'AF_UNIX' }), type)
  t.throws(() => new Listener('/a/path', { family: 'AF_INET' }), type)
  t.throws(() => new Listener('/a\0b'), value)
  t.throws(() => new Listener(null, { backlog: 1.5 }), type)
  t.throws(() => new Listener(null, { mode: 0o1000 }), type)
  t.throws(() => new Listener(`/tmp/${'x'.repeat(200)}`), {
    instanceOf: mp.OSError,
    code: 'ENAMETOOLONG',
  })
  t.throws(() => new Listener(['no.such.host.invalid', 0]), { instanceOf: mp.OSError })
  t.throws(() => ClientSync('/tmp', { authkey: strange('text') }), type)
  t.throws(() => ClientSync('\\\\.\\pipe\\x'), {
    ...value,
    message: 'Family AF_PIPE is not recognized.',
  })
  t.is(resourcesOf().descriptors.length, before)
})

timed('nobody listens', async (t) => {
  const folder = temporaryFolder(t)
  const missing = { instanceOf: mp.FileNotFoundError, code: 'ENOENT' }
  await t.throwsAsync(Client(join(folder, 'nothing')), missing)
  t.throws(() => ClientSync(join(folder, 'nothing')), missing)
  const listener = new Listener(['127.0.0.1', 0])
  const { address } = listener
  listener.close()
  const refused = { instanceOf: mp.OSError, code: 'ECONNREFUSED' }
  await t.throwsAsync(Client(address), refused)
  t.throws(() => ClientSync(address), refused)
  await t.throwsAsync(Client(['no.such.host.invalid', 1]), {
    instanceOf: mp.OSError,
    message: /no address for the host/,
  })
})

test('families and their addresses', (t) => {
  t.deepEqual(families, ['AF_INET', 'AF_UNIX'])
  t.is(defaultFamily, 'AF_UNIX')
  t.is(addressType(['localhost', 1]), 'AF_INET')
  t.is(addressType(['::1', 1]), 'AF_INET6')
  t.is(addressType('/a/path'), 'AF_UNIX')
  t.is(addressType('\0name'), 'AF_UNIX')
  t.is(addressType(Buffer.from('\0name')), 'AF_UNIX')
  t.is(addressType('\\\\.\\pipe\\x'), 'AF_PIPE')
  t.throws(() => addressType(7), { instanceOf: mp.ValueError, message: /unrecognized/ })
  t.deepEqual(arbitraryAddress('AF_INET'), ['localhost', 0])
  t.not(arbitraryAddress('AF_UNIX'), arbitraryAddress('AF_UNIX'))
  t.throws(() => arbitraryAddress('AF_IPX'), { message: 'unrecognized family' })
})

timed('a socket file is its owner’s alone, or as it was asked for, and goes', (t) => {
  const path = join(temporaryFolder(t), 'socket')
  const modeOf = (): number => statSync(path).mode & 0o777
  const own = new Listener(path)
  t.is(modeOf() & 0o077, 0)
  own.close()
  t.false(existsSync(path))
  own.close()
  const open = new Listener(path, { mode: 0o666 })
  t.is(modeOf(), 0o666)
  // A file that is not the listener's any more stays.
  rmSync(path)
  writeFileSync(path, 'another')
  open.close()
  t.true(existsSync(path))
})

timed('the socket file of a process that ends is removed', async (t) => {
  const [ours, theirs] = mp.Pipe()
  const p = new mp.Process({ target: leaveListener, args: [theirs] })
  p.start()
  const address: string = await ours.recv()
  await p.join()
  t.is(p.exitcode, 0)
  t.false(existsSync(address))
  for (const each of [ours, theirs]) each.close()
})

timed('a listener that nobody has any more is closed, and its file goes', async (t) => {
  const abandon = (): string => new Listener().address as string
  const address = abandon()
  t.true(existsSync(address))
  await collectGarbage()
  await until('the file is gone', () => !existsSync(address))
  await t.throwsAsync(Client(address), { code: 'ENOENT' })
  // One that somebody waits at stays.
  let path = ''
  const accepting = (() => {
    const listener = new Listener()
    path = listener.address as string
    return listener.accept()
  })()
  await collectGarbage()
  closing(t, await Client(path), await accepting)
})

timed('time and signals', async (t) => {
  const listener = listen(t)
  const late = { instanceOf: mp.TimeoutError }
  await t.throwsAsync(listener.accept({ timeout: 5 }), late)
  t.throws(() => listener.acceptSync({ timeout: 5 }), late)
  t.throws(() => listener.acceptSync({ timeout: 0 }), late)
  const reason = new Error('enough')
  await t.throwsAsync(listener.accept({ signal: AbortSignal.abort(reason) }), { is: reason })
  const abort = new AbortController()
  const accepting = listener.accept({ signal: abort.signal })
  abort.abort(reason)
  t.is(await t.throwsAsync(accepting), reason)
  // Nobody accepts, so nobody answers.
  await t.throwsAsync(Client(listener.address, { authkey: key, timeout: 5 }), late)
  t.throws(() => ClientSync(listener.address, { authkey: key, timeout: 5 }), late)
})

timed('a full line is waited for', async (t) => {
  const listener = listen(t, null, { backlog: 0 })
  const early: Connection[] = []
  await t.throwsAsync(
    (async () => {
      for (;;) early.push(await Client(listener.address, { timeout: 100 }))
    })(),
    { instanceOf: mp.TimeoutError },
  )
  closing(t, ...early)
  t.throws(() => ClientSync(listener.address, { timeout: 20 }), { instanceOf: mp.TimeoutError })
  const waiting = Client(listener.address)
  for (let i = 0; i <= early.length; i++) closing(t, await listener.accept())
  closing(t, await waiting)
})

timed('a listener that is closed tells who waits', async (t) => {
  for (const authkey of [undefined, key]) {
    const listener = new Listener({ authkey })
    const waiting = [listener.accept(), listener.accept()]
    t.false(listener.closed)
    listener.close()
    t.true(listener.closed)
    for (const each of waiting) await t.throwsAsync(each, { message: 'listener is closed' })
    t.throws(() => listener.fileno(), { message: 'listener is closed' })
  }
})

timed('processes that connect all at once are all let in', async (t) => {
  const listener = listen(t, ['127.0.0.1', 0], { authkey: key, backlog: 50 })
  const children = Array.from({ length: 4 }, () => {
    const p = new mp.Process({ target: connectOften, args: [listener.address, key, 25] })
    p.start()
    return p
  })
  const seen = new Set<string>()
  for (let i = 0; i < 100; i++) {
    const connection = await listener.accept()
    seen.add(String(await connection.recv()))
    connection.close()
  }
  t.is(seen.size, 100)
  for (const p of children) {
    await p.join()
    t.is(p.exitcode, 0)
  }
})

timed('another key is an error for both, in both forms', async (t) => {
  const listener = listen(t, null, { authkey: key })
  const before = resourcesOf().descriptors.length
  const sent = { instanceOf: mp.AuthenticationError, message: 'digest sent was rejected' }
  const received = { instanceOf: mp.AuthenticationError, message: 'digest received was wrong' }
  const wrong = Buffer.from('another')
  let accepting = t.throwsAsync(listener.accept(), received)
  await t.throwsAsync(Client(listener.address, { authkey: wrong }), sent)
  await accepting
  const connecting = t.throwsAsync(Client(listener.address, { authkey: wrong }), sent)
  t.throws(
    () => {
      // The client answers when the event loop turns.
      for (;;) listener.acceptSync({ timeout: 0 })
    },
    { instanceOf: mp.TimeoutError },
  )
  accepting = t.throwsAsync(listener.accept(), received)
  await Promise.all([accepting, connecting])
  await met(t, listener, key)
  await until('the refused ones are closed', () => resourcesOf().descriptors.length === before + 2)
})

/** Connects and sends bytes, or nothing. */
const stranger = async (t: ExecutionContext, listener: Listener, ...pieces: Buffer[]) => {
  const [host, port] = listener.address as [string, number]
  const socket: Socket = connect(port, host)
  t.teardown(() => socket.destroy())
  socket.on('error', () => {})
  for (const piece of pieces) socket.write(piece)
  await new Promise<void>((resolve) => socket.once('connect', () => resolve()))
  return socket
}

const hostile: readonly [string, Buffer, RegExp][] = [
  ['a giant length', Buffer.from('7fffffff', 'hex'), /bad message length/],
  ['a giant long length', Buffer.from('ffffffffffffffffffffffff', 'hex'), /bad message length/],
  ['a negative length', Buffer.from('80000000', 'hex'), /bad message length/],
  [
    'one byte too many',
    Buffer.concat([Buffer.from('00000101', 'hex'), Buffer.alloc(257)]),
    /bad message length/,
  ],
  ['another protocol', Buffer.from('GET / HTTP/1.1\r\n\r\n'), /bad message length/],
  ['an empty answer', Buffer.from('00000000', 'hex'), /missing digest prefix/],
  [
    'an old answer that is wrong',
    Buffer.concat([Buffer.from('00000010', 'hex'), Buffer.alloc(16)]),
    /digest received was wrong/,
  ],
  [
    'an answer of the wrong length',
    Buffer.from('\0\0\0\x0b{sha256}abc', 'latin1'),
    /expected 'sha256' of length 32 got 3/,
  ],
  [
    'a digest that is not allowed',
    Buffer.from('\0\0\0\x0a{crc32}abc', 'latin1'),
    /unsupported digest/,
  ],
]

for (const form of ['Promise', 'Sync'] as const) {
  timed(`peers that say what is wrong, ${form} form`, async (t) => {
    const listener = listen(t, ['127.0.0.1', 0], { authkey: key, backlog: 20 })
    for (const [what, bytes, message] of hostile) {
      await stranger(t, listener, bytes)
      const accept = async () =>
        form === 'Promise' ? await listener.accept() : listener.acceptSync()
      await t.throwsAsync(accept(), { instanceOf: mp.AuthenticationError, message }, what)
    }
    await met(t, listener, key)
  })
}

timed('three hundred who never speak hold up nobody', async (t) => {
  const listener = listen(t, ['127.0.0.1', 0], { authkey: key, backlog: 400 })
  const silent: Socket[] = []
  for (let i = 0; i < 300; i++) silent.push(await stranger(t, listener))
  const start = performance.now()
  await met(t, listener, key)
  // In the form that blocks, too; a child is the honest one, as nothing turns here.
  const p = new mp.Process({ target: connectOften, args: [listener.address, key, 1] })
  p.start()
  const connection = listener.acceptSync()
  connection.recvSync()
  connection.close()
  await p.join()
  t.true(performance.now() - start < 9000, 'none was waited for until its time was over')
  for (const socket of silent) socket.destroy()
})

timed('who is slow or leaves is not mentioned, and goes', async (t) => {
  const options = { authkey: key, backlog: 20, handshakeTimeout: 200 }
  const listener = listen(t, ['127.0.0.1', 0], options)
  const accepting = listener.accept()
  const before = resourcesOf().descriptors.length
  const closed = (socket: Socket): Promise<void> =>
    new Promise((resolve) => {
      socket.resume()
      socket.once('close', () => resolve())
    })
  const silent = await stranger(t, listener)
  const slow = await stranger(t, listener, Buffer.from('000000ff', 'hex'))
  const drip = setInterval(() => slow.write(Buffer.from('00', 'hex')), 60)
  const leaving = await stranger(t, listener, Buffer.from('00', 'hex'))
  leaving.destroy()
  await Promise.all([closed(silent), closed(slow)])
  clearInterval(drip)
  await until('all are gone', () => resourcesOf().descriptors.length <= before)
  const client = await Client(listener.address, { authkey: key })
  closing(t, client, await accepting)
  // In the form that blocks it is the same: none of these ends the wait.
  await stranger(t, listener)
  const half = await stranger(t, listener, Buffer.from('0000', 'hex'))
  half.destroy()
  t.throws(() => listener.acceptSync({ timeout: 600 }), { instanceOf: mp.TimeoutError })
  await until('all are gone again', () => resourcesOf().descriptors.length <= before + 3)
})

timed('a server that is not one is an error for the client', async (t) => {
  const fake = listen(t, ['127.0.0.1', 0], { backlog: 5 })
  const answers: readonly [string, RegExp][] = [
    ['something else', /Protocol error, expected challenge/],
    ['#CHALLENGE#short', /challenge too short: 5 bytes/],
    [`#CHALLENGE#{crc32}${'x'.repeat(40)}`, /unsupported digest/],
  ]
  for (const [answer, message] of answers) {
    const connecting = Client(fake.address, { authkey: key })
    const connection = await fake.accept()
    await connection.sendBytes(Buffer.from(answer))
    await t.throwsAsync(connecting, { instanceOf: mp.AuthenticationError, message })
    connection.close()
  }
  const connecting = Client(fake.address, { authkey: key })
  const connection = await fake.accept()
  connection.close()
  await t.throwsAsync(connecting, { instanceOf: mp.EOFError })
})

timed('who echoes the challenge proves nothing', async (t) => {
  const listener = listen(t, ['127.0.0.1', 0], { authkey: key })
  const accepting = t.throwsAsync(listener.accept(), { instanceOf: mp.AuthenticationError })
  const mirror = await Client(listener.address)
  closing(t, mirror)
  const challenge = await mirror.recvBytes()
  await mirror.sendBytes(challenge)
  await accepting
  t.is((await mirror.recvBytes()).toString(), '#FAILURE#')
})
