import * as mp from 'node-multiprocessing'
import { ListProxy } from 'node-multiprocessing/managers'
import { managedRow } from '../helpers/managed.js'
import { nothingIsLeftBehind } from '../helpers/row.js'

nothingIsLeftBehind()

const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i)

managedRow('_TestContainers.test_list', async (t, { manager, call }) => {
  const a = await call(manager, 'list', upTo(10))
  t.deepEqual(await call(a, 'slice'), upTo(10))
  const b = await call(manager, 'list')
  t.deepEqual(await call(b, 'slice'), [])
  await call(b, 'extend', upTo(5))
  t.deepEqual(await call(b, 'slice'), upTo(5))
  t.is(await call(b, 'get', 2), 2)
  t.deepEqual(await call(b, 'slice', 2, 10), [2, 3, 4])
  t.is(await call(b, 'imul', 2), b)
  t.deepEqual(await call(b, 'slice'), [...upTo(5), ...upTo(5)])
  t.deepEqual(await call(b, 'add', [5, 6]), [...upTo(5), ...upTo(5), 5, 6])
  t.deepEqual(await call(a, 'slice'), upTo(10))

  const e = await call(manager, 'list', [a, b])
  const inner: unknown[] = []
  for await (const element of e) inner.push(await call(element, 'slice'))
  t.deepEqual(inner, [upTo(10), [...upTo(5), ...upTo(5)]])

  const f = await call(manager, 'list', [a])
  await call(a, 'append', 'hello')
  t.deepEqual(await call(await call(f, 'get', 0), 'slice'), [...upTo(10), 'hello'])
})

/** The methods of Python's MutableSequence, as they are called here. */
const SEQUENCE =
  'get set delete len insert append reverse extend pop remove iadd has reversed index count'

managedRow('_TestContainers.test_list_isinstance', async (t, { manager, call }) => {
  const a = await call(manager, 'list')
  t.true(a instanceof ListProxy)
  for (const name of SEQUENCE.split(' ')) {
    t.is(typeof a[name], 'function', name)
    t.is(typeof a[`${name}Sync`], 'function', `${name}Sync`)
  }
  t.is(typeof a[Symbol.iterator], 'function')
})

managedRow('_TestContainers.test_list_iter', async (t, { manager, call, calls: { form } }) => {
  const a = await call(manager, 'list', upTo(10))
  const iterate = () => (form === 'Sync' ? a[Symbol.iterator]() : a[Symbol.asyncIterator]())
  let it = iterate()
  const seen: unknown[] = []
  for await (const value of it) seen.push(value)
  t.deepEqual(seen, upTo(10))
  t.true((await it.next()).done)

  it = iterate()
  await call(a, 'set', 0, 100)
  t.is((await it.next()).value, 100)
})

managedRow('_TestContainers.test_list_proxy_in_list', async (t, { manager, call }) => {
  const lists = [
    await call(manager, 'list', upTo(3)),
    await call(manager, 'list', upTo(3)),
    await call(manager, 'list', upTo(3)),
  ]
  const a = await call(manager, 'list', lists)
  for await (const inner of a) t.deepEqual(await call(inner, 'slice'), [0, 1, 2])

  await call(await call(a, 'get', 0), 'set', -1, 55)
  t.deepEqual(await call(await call(a, 'get', 0), 'slice'), [0, 1, 55])
  t.deepEqual(await call(lists[0], 'slice'), [0, 1, 55])
  for (const i of [1, 2]) t.deepEqual(await call(await call(a, 'get', i), 'slice'), [0, 1, 2])
  t.is(await call(await call(a, 'get', 1), 'pop'), 2)
  t.is(await call(await call(a, 'get', 1), 'len'), 2)
  for (const i of [0, 2]) t.is(await call(await call(a, 'get', i), 'len'), 3)

  const b = await call(manager, 'list')
  await call(b, 'append', b)
  t.is((await call(b, 'get', 0))._id, b._id)
  t.is(await call(await call(b, 'get', 0), 'len'), 1)
})

managedRow('_TestContainers.test_dict', async (t, { manager, call }) => {
  const d = await call(manager, 'dict')
  const indices = [65, 66, 67, 68, 69]
  const letters = indices.map((i) => String.fromCharCode(i))
  for (const i of indices) await call(d, 'set', i, String.fromCharCode(i))
  t.deepEqual(await call(d, 'copy'), new Map(indices.map((i, n) => [i, letters[n]])))
  t.deepEqual(await call(d, 'keys'), indices)
  t.deepEqual(await call(d, 'values'), letters)
  t.deepEqual(
    await call(d, 'items'),
    indices.map((i, n) => [i, letters[n]]),
  )
  t.false(await call(d, 'has', '65'), 'a number is another key than its text')
})

/** The methods of Python's MutableMapping, as they are called here. */
const MAPPING =
  'getItem set delete len has keys items values get pop popitem clear update setdefault'

