/**
 * What has to happen when objects go and when the process ends. Mirrors `multiprocessing.util`.
 * @module
 */
export { registerAfterFork } from './after-fork.js'
export { isExiting } from './exit.js'
export { Finalize, type FinalizeOptions } from './finalize.js'
export { getTempDir } from './temp-dir.js'
