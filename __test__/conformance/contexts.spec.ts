import type { ExecutionContext } from 'ava'
import * as mp from 'node-multiprocessing'
import { doNothing, sendStartMethod, setWithLock } from '../fixtures/conformance/start-up.js'
import type { Calls } from '../helpers/calls.js'
import { type Given, nothingIsLeftBehind, row, rowInBothForms } from '../helpers/row.js'

nothingIsLeftBehind()

/** Every method there can be; a machine may lack some. */
const everyMethod = ['fork', 'spawn', 'forkserver'] as const

/** Asserts that a child started by a context sees the context's start method. */
const childAgrees = async (
  t: ExecutionContext,
  calls: Calls,
  context: Pick<Given['context'], 'Pipe' | 'Process'> & { getStartMethod(): string | null },
): Promise<void> => {
  const [reader, writer] = context.Pipe({ duplex: false })
  const p = new context.Process({ target: sendStartMethod, args: [writer] })
  p.start()
  writer.close()
  const method: unknown = await calls.recv(reader)
  reader.close()
  await calls.join(p)
  t.is(method, context.getStartMethod())
}

rowInBothForms('TestStartMethod.test_context', async (t, { calls, context, method }) => {
  t.is(context.getStartMethod() as string | null, method)
  t.is(context.getContext(), context)
  t.throws(() => context.setStartMethod('spawn'), { instanceOf: mp.ValueError })
  t.throws(() => context.setStartMethod(null), { instanceOf: mp.ValueError })
  await childAgrees(t, calls, context)
})

rowInBothForms('TestStartMethod.test_spawn_dont_set_context', async (t, { calls, method }) => {
  mp.setStartMethod(null, { force: true })
  const context = mp.getContext(method)
  const p = new context.Process({ target: doNothing })
  p.start()
  await calls.join(p)
  t.is(p.exitcode, 0)
  t.is(mp.getStartMethod({ allowNone: true }), null)
})

row('TestStartMethod.test_freeze_support_dont_set_context', (t) => {
  mp.setStartMethod(null, { force: true })
  mp.freezeSupport()
  t.is(mp.getStartMethod({ allowNone: true }), null)
})

row('TestStartMethod.test_context_check_module_types', (t, { context }) => {
  const numbers = [1, 2, 3] as unknown as string[]
  const refused = { instanceOf: TypeError, message: /array of strings/ }
  t.throws(() => context.setForkserverPreload(numbers), refused)
  t.throws(() => mp.setForkserverPreload(numbers), refused)
})

rowInBothForms('TestStartMethod.test_set_get', async (t, { calls, method }) => {
  mp.setStartMethod(null, { force: true })
  mp.setStartMethod(method)
  t.throws(() => mp.setStartMethod(method), { instanceOf: mp.RuntimeError })
  mp.setStartMethod(method, { force: true })
  t.is(mp.getStartMethod() as string, method)
  const context = mp.getContext()
  t.is(context.getStartMethod() as string | null, method)
  t.true(context.constructor.name.toLowerCase().startsWith(method), context.constructor.name)
  t.true(context.Process.name.toLowerCase().startsWith(method), context.Process.name)
  await childAgrees(t, calls, mp)
})

row('TestStartMethod.test_get_all_start_methods', (t) => {
  const methods: readonly string[] = mp.getAllStartMethods()
  t.true(methods.includes('spawn'))
  t.is(new Set(methods).size, methods.length)
  for (const method of everyMethod) {
    if (methods.includes(method)) {
      t.is(mp.getContext(method).getStartMethod() as string | null, method)
    } else {
      t.throws(() => mp.getContext(method), { instanceOf: mp.ValueError, message: RegExp(method) })
    }
  }
  mp.setStartMethod(null, { force: true })
  t.is(methods[0], mp.getStartMethod(), 'the default comes first')
  if (process.platform !== 'linux') t.is(methods[0], 'spawn')
  else if (methods.includes('forkserver')) t.is(methods[0], 'forkserver')
})

rowInBothForms('TestStartMethod.test_mixed_startmethod', async (t, { calls, context }) => {
  for (const method of mp.getAllStartMethods()) {
    const other = mp.getContext(method)
    const lock = new context.Lock()
    const event = new context.Event()
    const p = new other.Process({ target: setWithLock, args: [lock, event] })
    lock.acquireSync()
    p.start()
    t.false(await event.wait(20))
    lock.release()
    await calls.join(p)
    t.is(p.exitcode, 0)
    t.true(event.isSet())
  }
})