managedRow('_TestContainers.test_dict_isinstance', async (t, { manager, call }) => {
  const d = await call(manager, 'dict')
  for (const name of MAPPING.split(' ')) {
    t.is(typeof d[name], 'function', name)
    t.is(typeof d[`${name}Sync`], 'function', `${name}Sync`)
  }
  t.is(typeof d[Symbol.iterator], 'function')
})

managedRow('_TestContainers.test_dict_iter', async (t, { manager, call, calls: { form } }) => {
  const indices = [65, 66, 67, 68, 69]
  const d = await call(
    manager,
    'dict',
    indices.map((i) => [i, String.fromCharCode(i)]),
  )
  const iterate = () => (form === 'Sync' ? d[Symbol.iterator]() : d[Symbol.asyncIterator]())
  let it = iterate()
  const seen: unknown[] = []
  for await (const key of it) seen.push(key)
  t.deepEqual(seen, indices)
  t.true((await it.next()).done)

  it = iterate()
  await it.next()
  await call(d, 'clear')
  await t.throwsAsync(async () => it.next(), {
    instanceOf: mp.RuntimeError,
    message: 'dictionary changed size during iteration',
  })
})

managedRow('_TestContainers.test_dict_proxy_nested', async (t, { manager, call }) => {
  let pets = await call(manager, 'dict', { ferrets: 2, hamsters: 4 })
  let supplies = await call(manager, 'dict', { water: 10, feed: 3 })
  const d = await call(manager, 'dict', { pets, supplies })
  const inner = async (key: string, name: string) =>
    call(await call(d, 'getItem', key), 'getItem', name)

  t.is(await call(supplies, 'getItem', 'water'), 10)
  t.is(await inner('supplies', 'water'), 10)
  await call(await call(d, 'getItem', 'supplies'), 'set', 'blankets', 5)
  t.is(await call(supplies, 'getItem', 'blankets'), 5)
  t.is(await inner('supplies', 'blankets'), 5)
  await call(await call(d, 'getItem', 'supplies'), 'set', 'water', 7)
  t.is(await call(supplies, 'getItem', 'water'), 7)

  pets[Symbol.dispose]()
  supplies[Symbol.dispose]()
  t.is(await inner('pets', 'ferrets'), 2)
  await call(await call(d, 'getItem', 'supplies'), 'set', 'blankets', 11)
  t.is(await inner('supplies', 'blankets'), 11)

  pets = await call(d, 'getItem', 'pets')
  supplies = await call(d, 'getItem', 'supplies')
  await call(supplies, 'set', 'water', 7)
  t.is(await inner('supplies', 'water'), 7)
  await call(d, 'clear')
  t.is(await call(d, 'len'), 0)
  t.is(await call(supplies, 'getItem', 'water'), 7)
  t.is(await call(pets, 'getItem', 'hamsters'), 4)

  const l = await call(manager, 'list', [pets, supplies])
  await call(await call(l, 'get', 0), 'set', 'marmots', 1)
  t.is(await call(pets, 'getItem', 'marmots'), 1)
  pets[Symbol.dispose]()
  supplies[Symbol.dispose]()
  t.is(await call(await call(l, 'get', 0), 'getItem', 'marmots'), 1)

  const outer = await call(manager, 'list', [[88, 99], l])
  t.deepEqual(await call(outer, 'get', 0), [88, 99])
  const last = await call(await call(outer, 'get', -1), 'get', -1)
  t.is(await call(last, 'getItem', 'feed'), 3)
})

managedRow('_TestContainers.test_nested_queue', async (t, { manager, call }) => {
  const a = await call(manager, 'list')
  await call(a, 'append', await call(manager, 'Queue'))
  await call(await call(a, 'get', 0), 'put', 123)
  t.is(await call(await call(a, 'get', 0), 'get'), 123)
  const b = await call(manager, 'dict')
  await call(b, 'set', 0, await call(manager, 'Queue'))
  await call(await call(b, 'getItem', 0), 'put', 456)
  t.is(await call(await call(b, 'getItem', 0), 'get'), 456)
})

managedRow('_TestContainers.test_namespace', async (t, { manager, call }) => {
  const n = await call(manager, 'Namespace')
  n.name = 'Bob'
  n.job = 'Builder'
  n._hidden = 'hidden'
  t.deepEqual([n.name, n.job, n._hidden], ['Bob', 'Builder', 'hidden'])
  delete n.job
  t.is(String(n), "Namespace(name='Bob')")
  t.is(await call(n, 'get', 'name'), 'Bob')
  await t.throwsAsync(() => call(n, 'get', 'job'), { instanceOf: TypeError })
  await call(n, 'set', 'job', 'Teacher')
  t.is(n.job, 'Teacher')
  await call(n, 'delete', 'job')
  t.throws(() => n.job, { message: "'Namespace' object has no attribute 'job'" })
})
