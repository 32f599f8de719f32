/** A function mapped over several values by a pool of processes. */
import { isMainProcess, Pool } from 'node-multiprocessing'

export const f = (x: number): number => x * x

if (isMainProcess) {
  await using p = new Pool(5)
  console.log(await p.map(f, [1, 2, 3]))
}
