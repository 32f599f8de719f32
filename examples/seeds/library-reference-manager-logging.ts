/** What a manager logs. */
import { isMainProcess, logToStderr, Manager } from 'node-multiprocessing'

if (isMainProcess) {
  const logger = logToStderr()
  logger.setLevel('INFO')
  logger.warning('doomed')
  const m = await Manager()
  await m.shutdown()
}
