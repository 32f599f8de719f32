import { formatCount } from './format.js'
import type { Outcome } from './turns.js'

/** The same work done by one process and by a pool. */
export interface Comparison {
  /** How many workers the pool has. */
  processes: number
  single: Outcome
  pool: Outcome
  /** From the pool's making to the first answer of every worker. */
  startSeconds: number
  /** Closing the pool and waiting until the workers have ended. */
  stopSeconds: number
}

/**
 * Says how long each took, and how many times faster the pool was.
 *
 * @param comparison  the times
 * @returns lines
 */
export function renderSpeed(comparison: Comparison): string {
  const { processes, single, pool, startSeconds, stopSeconds } = comparison
  const whole = startSeconds + pool.seconds + stopSeconds
  const seconds = (value: number): string => `${value.toFixed(2)} s`.padStart(8)
  const faster = (value: number): string => `${(single.seconds / value).toFixed(2)} times`
  return [
    `${formatCount(single.means.length)} blocks computed by both in turns, all numbers identical.`,
    `  one process ${seconds(single.seconds)}`,
    `  ${`pool of ${processes}`.padEnd(11)} ${seconds(pool.seconds)}  with sending tasks and receiving results`,
    `  pool start  ${seconds(startSeconds)}  until every worker has answered`,
    `  pool stop   ${seconds(stopSeconds)}  until every worker has ended`,
    `Speed-up: ${faster(pool.seconds)}; ${faster(whole)} with start and stop.`,
  ].join('\n')
}
