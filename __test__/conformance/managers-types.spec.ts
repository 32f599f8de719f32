import * as managers from 'node-multiprocessing/managers'
import * as child from '../fixtures/conformance/managers.js'
import { managedRow } from '../helpers/managed.js'
import { nothingIsLeftBehind } from '../helpers/row.js'

nothingIsLeftBehind()

managedRow('TestSyncManagerTypes.test_event', async (t, { manager, call, calls, run }) => {
  const event = await call(manager, 'Event')
  await call(event, 'set')
  t.is(await run(child.useEvent, calls.form, event), 0)
  t.false(await call(event, 'isSet'))
  t.false(await call(event, 'wait', 1))
})

managedRow('TestSyncManagerTypes.test_lock', async (t, { manager, call, calls, run }) => {
  const lock = await call(manager, 'Lock')
  t.is(await run(child.acquires, calls.form, lock), 0)
  t.true(await call(lock, 'locked'))
  await call(lock, 'release')
  await t.throwsAsync(() => call(lock, 'release'), {
    message: 'release unlocked lock',
    name: 'RuntimeError',
  })
})

managedRow('TestSyncManagerTypes.test_rlock', async (t, { manager, call, calls, run }) => {
  const lock = await call(manager, 'RLock')
  t.is(await run(child.acquiresAndReleases, calls.form, lock), 0)
  t.false(await call(lock, 'locked'))
})

managedRow('TestSyncManagerTypes.test_semaphore', async (t, { manager, call, calls, run }) => {
  const semaphore = await call(manager, 'Semaphore')
  t.is(await run(child.acquires, calls.form, semaphore), 0)
  t.false(await call(semaphore, 'acquire', { block: false }))
  await call(semaphore, 'release')
  t.true(await call(semaphore, 'acquire', { block: false }))
})

managedRow(
  'TestSyncManagerTypes.test_bounded_semaphore',
  async (t, { manager, call, calls, run }) => {
    const semaphore = await call(manager, 'BoundedSemaphore')
    t.is(await run(child.acquires, calls.form, semaphore), 0)
    await call(semaphore, 'release')
    await t.throwsAsync(() => call(semaphore, 'release'), { name: 'ValueError' })
  },
)

managedRow('TestSyncManagerTypes.test_condition', async (t, { manager, call, calls, run }) => {
  const condition = await call(manager, 'Condition')
  t.is(await run(child.acquiresAndReleases, calls.form, condition), 0)
  t.true(await call(condition, 'acquire', { block: false }))
})

managedRow('TestSyncManagerTypes.test_barrier', async (t, { manager, call, calls, run }) => {
  const barrier = await call(manager, 'Barrier', 5)
  t.is(await run(child.useBarrier, calls.form, barrier), 0)
  t.false(await call(barrier, 'broken'))
})

managedRow('TestSyncManagerTypes.test_pool', async (t, { manager, call, run }) => {
  const pool = await call(manager, 'Pool', 4)
  t.is(await run(child.usePool, pool), 0)
  await call(pool, 'join')
  await t.throwsAsync(() => call(pool, 'apply', String, [1]), { message: 'Pool not running' })
})

for (const type of ['Queue', 'JoinableQueue']) {
  const name =
    type === 'Queue'
      ? 'TestSyncManagerTypes.test_queue'
      : 'TestSyncManagerTypes.test_joinable_queue'
  managedRow(name, async (t, { manager, call, calls, run }) => {
    const queue = await call(manager, type, 2)
    await call(queue, 'put', 5)
    await call(queue, 'put', 6)
    t.is(await run(child.useQueue, calls.form, queue), 0)
    t.true(await call(queue, 'empty'))
    t.false(await call(queue, 'full'))
  })
}

managedRow('TestSyncManagerTypes.test_list', async (t, { manager, call, calls, run }) => {
  const list = await call(manager, 'list')
  await call(list, 'append', 5)
  t.is(await run(child.useList, calls.form, list), 0)
  t.is(await call(list, 'len'), 0)

  await call(list, 'append', 6)
  t.is(await call(list, 'iadd', [1, 2]), list)
  t.is(await call(list, 'imul', 2), list)
  t.deepEqual(await call(list, 'copy'), [6, 1, 2, 6, 1, 2])
  t.deepEqual(await call(list, 'add', [7]), [6, 1, 2, 6, 1, 2, 7])
  t.deepEqual(await call(list, 'mul', 0), [])
  t.deepEqual(await call(list, 'rmul', 1), [6, 1, 2, 6, 1, 2])
  await call(list, 'sort', { reverse: true })
  t.deepEqual(await call(list, 'slice'), [6, 6, 2, 2, 1, 1])
  await call(list, 'sort', { key: (value: number) => Math.abs(value - 2) })
  t.deepEqual(await call(list, 'slice', 0, 4), [2, 2, 1, 1])
  await call(list, 'clear')
  t.is(await call(list, 'length'), 0)
})

