import { spawnSync } from 'node:child_process'
import type { ExecutionContext } from 'ava'
import { write } from '../fixtures/process-programs.js'
import { optionsForFork } from './fork-options.js'

/** Runs a program after a command of the shell, such as one that says how much of something it may have. */
export const confined = (t: ExecutionContext, prefix: string, source: string) => {
  const { main } = write(t, source)
  const { status, signal, stdout, stderr } = spawnSync(
    'sh',
    ['-c', `${prefix}; exec "$0" "$@"`, process.execPath, ...optionsForFork(), main],
    { encoding: 'utf8', timeout: 30_000 },
  )
  return { status, signal, stdout, stderr }
}
