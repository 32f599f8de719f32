/**
 * What happens when the process ends, in the reference's order: finalizers, children, the finalizers
 * that wanted to come last.
 * @module
 */
import { runFinalizers } from './finalize.js'
import { info } from './logger.js'
import { native } from './native.js'
import { isMainProcess } from './process-state.js'

let exiting = false

/** Whether the process has begun to end. */
export const isExiting = (): boolean => exiting

/** @internal The end was only practised: see `forkserver-main.ts`. */
export const resumeFromExit = (): void => {
  exiting = false
}

let endChildren: () => void = () => {}

/** Says how the process's children are ended and joined; `process.ts` does. */
export const atExitEndChildren = (end: () => void): void => {
  endChildren = end
}

const onExit = (): void => {
  if (exiting) return
  exiting = true
  info('process shutting down')
  // A thread's end is not the process's.
  if (native.isMainThread()) native.processIsExiting()
  runFinalizers(0)
  endChildren()
  runFinalizers(Number.NEGATIVE_INFINITY)
  if (!isMainProcess) info('process exiting with exitcode %d', process.exitCode ?? 0)
}

/** Whether this listener for the end is the package's. */
export const isOwnExit = (listener: unknown): boolean => listener === onExit

process.on('exit', onExit)
