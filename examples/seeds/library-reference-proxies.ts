/** What proxies are, and how they nest. */
import { inspect } from 'node:util'
import { isMainProcess, Manager } from 'node-multiprocessing'
import { type DictProxy, type ListProxy, slice } from 'node-multiprocessing/managers'

/** Without the number that says which. */
const shown = (text: string): string => text.replace(/0x[\da-f]+/g, '0x...')

if (isMainProcess) {
  await using manager = await Manager()
  const squares = await manager.list(Array.from({ length: 10 }, (_, i) => i * i))
  console.log(String(squares))
  console.log(shown(inspect(squares)))
  console.log(await squares.get(4))
  console.log(await squares.slice(2, 5))

  const a = await manager.list<ListProxy | string>()
  const b = await manager.list<string>()
  await a.append(b) // the referent of a now contains the referent of b
  console.log(shown(String(a)), String(b))
  await b.append('hello')
  console.log(String(await a.get(0)), String(b))

  const outer = await manager.list<DictProxy>([await manager.dict(), await manager.dict()])
  const first = (await outer.get(0)) as DictProxy
  await first.set('a', 1)
  await first.set('b', 2)
  const second = (await outer.get(1)) as DictProxy
  await second.set('c', 3)
  await second.set('z', 26)
  console.log(String(await outer.get(0)))
  console.log(String(await outer.get(1)))

  // A plain object comes as a copy; it changes in the server when it is set again.
  const lproxy = await manager.list<Record<string, number>>()
  await lproxy.append({})
  const d = (await lproxy.get(0)) as Record<string, number>
  d.a = 1
  d.b = 2
  console.log(await lproxy.get(0))
  await lproxy.set(0, d)
  console.log(await lproxy.get(0))

  const l = await manager.list([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
  console.log(await l._callmethod('__len__'))
  console.log(await l._callmethod('__getitem__', [slice(2, 7)])) // the same as l.slice(2, 7)
  try {
    await l._callmethod('__getitem__', [20]) // the same as l.get(20)
  } catch (error) {
    console.log(String(error))
  }
}
