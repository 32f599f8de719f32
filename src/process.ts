/**
 * Processes. Mirrors `multiprocessing.process`.
 * @module
 */
import { availableParallelism, constants, cpus } from 'node:os'
import { inspect } from 'node:util'
import { AuthenticationString } from './authentication-string.js'
import type { Child } from './children.js'
import { registerReducer } from './codec/index.js'
import {
  AssertionError,
  NotImplementedError,
  PicklingError,
  RuntimeError,
  ValueError,
} from './errors.js'
import { atExitEndChildren } from './exit.js'
import { knownIdentity, parentOf } from './identity.js'
import {
  anyStateOf,
  authkeyOf,
  become,
  claim,
  currentProcess,
  currentThread,
  isBootstrapping,
  isCurrent,
  isMainProcess,
  isThread,
  ofThreads,
  parentProcess,
  type State,
  setState,
  stateOf,
} from './process-state.js'
import { running } from './running.js'
import { starterOf } from './start.js'
import {
  milliseconds,
  show,
  type TimeoutOptions,
  type WaitOptions,
  waitOptions,
} from './waiting.js'

export { AuthenticationString } from './authentication-string.js'
export { ParentProcess } from './parent-process.js'
export {
  currentProcess,
  isMainProcess,
  onBecomingChild,
  parentProcess,
} from './process-state.js'

const signalNames = new Map(
  Object.entries(constants.signals).map(([name, number]) => [number, name]),
)

/** What a {@link Process} is made from. */
export interface ProcessOptions<Args extends unknown[] = any[]> {
  /** Exists for likeness with threads; must be null or not given. */
  group?: null
  /** What `run()` calls: any function that can travel; by the start method *fork*, any function. */
  target?: ((...args: Args) => unknown) | null
  /** The name; by default the class's name, a hyphen, and numbers that say whose how-manieth child. */
  name?: string | null
  /** The target's arguments. */
  args?: Iterable<unknown>
  /** When it has any, passed to the target as one last argument. */
  kwargs?: object | null
  /** Whether it is ended with the process that starts it; inherited from that one if not given. */
  daemon?: boolean | null
}

/**
 * A function that runs in a process of its own.
 *
 * The function travels to the child: an export by reference, so that the child imports its module; any
 * other by value, with the variables it captures. A program whose main module starts processes guards that
 * part with `if (isMainProcess)`, as a child or the fork server may import it. A subclass may override
 * `run()` instead; it travels in the same way, and so do its own fields. By the start method *fork* nothing
 * travels: the child is a copy of this process.
 *
 * The process is started by the program's start method ({@link setStartMethod}); `Process` of a context
 * by that context's.
 *
 * The child has its own event loop, and ends when `run()` has settled and the loop is empty. stdin is
 * empty; stdout and stderr are the parent's. An error that nobody catches is printed to stderr under
 * `Process NAME:`, and the exit code is 1. While a child that is no daemon runs, it keeps the event loop
 * of its parent alive. When its parent is gone a daemon is ended, and any other child goes on.
 *
 * Mirrors `multiprocessing.Process`.
 */
export class Process<Args extends unknown[] = any[]> {
  /**
   * @throws AssertionError for a group, and for a name that is no string; TypeError for a target that is
   * no function, and for args that cannot be iterated.
   */
  constructor(options: ProcessOptions<Args> = {}) {
    const { group, target = null, name, args = [], kwargs = null, daemon = null } = options
    claim(group === undefined || group === null, 'group argument must be null for now')
    if (target !== null && typeof target !== 'function') {
      throw new TypeError(`target must be a function, not ${show(target)}`)
    }
    if (typeof args !== 'object' || args === null || !(Symbol.iterator in args)) {
      throw new TypeError(`args must be an array, not ${show(args)}`)
    }
    if (kwargs !== null && typeof kwargs !== 'object') {
      throw new TypeError(`kwargs must be an object, not ${show(kwargs)}`)
    }
    const creator = stateOf(ofThreads in new.target ? currentThread() : currentProcess())
    const identity = [...creator.identity, ++creator.made]
    if (name !== undefined && name !== null)
      claim(typeof name === 'string', 'name must be a string')
    setState(this, {
      name: name ?? `${new.target.name}-${identity.join(':')}`,
      daemon: daemon === null ? creator.daemon : checkedDaemon(daemon),
      authkey: authkeyOf(creator),
      identity,
      parentPid: process.pid,
      target: target as State['target'],
      args: [...args],
      kwargs: { ...kwargs },
    })
  }

