/** CPython on the other end of managers, as client and as server. */
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { resolve } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import * as mp from 'node-multiprocessing'
import { RemoteError, SyncManager } from 'node-multiprocessing/managers'
import { MathsManager } from '../fixtures/managers/maths.js'
import { calling } from '../helpers/calling.js'
import { forms } from '../helpers/calls.js'
import { pythons } from '../helpers/pythons.js'
import { underWatchdog } from '../helpers/watchdog.js'

const script = (name: string): string => resolve('__test__/fixtures/managers', name)

const start = (t: ExecutionContext, python: string, args: string[]) => {
  const child = spawn(python, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  t.teardown(() => child.kill('SIGKILL'))
  let [stdout, stderr] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  const closed = once(child, 'close').then(([code]) => ({ code, stdout, stderr }))
  return { child, closed }
}

test('there is a Python to talk to', (t) => {
  t.true(pythons.size > 0, 'python3 is wanted for these tests')
})

for (const [version, python] of pythons) {
  for (const address of [null, ['127.0.0.1', 0]] as const) {
    const where = address === null ? 'a Unix socket' : 'TCP'
    test(`Python ${version} uses a manager of ours over ${where}`, async (t) => {
      await underWatchdog(async () => {
        const authkey = randomBytes(16)
        const manager = new MathsManager({ address, authkey, serializer: 'pickle' })
        await manager.start()
        try {
          const args = [
            script('client.py'),
            JSON.stringify(manager.address),
            authkey.toString('hex'),
          ]
          const { code, stdout, stderr } = await start(t, python, args).closed
          t.is(code, 0, stderr)
          t.is(stdout, 'ok\n')

          // Clients of ours speak as Python does to such a server.
          const dict = await manager.dict<string, unknown>({ a: [1, 2.5] })
          t.deepEqual(await dict.get('a'), [1, 2.5])
          t.deepEqual(dict.itemsSync(), [['a', [1, 2.5]]])
          t.is(String(dict), "{'a': [1, 2.5]}")
          await t.throwsAsync(dict.getItem('b'), { instanceOf: mp.KeyError })
        } finally {
          await manager.shutdown()
        }
      })
    })
  }

  test(`a server of Python ${version} that we use`, async (t) => {
    await underWatchdog(async () => {
      const { child, closed } = start(t, python, [script('server.py')])
      const [port] = await once(child.stdout, 'data')
      class WithTypes extends SyncManager {}
      const Manager = WithTypes.register('Maths')
      const manager = new Manager({
        address: ['127.0.0.1', Number(port)],
        authkey: Buffer.from('key'),
        serializer: 'pickle',
      })
      for (const form of forms) {
        const call = calling(form)
        if (form === 'Promise') await manager.connect()
        const dict = await call(manager, 'dict', { a: 1 })
        await call(dict, 'set', 'b', [1, 2.5])
        t.deepEqual(await call(dict, 'get', 'b'), [1, 2.5])
        t.deepEqual(await call(dict, 'items'), [
          ['a', 1],
          ['b', [1, 2.5]],
        ])
        t.is(await call(dict, 'len'), 2)
        await t.throwsAsync(() => call(dict, 'getItem', 'zz'), { instanceOf: mp.KeyError })
        const keys: unknown[] = []
        for await (const key of dict) keys.push(key)
        t.deepEqual(keys, ['a', 'b'])

        const list = await call(manager, 'list', [3, 1, 2])
        await call(list, 'sort', { reverse: true })
        t.deepEqual(await call(list, 'slice', 0, 2), [3, 2])
        await call(list, 'append', dict)
        t.is(await call(await call(list, 'get', -1), 'get', 'a'), 1)
        await t.throwsAsync(() => call(list, 'get', 9), { instanceOf: mp.IndexError })

        const maths = await call(manager, 'Maths')
        t.is(await call(maths, 'add', 1, 2), 3)
        await t.throwsAsync(() => call(maths, 'fail'), {
          name: 'ZeroDivisionError',
          message: 'zero',
        })
        await t.throwsAsync(() => call(maths, '_callmethod', 'nope'), { instanceOf: RemoteError })
        t.deepEqual([...(await call(maths, 'numbers'))], [0, 1, 4])

        const queue = await call(manager, 'Queue', 1)
        await call(queue, 'put', 5)
        await t.throwsAsync(() => call(queue, 'put', 6, { timeout: 10 }), { instanceOf: mp.Full })
        t.is(await call(queue, 'get'), 5)
        await t.throwsAsync(() => call(queue, 'get', { timeout: 10 }), { instanceOf: mp.Empty })
        const lock = await call(manager, 'Lock')
        t.true(await call(lock, 'acquire'))
        t.false(await call(lock, 'acquire', { block: false }))
        await call(lock, 'release')
        await t.throwsAsync(() => call(lock, 'release'), { instanceOf: mp.RuntimeError })
        const event = await call(manager, 'Event')
        t.false(await call(event, 'wait', 10))
        await call(event, 'set')
        t.true(await call(event, 'wait'))
        const namespace = await call(manager, 'Namespace')
        namespace.x = 3
        t.is(await call(namespace, 'get', 'x'), 3)
        t.is((await call(manager, 'Value', 'i', 3)).value, 3)
        t.deepEqual(await call(await call(manager, 'Array', 'i', [1, 2]), 'slice'), [1, 2])
      }

      // Calls that are made together are answered in order, whichever form they have.
      const dict = await manager.dict<number, number>()
      await Promise.all(Array.from({ length: 20 }, (_, i) => dict.set(i, 2 * i)))
      const one = dict.get(3)
      t.is(dict.getSync(4), 8)
      t.is(await one, 6)

      // What is let go of is let go of there.
      const conditions = async (): Promise<number> =>
        (await manager._debugInfo()).split('<Condition(').length - 1
      t.is(await conditions(), 0)
      const condition = await manager.Condition()
      t.is(await conditions(), 1)
      condition[Symbol.dispose]()
      t.is(await conditions(), 0)

      child.kill('SIGKILL')
      await closed
      await t.throwsAsync(async () => dict.len(), { instanceOf: mp.EOFError, message: /is gone/ })
    })
  })
}
