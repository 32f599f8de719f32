import { randomBytes } from 'node:crypto'
import type { ExecutionContext } from 'ava'
import * as mp from 'node-multiprocessing'
import { RemoteError, SyncManager } from 'node-multiprocessing/managers'
import * as child from '../fixtures/conformance/managers.js'
import { calling } from '../helpers/calling.js'
import { nothingIsLeftBehind, rowInBothForms } from '../helpers/row.js'

nothingIsLeftBehind()

type Call = ReturnType<typeof calling>

const common = async (
  t: ExecutionContext,
  call: Call,
  manager: InstanceType<typeof child.MyManager>,
): Promise<void> => {
  const foo = await call(manager, 'Foo')
  const bar = await call(manager, 'Bar')
  const baz = await call(manager, 'baz')
  const methodsOf = (proxy: any) => ['f', 'g', '_h'].filter((name) => name in proxy)
  t.deepEqual(methodsOf(foo), ['f', 'g'])
  t.deepEqual(methodsOf(bar), ['f', '_h'])

  t.is(await call(foo, 'f'), 'f()')
  await t.throwsAsync(() => call(foo, 'g'), { instanceOf: RangeError, message: 'g()' })
  t.is(await call(foo, '_callmethod', 'f'), 'f()')
  await t.throwsAsync(() => call(foo, '_callmethod', '_h'), { instanceOf: RemoteError })

  t.is(await call(bar, 'f'), 'f()')
  t.is(await call(bar, '_h'), '_h()')
  t.is(await call(bar, '_callmethod', 'f'), 'f()')
  t.is(await call(bar, '_callmethod', '_h'), '_h()')

  const squares: number[] = []
  for await (const square of baz) squares.push(square)
  t.deepEqual(squares, [0, 1, 4, 9, 16, 25, 36, 49, 64, 81])
}

rowInBothForms('_TestMyManager.test_mymanager', async (t, { context, calls: { form } }) => {
  const call = calling(form)
  const manager = new child.MyManager({ context })
  await call(manager, 'start')
  await common(t, call, manager)
  await call(manager, 'shutdown')
  t.is(manager._process?.exitcode, 0)
  await call(manager, 'shutdown')
  manager._process?.close()
})

const dispose = async (form: string, manager: InstanceType<typeof child.MyManager>) => {
  if (form === 'Sync') manager[Symbol.dispose]()
  else await manager[Symbol.asyncDispose]()
}

rowInBothForms('_TestMyManager.test_mymanager_context', async (t, { context, calls: { form } }) => {
  const call = calling(form)
  const manager = new child.MyManager({ context })
  await call(manager, 'start')
  try {
    await common(t, call, manager)
  } finally {
    await dispose(form, manager)
  }
  t.is(manager._process?.exitcode, 0)
  manager._process?.close()
})

rowInBothForms(
  '_TestMyManager.test_mymanager_context_prestarted',
  async (t, { context, calls: { form } }) => {
    const call = calling(form)
    const manager = new child.MyManager({ context })
    await call(manager, 'start')
    await t.throwsAsync(() => call(manager, 'start'), {
      instanceOf: mp.ProcessError,
      message: 'Already started server',
    })
    await common(t, call, manager)
    await dispose(form, manager)
    t.is(manager._process?.exitcode, 0)
    await t.throwsAsync(() => call(manager, 'start'), { message: 'Manager has shut down' })
    manager._process?.close()
  },
)

const VALUES = ['hello world', null, true, 2.25, 'hallå världen', 'привіт світ']

rowInBothForms('_TestRemoteManager.test_remote', async (t, { context, calls }) => {
  const { form } = calls
  const call = calling(form)
  const authkey = randomBytes(32)
  const manager = new child.QueueManager({ address: ['127.0.0.1', 0], authkey, context })
  await call(manager, 'start')
  try {
    const options = { address: manager.address, authkey }
    const p = new context.Process({
      target: child.putOver,
      args: [form, options, VALUES],
      daemon: true,
    })
    p.start()
    const manager2 = new child.QueueManager2(options)
    await call(manager2, 'connect')
    const queue = await call(manager2, 'getQueue')
    t.deepEqual(await call(queue, 'get'), VALUES)
    // What cannot travel is refused here, and does no harm.
    await t.throwsAsync(() => call(queue, 'put', new WeakMap()), { instanceOf: mp.PicklingError })
    await calls.join(p)
    t.is(p.exitcode, 0)
    p.close()
  } finally {
    await call(manager, 'shutdown')
    manager._process?.close()
  }
})

rowInBothForms('_TestManagerRestart.test_rapid_restart', async (t, { context, calls }) => {
  const { form } = calls
  const call = calling(form)
  const authkey = randomBytes(32)
  const first = new child.QueueManager({ address: ['127.0.0.1', 0], authkey, context })
  const server = first.getServer()
  const { address } = server
  server.stop()
  await call(first, 'start')
  t.deepEqual(first.address, address)
  const p = new context.Process({
    target: child.putOver,
    args: [form, { address, authkey }, ['hello world']],
  })
  p.start()
  await calls.join(p)
  const queue = await call(first, 'getQueue')
  t.deepEqual(await call(queue, 'get'), ['hello world'])
  await call(first, 'shutdown')
  first._process?.close()
  p.close()

  const second = new child.QueueManager({ address, authkey, context })
  await call(second, 'start')
  t.deepEqual(second.address, address)
  await call(await call(second, 'getQueue'), 'put', 'again')
  await call(second, 'shutdown')
  second._process?.close()
})

rowInBothForms(
  'TestInitializers.test_manager_initializer',
  async (t, { context, calls: { form } }) => {
    const call = calling(form)
    const manager = await call(context, 'Manager')
    try {
      const namespace = await call(manager, 'Namespace')
      await call(namespace, 'set', 'test', 0)
      const other = new SyncManager({ context })
      await t.throwsAsync(() => call(other, 'start', { initializer: 1 }), { instanceOf: TypeError })
      await call(other, 'start', { initializer: child.initialize, initargs: [namespace] })
      t.is(await call(namespace, 'get', 'test'), 1)
      await call(other, 'shutdown')
      await call(other, 'join')
      other._process?.close()
    } finally {
      await call(manager, 'shutdown')
      manager._process?.close()
    }
  },
)
