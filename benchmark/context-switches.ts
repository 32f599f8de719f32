/** How often a process runs. @module */
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

/** The context switches of all threads of a process, so far. Linux only. */
const contextSwitchesOf = (pid: number): number =>
  readdirSync(`/proc/${pid}/task`).reduce((total, thread) => {
    const status = readFileSync(`/proc/${pid}/task/${thread}/status`, 'utf8')
    const counts = [...status.matchAll(/^(?:non)?voluntary_ctxt_switches:\s+(\d+)$/gm)]
    if (counts.length !== 2) throw new Error('the kernel does not count context switches')
    return total + counts.reduce((sum, [, count]) => sum + Number(count), 0)
  }, 0)

/**
 * How many context switches a process makes in a time.
 * @param pid the process.
 * @param settle how long to wait before, in milliseconds.
 * @param duration how long to count, in milliseconds.
 */
export const contextSwitches = async (
  pid: number,
  settle: number,
  duration: number,
): Promise<number> => {
  await sleep(settle)
  const before = contextSwitchesOf(pid)
  await sleep(duration)
  return contextSwitchesOf(pid) - before
}
