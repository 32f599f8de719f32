/**
 * The resource tracker: a small process, one for each program, that takes away the names which the program
 * has left in the system when all of its processes have ended, in whatever way. Mirrors
 * `multiprocessing.resource_tracker`.
 * @module
 */
import { constants } from 'node:os'
import { ValueError } from './errors.js'
import { Finalize } from './finalize.js'
import { native } from './native.js'
import { checked, errorOf } from './native-status.js'
import { milliseconds, show, type TimeoutOptions } from './waiting.js'
import { READABLE, Watcher } from './watcher.js'

const REGISTER = 0
const UNREGISTER = 1
const PROBE = 2

const RUNNING = 0
const RESTARTED = 2

const TOO_LONG = -1000 - constants.errno.EMSGSIZE

/** The reference's words. */
const DIED = 'resource_tracker: process died unexpectedly, relaunching.  Some resources might leak.'

/** How long {@link ResourceTracker.stopSync} waits if nothing else is said, in milliseconds. */
const PATIENCE = 10_000

/** How often a tracker that dies is started again without being asked for. */
const REVIVALS = 3

/**
 * A tracker of one's own. Programs need none: the functions of this module are those of the program's
 * tracker. Nothing is started before it is needed.
 *
 * Mirrors `multiprocessing.resource_tracker.ResourceTracker`.
 */
export class ResourceTracker {
  /** The engine's number of it; the program's has none of its own. */
  #handle: number | undefined
  readonly #own: boolean
  #watch: Watch | undefined
  #revivals = 0
  #exitcode: number | null = null

  constructor() {
    this.#own = new.target !== ProgramTracker
  }

  #number(): number {
    if (!this.#own) return checked(native.ownTracker(), 'pipe')
    this.#handle ??= checked(native.newTracker(), 'pipe')
    return this.#handle
  }

