import * as mp from 'node-multiprocessing'

/** Options of node that a program needs to use the start method fork. */
export const FORK_OPTIONS = ['--single-threaded', '--v8-pool-size=1']

/** The same, while a test of that method runs. */
export const optionsForFork = (): string[] =>
  mp.getStartMethod({ allowNone: true }) === 'fork' ? FORK_OPTIONS : []
