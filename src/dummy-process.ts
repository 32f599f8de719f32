/**
 * A process that is a thread. Mirrors `multiprocessing.dummy`'s `DummyProcess`.
 * @module
 */
import { NotImplementedError } from './errors.js'
import { addPackageClass } from './preparation.js'
import { childrenThatRun, Process } from './process.js'
import { anyStateOf, isCurrent, isThread, ofThreads, stateOf } from './process-state.js'
import { startMethod } from './start.js'
import { startThread } from './thread-child.js'

/**
 * A function that runs in a thread of this process, with an interface like that of {@link Process}.
 *
 * The thread is a worker of `node:worker_threads`: it has an event loop, a heap and modules of its own, so
 * target and arguments travel to it as they do to a process, and it shares what processes can share. It also
 * shares what belongs to the process: the number, the environment, the current directory, the descriptors.
 * `process.exit()` ends the thread alone.
 *
 * The thread ends when `run()` has settled and its event loop is empty. An error that nobody catches is
 * printed to stderr under `Exception in thread NAME:`, and the exit code is 1. While a thread that is no
 * daemon runs, it keeps the event loop alive, and the end of the process waits for it; a daemon is ended.
 *
 * Mirrors `multiprocessing.dummy.Process`.
 */
export class DummyProcess<Args extends unknown[] = any[]> extends Process<Args> {
  /** @internal */
  static readonly [startMethod] = startThread
  /** @internal */
  static readonly [ofThreads] = true

  /**
   * Starts the thread, once. Blocks until it exists, not until it runs; what it needs has then been written
   * for it, so later changes to the arguments do not reach it.
   *
   * @throws PicklingError for a target or argument that cannot travel; AssertionError when started before;
   * RuntimeError while this process or thread still imports what it needs; OSError when descriptors are
   * lacking; ValueError when closed; Error in a process that was made by a fork, which can have no threads.
   */
  override start(): void {
    super.start()
  }

  /**
   * Not for threads, which have no signals.
   *
   * @throws NotImplementedError always.
   */
  override interrupt(): never {
    throw new NotImplementedError('a thread cannot be sent SIGINT; terminate() ends it')
  }

  /**
   * Ends the thread, wherever its JavaScript is; a Sync form that blocks is left within 50 ms. Exit handlers
   * do not run, and neither do `finally` blocks. The exit code is minus the number of SIGTERM. The reference
   * has nothing like it.
   */
  override terminate(): void {
    super.terminate()
  }

  /** The same, with the exit code of SIGKILL. */
  override kill(): void {
    super.kill()
  }

  /** The number of the process that the thread is part of; null before it is started. */
  override get pid(): number | null {
    return this.ident === null ? null : process.pid
  }

  /** The thread's number, `threadId` of `node:worker_threads`; null before it is started. */
  override get ident(): number | null {
    const { child } = stateOf(this)
    if (isCurrent(this)) return process.getBuiltinModule('node:worker_threads').threadId
    return child?.pid ?? null
  }

  /** As the reference prints it: `<DummyProcess(DummyProcess-1, started daemon 7)>`. */
  override toString(): string {
    const state = anyStateOf(this)
    if (state === undefined) return '<DummyProcess uninitialised>'
    if (state.closed) return `<${this.constructor.name}(${state.name}, closed)>`
    const parts = [statusOf(this)]
    if (state.daemon) parts.push('daemon')
    const { ident } = this
    if (ident !== null) parts.push(String(ident))
    return `<${this.constructor.name}(${state.name}, ${parts.join(' ')})>`
  }
}

const statusOf = (thread: DummyProcess): string => {
  if (thread.isAlive()) return 'started'
  return thread.exitcode === null ? 'initial' : 'stopped'
}

/**
 * The threads that this one has started and that have not ended.
 *
 * Mirrors `multiprocessing.dummy.active_children`.
 */
export const activeThreads = (): DummyProcess[] =>
  childrenThatRun().filter(isThread) as DummyProcess[]

addPackageClass(DummyProcess)
