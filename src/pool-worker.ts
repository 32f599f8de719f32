/**
 * A pool's worker, seen from the pool.
 * @module
 */
import { constants } from 'node:os'
import { provideOwn } from './functions.js'
import type { PoolChannel, WorkerPlace } from './pool-channel.js'
import { READY, STARTING } from './pool-channel.js'
import { poolWorkerMain, type WorkerSettings } from './pool-worker-main.js'
import type { Process } from './process.js'
import { stateOf } from './process-state.js'
import type { WaitOptions } from './waiting.js'

provideOwn(poolWorkerMain, 'poolWorkerMain')

/** What a pool has to know of a process that it has started, or of a thread. */
export interface WorkerHandle {
  /** The process's id, or the thread's. */
  readonly id: number
  /** How it ended; null while it runs. Asking may be what finds out that it has ended. */
  readonly exitcode: number | null
  /** A descriptor that becomes readable when it has ended; nothing where there is none. */
  readonly sentinel: number | undefined
  /** Calls a function when it has ended, without keeping the event loop alive for that. */
  onEnd(ended: () => void): void
  /** Ends it at once. */
  kill(): void
  /** Asks it to end, which it may put off. */
  terminate(): void
  join(options: WaitOptions): Promise<void>
  /** Blocks for at most so many milliseconds, less than zero for ever. */
  joinSync(timeout: number): void
  /** It has ended, and nothing but its exit code will be asked for. */
  release(): void
}

/** Under which a class of processes, or of threads, keeps how its handles are made. */
export const workerHandle: unique symbol = Symbol('workerHandle')

const processHandle = (process_: Process): WorkerHandle => {
  const child = stateOf(process_).child!
  return {
    id: child.pid,
    get exitcode() {
      return child.poll()
    },
    sentinel: child.sentinel,
    onEnd: (ended) => child.onEnd(ended),
    kill: () => child.signal(constants.signals.SIGKILL),
    terminate: () => child.signal(constants.signals.SIGTERM),
    join: (options) => process_.join(options),
    joinSync: (timeout) => process_.joinSync(timeout < 0 ? null : timeout),
    release: () => child.close(),
  }
}

/** How a worker is started. */
export interface WorkerStart extends Omit<WorkerSettings, 'channel' | 'place'> {
  readonly type: typeof Process
  readonly initializer: ((...args: any[]) => unknown) | null
  readonly initargs: readonly unknown[]
}

/** A worker, and its places on the board. */
export class PoolWorker {
  readonly process: Process
  readonly handle: WorkerHandle
  /** The number of its first place. */
  readonly place: number
  readonly places: readonly WorkerPlace[]
  /** When it was started. */
  readonly since = performance.now()
  /** Whether the pool itself has ended it. */
  isSentenced = false

  /** Starts it. @throws as `Process.start`. */
  constructor(channel: PoolChannel, place: number, start: WorkerStart) {
    const { type, initializer, initargs, ...rest } = start
    const settings: WorkerSettings = { channel, place, ...rest }
    this.place = place
    this.places = Array.from({ length: rest.concurrency }, (_, i) => channel.place(place + i))
    for (const each of this.places) {
      each.state = STARTING
      each.work = { busy: 0, done: 0 }
    }
    this.process = new type({
      target: poolWorkerMain as (...args: any[]) => unknown,
      args: [settings, initializer, [...initargs]],
      daemon: true,
    })
    this.process.name = this.process.name.replace('Process', 'PoolWorker')
    this.process.start()
    const own = (type as { [workerHandle]?: (process_: Process) => WorkerHandle })[workerHandle]
    this.handle = (own ?? processHandle)(this.process)
  }

  /** Whether it has ever been ready for tasks: one that has not may be unable to start. */
  get isProven(): boolean {
    return this.places[0]!.state === READY
  }

  /** For how many milliseconds it was busy, and how many tasks it has done. */
  get work(): { busy: number; done: number } {
    let busy = 0
    let done = 0
    for (const { work } of this.places) {
      busy += work.busy
      done += work.done
    }
    return { busy, done }
  }
}