managedRow('TestSyncManagerTypes.test_dict', async (t, { manager, call, calls, run }) => {
  const dict = await call(manager, 'dict')
  await call(dict, 'set', 'foo', 5)
  t.is(await run(child.useDict, calls.form, dict), 0)
  t.is(await call(dict, 'len'), 0)

  await call(dict, 'set', 'bar', 6)
  t.is(await call(dict, 'ior', { foo: 5 }), dict)
  const both = [
    ['bar', 6],
    ['foo', 5],
  ] as const
  t.deepEqual(await call(dict, 'items'), both)
  t.deepEqual(
    await call(dict, 'or', { foo: 1 }),
    new Map([
      ['bar', 6],
      ['foo', 1],
    ]),
  )
  t.deepEqual(await call(dict, 'ror', { a: 1 }), new Map([['a', 1], ...both]))
  t.deepEqual(await call(dict, 'reversed'), ['foo', 'bar'])
  t.deepEqual(
    await call(dict, 'fromkeys', ['a', 'b'], 0),
    new Map([
      ['a', 0],
      ['b', 0],
    ]),
  )
})

managedRow('TestSyncManagerTypes.test_value', async (t, { manager, call, calls, run }) => {
  const value = await call(manager, 'Value', 'i', 1)
  t.is(await run(child.useValue, calls.form, value), 0)
  t.is(value.value, 2)
  t.is(await call(value, 'get'), 2)
  value.value = 3
  t.is(await call(value, 'get'), 3)
  t.is(String(value), "Value('i', 3)")
})

managedRow('TestSyncManagerTypes.test_array', async (t, { manager, call, calls, run }) => {
  const array = await call(manager, 'Array', 'i', [0, 1])
  t.is(await run(child.useArray, calls.form, array), 0)
  await call(array, 'set', -1, 5)
  t.deepEqual(await call(array, 'slice'), [0, 5])
  t.is(String(array), "array('i', [0, 5])")
})

managedRow('TestSyncManagerTypes.test_namespace', async (t, { manager, call, calls, run }) => {
  const namespace = await call(manager, 'Namespace')
  namespace.x = 0
  namespace.y = 1
  t.is(await run(child.useNamespace, calls.form, namespace), 0)
})

managedRow('TestSyncManagerTypes.test_set', async (t, { manager, call, calls, run }) => {
  const set = await call(manager, 'set', ['a', 'b', 'c'])
  t.is(await run(child.useSet, calls.form, set), 0)
  t.deepEqual(await call(set, 'copy'), new Set(['b', 'c', 'd']))

  const other = new Set(['c', 'x'])
  t.deepEqual(await call(set, 'or', other), new Set(['b', 'c', 'd', 'x']))
  t.deepEqual(await call(set, 'and', other), new Set(['c']))
  t.deepEqual(await call(set, 'sub', other), new Set(['b', 'd']))
  t.deepEqual(await call(set, 'xor', other), new Set(['b', 'd', 'x']))
  t.deepEqual(await call(set, 'rsub', other), new Set(['x']))
  t.is(await call(set, 'ior', other), set)
  t.is(await call(set, 'iand', ['b', 'c', 'x']), set)
  t.is(await call(set, 'isub', ['b']), set)
  t.is(await call(set, 'ixor', ['c', 'y']), set)
  t.deepEqual(await call(set, 'copy'), new Set(['x', 'y']))
  t.true(await call(set, 'le', ['x', 'y']))
  t.false(await call(set, 'lt', ['x', 'y']))
  t.true(await call(set, 'gt', ['x']))
  t.true(await call(set, 'issuperset', ['x']))
  t.true(await call(set, 'isdisjoint', ['z']))
  await call(set, 'update', ['p'], ['q'])
  await call(set, 'discard', 'nothing')
  await t.throwsAsync(() => call(set, 'remove', 'nothing'), { name: 'KeyError' })
  t.is(await call(set, 'size'), 4)
  const seen = new Set<string>()
  for await (const value of set) seen.add(value)
  t.deepEqual(seen, new Set(['x', 'y', 'p', 'q']))
  t.true(seen.has(await call(set, 'pop')))
  await call(set, 'clear')
  t.is(String(set), 'set()')
})

managedRow('TestSyncManagerTypes.test_set_init', async (t, { manager, call }) => {
  for (const values of [
    new Set([1, 2]),
    [1, 2, 2],
    new Map([
      [1, 'a'],
      [2, 'b'],
    ]),
  ]) {
    t.deepEqual(await call(await call(manager, 'set', values), 'copy'), new Set([1, 2]))
  }
  await t.throwsAsync(() => call(manager, 'set', 1234), { instanceOf: managers.RemoteError })
})

managedRow('TestSyncManagerTypes.test_set_contain_all_method', async (t, { manager, call }) => {
  const names =
    '__and__ __class_getitem__ __contains__ __iand__ __ior__ __isub__ __iter__ __ixor__ __len__ __or__ ' +
    '__rand__ __ror__ __rsub__ __rxor__ __sub__ __xor__ __ge__ __gt__ __le__ __lt__ add clear copy ' +
    'difference difference_update discard intersection intersection_update isdisjoint issubset ' +
    'issuperset pop remove symmetric_difference symmetric_difference_update union update'
  const { _exposed_ } = managers.SetProxy
  t.deepEqual([..._exposed_].sort(), names.split(' ').sort())
  const set = await call(manager, 'set')
  const asked = (await manager._control('get_methods', [set._id])) as string[]
  t.deepEqual([...asked].sort(), names.split(' ').sort())
})
