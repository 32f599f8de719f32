/**
 * What has to happen when objects go and when the process ends. Mirrors `multiprocessing.util`.
 * @module
 */
export { registerAfterFork } from './after-fork.js'
export { isExiting } from './exit.js'
export { Finalize, type FinalizeOptions } from './finalize.js'
export {
  DEFAULT_LOGGING_FORMAT,
  debug,
  formatRecord,
  getLogger,
  type Handler,
  info,
  type Level,
  LOGGER_NAME,
  Logger,
  LogRecord,
  logToStderr,
  StreamHandler,
  type StreamHandlerOptions,
  SUBDEBUG,
  SUBWARNING,
  subDebug,
  subWarning,
  warn,
} from './logger.js'
export { getTempDir } from './temp-dir.js'
