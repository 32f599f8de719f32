/** One call, many calls, calls one by one, and a result that comes too late. */
import { setTimeout as sleep } from 'node:timers/promises'
import { isMainProcess, Pool } from 'node-multiprocessing'

export const f = (x: number): number => x * x

if (isMainProcess) {
  await using pool = new Pool({ processes: 4 })
  const range = Array.from({ length: 10 }, (_, i) => i)

  const result = pool.applyAsync(f, [10]) // evaluate "f(10)" asynchronously in a single process
  console.log(await result.get({ timeout: 1000 })) // prints "100" unless your computer is *very* slow

  console.log(await pool.map(f, range)) // prints "[0, 1, 4, ..., 81]"

  const it = pool.imap(f, range)
  console.log((await it.next()).value) // prints "0"
  console.log((await it.next()).value) // prints "1"
  console.log((await it.next({ timeout: 1000 })).value) // prints "4" unless your computer is *very* slow

  const late = pool.applyAsync(sleep, [10_000])
  try {
    console.log(await late.get({ timeout: 1000 }))
  } catch (error) {
    console.log((error as Error).name) // TimeoutError
  }
}
