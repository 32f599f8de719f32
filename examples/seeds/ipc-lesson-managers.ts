/** A list, a dictionary and a namespace, passed to processes. */
import { isMainProcess, Manager, Process } from 'node-multiprocessing'
import type {
  AcquirerProxy,
  DictProxy,
  ListProxy,
  NamespaceProxy,
} from 'node-multiprocessing/managers'

export const worker = async (
  i: number,
  list: ListProxy<number>,
  dict: DictProxy<string, number>,
  ns: NamespaceProxy,
  lock: AcquirerProxy,
): Promise<void> => {
  await list.append(i)
  await dict.set(`worker ${i}`, i * i)
  await lock.runExclusive(async () => ns.set('total', (await ns.get('total')) + i))
}

if (isMainProcess) {
  await using manager = await Manager()
  const list = await manager.list<number>()
  const dict = await manager.dict<string, number>()
  const ns = await manager.Namespace({ total: 0 })
  const lock = await manager.Lock()

  const workers = [1, 2, 3].map(
    (i) => new Process({ target: worker, args: [i, list, dict, ns, lock] }),
  )
  for (const p of workers) p.start()
  for (const p of workers) await p.join()

  await list.sort()
  console.log(String(list))
  console.log(new Map([...(await dict.items())].sort()))
  console.log(ns.total)
}
