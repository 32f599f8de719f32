/** What a program, and the package, log. */
import { isMainProcess, logToStderr, Process } from 'node-multiprocessing'

export function f() {}

if (isMainProcess) {
  const logger = logToStderr()
  logger.setLevel('INFO')
  logger.warning('doomed')
  const p = new Process({ target: f })
  p.start()
  await p.join()
}
