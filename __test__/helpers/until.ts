import { setTimeout as sleep } from 'node:timers/promises'
import { stateOf } from './processes-of-this-program.js'

const pause = 5
const patience = 30_000

/**
 * Waits for a condition, looking every few milliseconds. The limit is a watchdog: when it passes, the
 * error names what was waited for.
 */
export const until = async (what: string, holds: () => boolean): Promise<void> => {
  const end = Date.now() + patience
  while (!holds()) {
    if (Date.now() > end) throw new Error(`still not so after ${patience} ms: ${what}`)
    await sleep(pause)
  }
}

/** Waits until the main thread of a process sleeps in the kernel: it waits for something. */
export const untilAsleep = (pid: number): Promise<void> =>
  until(`process ${pid} sleeps`, () => stateOf(pid) === 'S')
