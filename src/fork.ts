/**
 * The start method *fork*: the child is a copy of this process, with everything it holds. Mirrors
 * `multiprocessing.popen_fork`.
 * @module
 */
import { createRequire } from 'node:module'
import { inspect } from 'node:util'
import { liveAsCopy } from './bootstrap.js'
import { canFork } from './can-fork.js'
import { Child } from './children.js'
import { RuntimeError } from './errors.js'
import { abandonStack, becomeForked, makeRandomExchangeable, prepareForForks } from './forked.js'
import { letGoOfInherited } from './inherited.js'
import { functionOf } from './loaded-functions.js'
import { setFunctionFinder } from './module-imports.js'
import { native } from './native.js'
import { checked } from './native-status.js'
import { findPending } from './pending-timers.js'
import type { Process } from './process.js'
import { currentProcess, stateOf } from './process-state.js'
import type * as RefuseThreads from './refuse-threads.js'
import { writeError } from './standard-error.js'

/** What to do to have it. */
export const HOW_TO_FORK = 'start the program with node --single-threaded --v8-pool-size=1'

/** The parent collects its children itself, and need not be told how they end. */
const NO_CHANNEL = -1

const require = createRequire(import.meta.url)

if (canFork()) makeRandomExchangeable()

/** Starts a process object by forking. In the child, nothing of what called this goes on. */
export const fork = (process_: Process): Child => {
  if (!native.isMainThread()) {
    throw new RuntimeError("a worker thread cannot fork; use getContext('spawn') there")
  }
  const { daemon } = stateOf(process_)
  const parentPid = process.pid
  const parentName = stateOf(currentProcess()).name
  const lifeline = checked(native.lifeline(), 'socketpair')
  const parent = checked(native.duplicateDescriptor(lifeline), 'dup')
  findPending()
  const [pid, pidfd] = native.forkProcess()
  if (pid !== 0) {
    native.closeDescriptor(parent)
    return new Child(checked(pid!, 'fork'), pidfd!, !daemon)
  }
  try {
    letGoOfInherited()
    const { refuseThreads } = require('./refuse-threads.cjs') as typeof RefuseThreads
    refuseThreads(require('node:worker_threads'))
    prepareForForks({ idle: () => false, stay: () => {} })
    becomeForked(NO_CHANNEL, parentPid)
    setFunctionFinder(functionOf)
  } catch (error) {
    // Whoever catches it is the parent's.
    writeError(`${inspect(error)}\n`)
    native.leave(1, NO_CHANNEL)
  }
  const identity = { name: process_.name, parentName, parentPid, parent }
  return abandonStack(() => liveAsCopy(process_, identity))
}
