/** A dictionary and a list in a server process, which a child changes. */
import { isMainProcess, Manager, Process } from 'node-multiprocessing'
import type { DictProxy, ListProxy } from 'node-multiprocessing/managers'

export const f = async (d: DictProxy, l: ListProxy<number>): Promise<void> => {
  await d.set(1, '1')
  await d.set('2', 2)
  await d.set(0.25, null)
  await l.reverse()
}

if (isMainProcess) {
  await using manager = await Manager()
  const d = await manager.dict()
  const l = await manager.list([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])

  const p = new Process({ target: f, args: [d, l] })
  p.start()
  await p.join()

  console.log(String(d))
  console.log(String(l))
}
