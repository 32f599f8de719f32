import * as mp from 'node-multiprocessing'

/** Options of node that a program needs to use the start method fork, while a test of that method runs. */
export const optionsForFork = (): string[] =>
  mp.getStartMethod({ allowNone: true }) === 'fork' ? ['--single-threaded', '--v8-pool-size=1'] : []
