/** What node needs to be started with so that a program can be forked. @module */

/** Without these options V8 has threads that a copy would miss. */
export const FORK_OPTIONS: readonly string[] = ['--single-threaded', '--v8-pool-size=1']
