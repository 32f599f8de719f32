/** What can be done with a pool of workers. */
import { setTimeout as sleep } from 'node:timers/promises'
import { isMainProcess, Pool, TimeoutError } from 'node-multiprocessing'

export const f = (x: number): number => x * x
export const pid = (): number => process.pid

if (isMainProcess) {
  const range = Array.from({ length: 10 }, (_, i) => i)
  {
    // start 4 worker processes
    await using pool = new Pool({ processes: 4 })

    // print "[0, 1, 4, ..., 81]"
    console.log(await pool.map(f, range))

    // print same numbers in arbitrary order
    for await (const i of pool.imapUnordered(f, range)) console.log(i)

    // evaluate "f(20)" asynchronously, in only one process
    const result = pool.applyAsync(f, [20])
    console.log(await result.get({ timeout: 1000 })) // prints "400"

    // prints the pid of that process
    console.log(await pool.applyAsync(pid).get({ timeout: 1000 }))

    // several evaluations may use more processes
    const several = Array.from({ length: 4 }, () => pool.applyAsync(pid))
    console.log(await Promise.all(several.map((each) => each.get({ timeout: 1000 }))))

    // make a single worker sleep for 10 seconds
    const late = pool.applyAsync(sleep, [10_000])
    try {
      console.log(await late.get({ timeout: 1000 }))
    } catch (error) {
      if (!(error instanceof TimeoutError)) throw error
      console.log('We lacked patience and got a multiprocessing.TimeoutError')
    }

    console.log('For the moment, the pool remains available for more work')
  }
  // leaving the block has stopped the pool
  console.log('Now the pool is closed and no longer available')
}
