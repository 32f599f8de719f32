/**
 * Whether this process can be copied.
 * @module
 */

/** The options without which V8 has threads that a copy would miss; see `forkserver.ts`. */
const NEEDED = [/^--single[-_]threaded$/, /^--v8-pool-size=1$/]

/** Whether this process can be forked. */
export const canFork = (): boolean =>
  process.platform === 'linux' &&
  NEEDED.every((needed) => process.execArgv.some((option) => needed.test(option)))