  /** The tracker's process id; null when none was started. */
  get pid(): number | null {
    return native.trackerPid(this.#number()) || null
  }

  /** With what the tracker ended, once {@link ResourceTracker.stopSync} has seen it end. */
  get exitcode(): number | null {
    return this.#exitcode
  }

  /**
   * Starts the tracker if it does not run. One that has died is replaced, by one that knows what it knew,
   * with a warning of the process. Does not wait for more than the start.
   *
   * @throws OSError when it cannot be started.
   */
  ensureRunning(): void {
    this.#tell(PROBE, '', '')
  }

  /**
   * Has a name looked after: when the program has ended and has not unregistered it, it is taken away.
   * Registering a name twice is registering it once.
   *
   * @param name - The name as the system has it; that of a shared memory object begins with a slash.
   * @param rtype - What has that name: `'shared_memory'` or `'semaphore'`.
   * @throws ValueError for a name of more than some 350 to 480 bytes; TypeError for what is no text; OSError
   * when there is no tracker and none can be started.
   */
  register(name: string, rtype: string): void {
    this.#tell(REGISTER, name, rtype)
  }

  /** Takes {@link ResourceTracker.register} back: the name is gone, or somebody else's affair. */
  unregister(name: string, rtype: string): void {
    this.#tell(UNREGISTER, name, rtype)
  }

  /**
   * The descriptor of the end to write to of the tracker's pipe. It stays the tracker's. What is written to
   * it is a line, `REGISTER:name:rtype`, `UNREGISTER:name:rtype` or `PROBE:0:noop`, of 512 bytes at most.
   */
  getfd(): number {
    this.ensureRunning()
    return this.#descriptors()[0]!
  }

  /**
   * Lets go of the tracker and waits for its end, blocking. It ends when no other process holds its pipe,
   * and takes away what is left then.
   *
   * @param options - `timeout`: milliseconds to wait at most, 10,000 if not given.
   * @returns The exit code: 0 when nothing was left, 1 when something was, 2 when something could not be
   * taken away, 3 when it was sent what is no message; null when it was started by another process, or has
   * not ended in time.
   */
  stopSync({ timeout }: TimeoutOptions = {}): number | null {
    const patience = milliseconds(timeout, PATIENCE)
    const most = patience < 0 ? LONGEST : Math.min(Math.ceil(patience), LONGEST)
    this.#exitcode = native.stopTracker(this.#number(), most)
    this.#handle = undefined
    if (this.#exitcode === null) this.#watch?.retire()
    else this.#watch?.end()
    this.#watch = undefined
    return this.#exitcode
  }

  /** @internal The pipe and the ledger, for a child that is to have the same tracker. */
  descriptors(): number[] {
    return this.#descriptors()
  }

  #descriptors(): number[] {
    const descriptors = native.trackerDescriptors(this.#number())
    checked(descriptors[0]!, 'pipe')
    return descriptors
  }

  #tell(command: number, name: string, rtype: string): void {
    for (const text of [name, rtype]) {
      if (typeof text !== 'string') throw new TypeError(`a name is a text, not ${show(text)}`)
    }
    if (command !== PROBE && !/^\w+$/.test(rtype)) {
      throw new ValueError(`there are no resources of the type ${show(rtype)}`)
    }
    const outcome = native.tellTracker(this.#number(), command, name, rtype)
    if (outcome === RUNNING) return
    if (outcome === TOO_LONG) throw new ValueError('msg too long')
    if (outcome < 0) throw errorOf(outcome, 'resource_tracker')
    if (outcome === RESTARTED) process.emitWarning(DIED, 'UserWarning')
    this.#watchOver()
  }

  #watchOver(): void {
    this.#watch?.end()
    const pidfd = native.trackerProcess(this.#number())
    this.#watch =
      pidfd < 0
        ? undefined
        : new Watch(pidfd, () => {
            this.#watch = undefined
            if (this.#revivals++ < REVIVALS) this.ensureRunning()
          })
  }
}

/**
 * A tracker that was started here. One that is killed is not to stay a zombie until it is needed again, and
 * is replaced at once, so that nothing is left behind when the program is killed next.
 */
class Watch {
  readonly #pidfd: number
  readonly #watcher: Watcher
  #died: (() => void) | undefined

  constructor(pidfd: number, died: () => void) {
    this.#pidfd = pidfd
    this.#died = died
    this.#watcher = new Watcher(pidfd, () => {
      native.collectProcess(pidfd)
      this.end()
      this.#died?.()
    })
    this.#watcher.want(READABLE)
    this.#watcher.keepAlive(false)
  }

  /** Its end is nobody's loss; it is still collected. */
  retire(): void {
    this.#died = undefined
  }

  /** There is nothing left to see. */
  end(): void {
    this.#watcher.close()
    native.closeDescriptor(this.#pidfd)
  }
}

/** The longest time that the engine counts, in milliseconds: weeks. */
const LONGEST = 2 ** 31 - 1

/** After all that may still use the tracker. */
const LAST = -2000

/** The one that all processes of the program share. */
class ProgramTracker extends ResourceTracker {
  readonly #registered = new Set<string>()
  /** The process whose end is prepared; a copy of it has to prepare its own. */
  #prepared: number | undefined

  override register(name: string, rtype: string): void {
    super.register(name, rtype)
    this.#registered.add(`${rtype}:${name}`)
    if (this.#prepared === process.pid || !native.isMainThread()) return
    this.#prepared = process.pid
    // Should it be killed, and nobody have noticed, it is missed most when all others are gone.
    new Finalize(null, () => this.#registered.size > 0 && this.ensureRunning(), {
      exitpriority: LAST,
    })
  }

  override unregister(name: string, rtype: string): void {
    super.unregister(name, rtype)
    this.#registered.delete(`${rtype}:${name}`)
  }
}

const tracker: ResourceTracker = new ProgramTracker()

/** @internal The program's tracker. */
export const programTracker = (): ResourceTracker => tracker

/** @internal The pipe and the ledger of the program's tracker, for its children. */
export const trackerDescriptors = (): number[] => tracker.descriptors()

/**
 * Starts the program's tracker if it does not run; see {@link ResourceTracker.ensureRunning}.
 *
 * Mirrors `multiprocessing.resource_tracker.ensure_running`.
 */
export const ensureRunning = (): void => tracker.ensureRunning()

/**
 * Has the program's tracker look after a name; see {@link ResourceTracker.register}.
 *
 * Mirrors `multiprocessing.resource_tracker.register`.
 */
export const register = (name: string, rtype: string): void => tracker.register(name, rtype)

/**
 * Takes {@link register} back; see {@link ResourceTracker.unregister}.
 *
 * Mirrors `multiprocessing.resource_tracker.unregister`.
 */
export const unregister = (name: string, rtype: string): void => tracker.unregister(name, rtype)

/**
 * The end to write to of the pipe of the program's tracker; see {@link ResourceTracker.getfd}.
 *
 * Mirrors `multiprocessing.resource_tracker.getfd`.
 */
export const getfd = (): number => tracker.getfd()