  /**
   * What the process does: calls the target. Override it in a subclass. Runs in whatever process calls
   * it; a Promise is waited for.
   */
  run(): unknown {
    const { target, args, kwargs } = stateOf(this)
    if (target === null) return undefined
    return Object.keys(kwargs).length > 0 ? target(...args, kwargs) : target(...args)
  }

  /**
   * Starts the process, once. Blocks until it exists, not until it runs; what it needs has then been
   * written for it, so later changes to the arguments do not reach it. By *spawn* that is the time until
   * the new node is executed; by *forkserver* until the server has answered, which the first start of a
   * program brings up; and by *fork* until the process has been copied. In the copy this call does
   * not return: `run()` is called instead, and what called `start()` never goes on.
   *
   * @throws PicklingError for a target or argument that cannot travel, naming the path to it, such as
   * `args[0].conn.socket`; AssertionError when started before, when made by another process, and in a
   * daemon, which may have no children; RuntimeError while this process still imports its main module, and
   * by *fork* in a worker thread; OSError when the system makes no process, when the fork server ends again
   * and again, and by *fork* when the program's other threads do not come to rest; ValueError when closed.
   */
  start(): void {
    const state = stateOf(this)
    claim(state.child === null, 'cannot start a process twice')
    claim(
      state.parentPid === process.pid,
      'can only start a process object created by current process',
    )
    if (isBootstrapping()) throw importingError()
    claim(
      isThread(this) || !stateOf(currentProcess()).daemon,
      'daemonic processes are not allowed to have children',
    )
    reap()
    const start = starterOf(this)
    state.child = start(this)
    state.target = null
    state.args = []
    state.kwargs = {}
    running.add(this)
  }

  /**
   * Waits until the process has ended, or for so long; which of them, `exitcode` says.
   *
   * @param options - Milliseconds to wait at most, or options.
   * @throws AssertionError when not started or another process's child; ValueError when closed; the
   * signal's reason.
   */
  async join(options: number | null | WaitOptions = {}): Promise<void> {
    const child = childOf(this)
    const wanted = waitOptions(options)
    await child.wait(wanted)
    if (child.poll() !== null) running.delete(this)
  }

  /**
   * The same, blocking the thread; it needs no event loop. A child that waits for something of this
   * process's event loop is waited for in vain.
   */
  joinSync(options: number | null | TimeoutOptions = {}): void {
    const child = childOf(this)
    child.waitSync(milliseconds(waitOptions(options).timeout))
    if (child.poll() !== null) running.delete(this)
  }

  /**
   * Whether it has been started and has not ended.
   *
   * @throws AssertionError for another process's child; ValueError when closed.
   */
  isAlive(): boolean {
    const state = stateOf(this)
    if (isCurrent(this)) return true
    claim(state.parentPid === process.pid, 'can only test a child process')
    if (state.child === null) return false
    if (state.child.poll() === null) return true
    running.delete(this)
    return false
  }

  /**
   * Sends SIGINT. A child that does not listen for it ends with exit code 1.
   *
   * @throws AssertionError when not started or another process's child; ValueError when closed.
   */
  interrupt(): void {
    signalled(this).signal(constants.signals.SIGINT)
  }

