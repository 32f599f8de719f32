/** CPython on the other end of listeners and clients: both generations of the handshake, both directions. */
import { spawn } from 'node:child_process'
import test, { type ExecutionContext } from 'ava'
import * as mp from 'node-multiprocessing'
import {
  type Address,
  Client,
  ClientSync,
  type Connection,
  Listener,
} from 'node-multiprocessing/connection'
import { beside, pythons } from '../helpers/pythons.js'
import { underWatchdog } from '../helpers/watchdog.js'

const pythonClient = `
import sys, ast
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client
address, key = ast.literal_eval(sys.argv[1]), ast.literal_eval(sys.argv[2])
try:
    with Client(address, authkey=key) as c:
        c.send_bytes(b'from Python')
        big = c.recv_bytes()
        c.send_bytes(big[::-1])
        print(len(big), c.recv_bytes() == b'')
except AuthenticationError as e:
    print('AuthenticationError', e)
`

const pythonListener = `
import sys, ast
from multiprocessing import AuthenticationError
from multiprocessing.connection import Listener
address, key = ast.literal_eval(sys.argv[1]), ast.literal_eval(sys.argv[2])
with Listener(address, authkey=key) as l:
    print(repr(l.address), flush=True)
    try:
        with l.accept() as c:
            c.send_bytes(b'from Python')
            big = c.recv_bytes()
            c.send_bytes(big[::-1])
            print(len(big), c.recv_bytes() == b'')
    except AuthenticationError as e:
        print('AuthenticationError', e)
`

const big = Buffer.from(Uint8Array.from({ length: 1_000_000 }, (_, i) => i * 7))

/** Talks to either of the scripts. */
const talk = async (t: ExecutionContext, connection: Connection): Promise<void> => {
  t.is((await connection.recvBytes()).toString(), 'from Python')
  await connection.sendBytes(big)
  t.true((await connection.recvBytes()).equals(Buffer.from(big).reverse()))
  await connection.sendBytes(new Uint8Array(0))
  connection.close()
}

/** An address as Python writes it, and read again. */
const toPython = (address: Address): string =>
  typeof address === 'string'
    ? `'${address.replace('\0', '\\0')}'`
    : `('${address[0]}', ${address[1]})`
const fromPython = (text: string): Address => {
  const [, host, port] = text.match(/^\('(.*)', (\d+)\)$/) ?? []
  return host === undefined
    ? text.replace(/^b?'(.*)'$/, '$1').replace('\\x00', '\0')
    : [host, Number(port)]
}

const keyed = [
  ['a key', Buffer.from('secret'), "b'secret'"],
  ['no key', undefined, 'None'],
  ['a long key', Buffer.alloc(500, 'k'), `b'${'k'.repeat(500)}'`],
] as const

const places: Record<string, () => Address | undefined> = {
  TCP: () => ['localhost', 0],
  'a Unix socket': () => undefined,
  'an abstract socket': () => `\0node-multiprocessing-test-${process.pid}`,
}

test('there is a Python to talk to', (t) => {
  if (pythons.size === 0) t.log('there is none: the other tests of this file are not there')
  t.pass()
})

for (const [version, python] of pythons) {
  for (const [what, authkey, literal] of keyed) {
    for (const [place, address] of Object.entries(places)) {
      test.serial(`Python ${version} connects over ${place} with ${what}`, (t) =>
        underWatchdog(async () => {
          const listener = new Listener(address(), { authkey })
          const args = [toPython(listener.address), literal]
          const said = await beside(t, python, pythonClient, args, async () => {
            const connection = await listener.accept()
            t.is(connection.trusted, authkey !== undefined)
            await talk(t, connection)
          })
          listener.close()
          t.is(said, '1000000 True\n')
        }),
      )

      test.serial(`Python ${version} listens over ${place} with ${what}`, (t) =>
        underWatchdog(async () => {
          const wanted = address()
          const args = [wanted === undefined ? 'None' : toPython(wanted), literal]
          const said = await beside(t, python, pythonListener, args, async (firstLine) => {
            await talk(t, await Client(fromPython(await firstLine), { authkey }))
          })
          t.is(said.split('\n')[1], '1000000 True')
        }),
      )
    }
  }

  test.serial(`Python ${version} connects with a wrong key`, (t) =>
    underWatchdog(async () => {
      const listener = new Listener({ authkey: Buffer.from('right') })
      const args = [toPython(listener.address), "b'wrong'"]
      const said = await beside(t, python, pythonClient, args, async () => {
        await t.throwsAsync(listener.accept(), {
          instanceOf: mp.AuthenticationError,
          message: 'digest received was wrong',
        })
      })
      listener.close()
      t.is(said, 'AuthenticationError digest sent was rejected\n')
    }),
  )

  test.serial(`Python ${version} listens with another key`, (t) =>
    underWatchdog(async () => {
      const said = await beside(t, python, pythonListener, ['None', "b'another'"], async (line) => {
        await t.throwsAsync(Client(fromPython(await line), { authkey: Buffer.from('right') }), {
          instanceOf: mp.AuthenticationError,
          message: 'digest sent was rejected',
        })
      })
      t.is(said.split('\n')[1], 'AuthenticationError digest received was wrong')
    }),
  )

  test.serial(`Python ${version} and the forms that block`, (t) =>
    underWatchdog(async () => {
      const authkey = Buffer.from('secret')
      const listener = new Listener(['127.0.0.1', 0], { authkey })
      await beside(t, python, pythonClient, [toPython(listener.address), "b'secret'"], async () => {
        const connection = listener.acceptSync()
        t.is(connection.recvBytesSync().toString(), 'from Python')
        connection.sendBytesSync(big)
        t.is(connection.recvBytesSync().length, big.length)
        connection.sendBytesSync(new Uint8Array(0))
        connection.close()
      })
      listener.close()
      await beside(t, python, pythonListener, ['None', "b'secret'"], async (line) => {
        const connection = ClientSync(fromPython(await line), { authkey })
        t.is(connection.recvBytesSync().toString(), 'from Python')
        connection.sendBytesSync(big)
        t.is(connection.recvBytesSync().length, big.length)
        connection.sendBytesSync(new Uint8Array(0))
        connection.close()
      })
    }),
  )

  test.serial(
    `Python ${version}, killed in the middle of a message, is an error and no more`,
    (t) =>
      underWatchdog(async () => {
        const listener = new Listener({ authkey: Buffer.from('secret') })
        const script = `
import sys, ast, os
from multiprocessing.connection import Client
c = Client(ast.literal_eval(sys.argv[1]), authkey=b'secret')
os.write(c.fileno(), b'\\0\\0\\1\\0half of it')
os.kill(os.getpid(), 9)
`
        const child = spawn(python, ['-c', script, toPython(listener.address)], {
          stdio: 'inherit',
        })
        t.teardown(() => child.kill('SIGKILL'))
        const connection = await listener.accept()
        await t.throwsAsync(connection.recvBytes(), {
          instanceOf: mp.OSError,
          message: 'got end of file during message',
        })
        connection.close()
        listener.close()
      }),
  )
}