  /** Sends SIGTERM: exit handlers do not run, and its own children are not ended, but for daemons. */
  terminate(): void {
    signalled(this).signal(constants.signals.SIGTERM)
  }

  /** Sends SIGKILL. */
  kill(): void {
    signalled(this).signal(constants.signals.SIGKILL)
  }

  /**
   * Lets go of what the object holds; everything but `close()` is a ValueError afterwards.
   *
   * @throws ValueError while the process runs.
   */
  close(): void {
    const state = anyStateOf(this)
    if (state === undefined || state.closed) return
    if (state.child !== null) {
      if (state.child.poll() === null) {
        throw new ValueError(
          'cannot close a process while it is still running; join() or terminate() it first',
        )
      }
      state.child.close()
      state.child = null
    }
    running.delete(this)
    state.closed = true
  }

  /** What it is called, in messages; need not be unique. */
  get name(): string {
    return stateOf(this).name
  }

  set name(name: string) {
    claim(typeof name === 'string', 'name must be a string')
    stateOf(this).name = name
  }

  /** Whether it is ended when its parent ends. May be set before it is started. */
  get daemon(): boolean {
    return stateOf(this).daemon
  }

  set daemon(daemon: boolean) {
    const state = stateOf(this)
    claim(state.child === null, 'process has already started')
    state.daemon = checkedDaemon(daemon)
  }

  /** Its process id; null before it is started. */
  get pid(): number | null {
    const { child } = stateOf(this)
    return isCurrent(this) ? process.pid : (child?.pid ?? null)
  }

  /** The same as {@link Process.pid}. */
  get ident(): number | null {
    return this.pid
  }

  /**
   * How it ended: its exit code, or minus the number of the signal that killed it; null while it runs
   * and before it is started. 255 also stands for a child of the fork server that was killed when the
   * server was gone, as nobody can say how. Asking for it once the process has ended may block, for a
   * second at most, until the server has said it.
   */
  get exitcode(): number | null {
    const { child, parentPid } = stateOf(this)
    if (isCurrent(this) || child === null) return null
    claim(parentPid === process.pid, 'can only test a child process')
    return child.poll()
  }

  /** The key it shares with its parent and children; bytes may be assigned. */
  get authkey(): AuthenticationString {
    return authkeyOf(stateOf(this))
  }

  set authkey(authkey: Uint8Array) {
    if (!(authkey instanceof Uint8Array))
      throw new TypeError(`authkey must be bytes, not ${show(authkey)}`)
    stateOf(this).authkey = new AuthenticationString(authkey)
  }

  /**
   * A descriptor that becomes readable when the process ends, for {@link wait}.
   *
   * @throws ValueError when not started or closed.
   */
  get sentinel(): number {
    const { child } = stateOf(this)
    if (child === null) throw new ValueError('process not started')
    return child.sentinel
  }

  /** As the reference prints it: `<Process name='Process-1' pid=7 parent=5 stopped exitcode=0>`. */
  toString(): string {
    const state = anyStateOf(this)
    if (state === undefined) return '<Process uninitialised>'
    const { child, name, parentPid } = state
    const exitcode = child?.poll() ?? null
    const parts: unknown[] = [this.constructor.name, `name='${name}'`]
    if (child !== null) parts.push(`pid=${child.pid}`)
    parts.push(`parent=${parentPid ?? 'None'}`, statusOf(this, state, exitcode))
    if (exitcode !== null) {
      const signal = exitcode < 0 ? signalNames.get(-exitcode) : undefined
      parts.push(`exitcode=${signal ? `-${signal}` : exitcode}`)
    }
    if (state.daemon) parts.push('daemon')
    return `<${parts.join(' ')}>`
  }

  /** How it looks in the console. */
  [inspect.custom](): string {
    return this.toString()
  }
}

const statusOf = (
  process_: Process,
  { closed, parentPid, child }: State,
  exitcode: number | null,
): string => {
  if (isCurrent(process_)) return 'started'
  if (closed) return 'closed'
  if (parentPid !== process.pid) return 'unknown'
  if (child === null) return 'initial'
  return exitcode === null ? 'started' : 'stopped'
}

const checkedDaemon = (daemon: unknown): boolean => {
  if (typeof daemon !== 'boolean')
    throw new TypeError(`daemon must be true or false, not ${show(daemon)}`)
  return daemon
}

const childOf = (process_: Process): Child => {
  const { child, parentPid } = stateOf(process_)
  claim(parentPid === process.pid && !isCurrent(process_), 'can only join a child process')
  if (child === null) throw new AssertionError('can only join a started process')
  return child
}

const signalled = (process_: Process): Child => {
  const { child, parentPid } = stateOf(process_)
  claim(parentPid === process.pid && !isCurrent(process_), 'can only signal a child process')
  if (child === null) throw new AssertionError('can only signal a started process')
  return child
}

/** What this process is called; the fork server is no process of the program's, and nobody's child. */
const ownName = (): string =>
  isMainProcess || parentProcess() !== null || isThread(currentThread())
    ? stateOf(currentThread()).name
    : 'the fork server'

const importingError = (): Error =>
  new RuntimeError(
    `A process cannot be started while this one, ${ownName()}, still imports the ` +
      'modules it needs. Most likely the main module starts processes whenever it is imported: put that ' +
      'part of it under "if (isMainProcess) { ... }", with isMainProcess from \'node-multiprocessing\'.',
  )

/** Processes that have ended are reaped whenever one is started or asked for. */
const reap = (): void => {
  for (const process_ of running) {
    const child = anyStateOf(process_)?.child
    if (!child || child.poll() !== null) running.delete(process_)
  }
}

class MainProcess extends Process {}
Object.defineProperty(MainProcess, 'name', { value: '_MainProcess' })

const main: Process = Object.create(MainProcess.prototype)
// A thread of a child is part of that child.
const identity = knownIdentity()
setState(main, {
  name: identity?.name ?? 'MainProcess',
  daemon: false,
  authkey: null,
  identity: [],
  parentPid: identity?.parentPid ?? null,
})
become(main, identity ? parentOf(identity) : null)

/**
 * The children of this process that have not ended. Those that have are reaped.
 *
 * Mirrors `multiprocessing.active_children`.
 */
export const activeChildren = (): Process[] => childrenThatRun().filter((child) => !isThread(child))

/** The same, threads among them. */
export const childrenThatRun = (): Process[] => {
  reap()
  return [...running]
}

/**
 * How many processors the machine has. What this process may use of them can be less:
 * `os.availableParallelism()`.
 *
 * @throws NotImplementedError when it cannot be told.
 *
 * Mirrors `multiprocessing.cpu_count`.
 */
export const cpuCount = (): number => {
  const count = cpus().length || availableParallelism()
  if (count < 1) throw new NotImplementedError('cannot determine number of cpus')
  return count
}

/** How long a daemon has to end after SIGTERM, before it is killed, in milliseconds. */
const GRACE = 1000

atExitEndChildren(() => {
  const children = childrenThatRun().map(
    (process_) => [process_, stateOf(process_).child!] as const,
  )
  // Asking for the time has node load what it has for that, which takes longer than all the rest.
  if (children.length === 0) return
  const daemons = children.filter(([process_]) => stateOf(process_).daemon)
  for (const [, child] of daemons) child.signal(constants.signals.SIGTERM)
  const end = performance.now() + GRACE
  for (const [, child] of daemons) {
    child.waitSync(Math.max(0, end - performance.now()))
    child.signal(constants.signals.SIGKILL)
  }
  for (const [process_, child] of children) {
    child.waitSync(-1)
    running.delete(process_)
  }
})

registerReducer(Process, {
  name: 'process.Process',
  trustedOnly: true,
  reduce() {
    throw new PicklingError('a Process travels only by being started')
  },
  rebuild: () => main,
})
