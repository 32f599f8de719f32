/**
 * Proxies for what threads and processes wait for one another with.
 * @module
 */
import { type AcquireOptions, hold, holdSync, runExclusive } from '../acquiring.js'
import type { Held } from '../held.js'
import {
  checkedWait,
  clock,
  FOREVER,
  milliseconds,
  type TimeoutOptions,
  type WaitOptions,
  waitOptions,
} from '../waiting.js'
import type { Both, Spellings } from './calls.js'
import { BaseProxy, SPELLINGS } from './proxy.js'
import { exposed } from './types.js'

/** Milliseconds, as seconds for the server; null for ever. */
export const inSeconds = (timeout: unknown): number | null => {
  const time = milliseconds(timeout)
  return time === FOREVER ? null : time / 1000
}

/** What `acquire(blocking, timeout)` is given for our options. */
const acquiring = ([options = {}]: [AcquireOptions?]): unknown[] => {
  const { block = true, timeout } = options
  if (typeof block !== 'boolean') throw new TypeError('block must be true or false')
  if (!block) return [false]
  const seconds = inSeconds(timeout)
  return seconds === null ? [] : [true, seconds]
}

/** What `wait(timeout)` is given. */
const waiting = ([options]: [(number | null | WaitOptions)?]): unknown[] => {
  const seconds = inSeconds(waitOptions(options).timeout)
  return seconds === null ? [] : [seconds]
}

/** What can be done with a lock or semaphore: each in a Promise and a Sync form. */
export interface AcquirerCalls {
  /**
   * Takes it, waiting if need be.
   *
   * @param options - `timeout` in milliseconds; with `block: false` it is taken only if it is free now.
   * @returns Whether it was taken.
   * @throws The signal's reason, in the Promise form.
   */
  acquire(options?: AcquireOptions): boolean
  /** Frees it. @throws RuntimeError when it is not held, ValueError for a semaphore released too often. */
  release(): void
  /** Whether it is held. @throws RemoteError for a semaphore, which does not know. */
  locked(): boolean
}

const acquirerSpellings: Spellings = {
  acquire: { method: 'acquire', args: acquiring as (given: any[]) => unknown[] },
  release: 'release',
  locked: 'locked',
}

export interface AcquirerProxy extends Both<AcquirerCalls> {}

/**
 * A Lock, RLock or Semaphore in a manager's server. Who holds it is a thread of a process. When that process
 * is killed, or ends with an error, what it holds is free; when it ends in order, a lock or semaphore stays
 * held, as in the reference, and anybody may release it.
 *
 * Mirrors `managers.AcquirerProxy`.
 */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: the methods are defined from the table.
export class AcquirerProxy extends BaseProxy {
  static override readonly _exposed_: readonly string[] = exposed.Acquirer
  /** @internal */
  static readonly [SPELLINGS]: Spellings = acquirerSpellings

  /** Takes it for the rest of a block: `using held = await lock.hold()`. @throws TimeoutError. */
  async hold(options: WaitOptions = {}): Promise<Held> {
    return await hold(releasing(this), options)
  }

  /** The same, blocking. */
  holdSync(options: TimeoutOptions = {}): Held {
    return holdSync(releasing(this), options)
  }

  /** Runs a function while holding it, and waits until that has settled. */
  async runExclusive<T>(run: () => T | Promise<T>, options: WaitOptions = {}): Promise<T> {
    return await runExclusive(releasing(this), run, options)
  }
}

/** As a lock of the package's, whose release does not wait. */
const releasing = (proxy: Both<AcquirerCalls>) => ({
  acquire: (options?: AcquireOptions) => proxy.acquire(options),
  acquireSync: (options?: AcquireOptions) => proxy.acquireSync(options),
  release: () => proxy.releaseSync(),
})

/** What can be done with a condition, beside what can be done with its lock. */
export interface ConditionCalls extends AcquirerCalls {
  /**
   * Gives up the lock and waits until it is notified; then takes the lock back.
   *
   * @returns False when the time, in milliseconds, was over first.
   * @throws RuntimeError when this thread does not hold the lock.
   */
  wait(options?: number | null | WaitOptions): boolean
  /** Wakes so many who wait, one if not given. @throws RuntimeError when this thread does not hold the lock. */
  notify(n?: number): void
  /** Wakes all who wait. */
  notifyAll(): void
}

export interface ConditionProxy extends Both<ConditionCalls> {}

/** A Condition in a manager's server. Mirrors `managers.ConditionProxy`. */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: the methods are defined from the table.
export class ConditionProxy extends AcquirerProxy {
  static override readonly _exposed_: readonly string[] = exposed.Condition
  /** @internal */
  static override readonly [SPELLINGS]: Spellings = {
    ...acquirerSpellings,
    wait: { method: 'wait', args: waiting as (given: any[]) => unknown[] },
    notify: 'notify',
    notifyAll: 'notify_all',
  }

  /**
   * Waits until a function, which is called here, returns something true, or until the time is over.
   *
   * @returns What it returned last.
   */
  async waitFor<T>(
    predicate: () => T | Promise<T>,
    options: number | null | WaitOptions = {},
  ): Promise<T> {
    const wanted = waitOptions(options)
    const left = clock(checkedWait(wanted))
    let result = await predicate()
    while (!result) {
      const time = left()
      if (time === 0) break
      await this.wait({ ...wanted, timeout: time === FOREVER ? null : time })
      result = await predicate()
    }
    return result
  }

  /** The same, blocking. */
  waitForSync<T>(predicate: () => T, options: number | null | TimeoutOptions = {}): T {
    const left = clock(milliseconds(waitOptions(options).timeout))
    let result = predicate()
    while (!result) {
      const time = left()
      if (time === 0) break
      this.waitSync(time === FOREVER ? null : time)
      result = predicate()
    }
    return result
  }
}

/** What can be done with an event: each in a Promise and a Sync form. */
export interface EventCalls {
  /** Whether it is set. */
  isSet(): boolean
  /** Sets it, and wakes all who wait. */
  set(): void
  /** Takes it back. */
  clear(): void
  /** Waits until it is set: false when the time, in milliseconds, was over first. */
  wait(options?: number | null | WaitOptions): boolean
}

export interface EventProxy extends Both<EventCalls> {}

/** An Event in a manager's server. Mirrors `managers.EventProxy`. */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: the methods are defined from the table.
export class EventProxy extends BaseProxy {
  static override readonly _exposed_: readonly string[] = exposed.Event
  /** @internal */
  static readonly [SPELLINGS]: Spellings = {
    isSet: 'is_set',
    set: 'set',
    clear: 'clear',
    wait: { method: 'wait', args: waiting as (given: any[]) => unknown[] },
  }
}

/** What can be done with a barrier: each in a Promise and a Sync form. */
export interface BarrierCalls {
  /**
   * Waits until all parties have come.
   *
   * @returns A number from 0 to the parties less 1, another for each.
   * @throws BrokenBarrierError when somebody gave up, or died, or it was aborted or reset.
   */
  wait(options?: number | null | WaitOptions): number
  /** Breaks it. */
  abort(): void
  /** Makes it as new; who waits gets BrokenBarrierError. */
  reset(): void
  /** How many have to come. */
  parties(): number
  /** How many are waiting. */
  nWaiting(): number
  /** Whether it is broken. */
  broken(): boolean
}

const attribute = (name: string) => ({ method: '__getattribute__', args: () => [name] })

export interface BarrierProxy extends Both<BarrierCalls> {}

/** A Barrier in a manager's server. Mirrors `managers.BarrierProxy`. */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: the methods are defined from the table.
export class BarrierProxy extends BaseProxy {
  static override readonly _exposed_: readonly string[] = exposed.Barrier
  /** @internal */
  static readonly [SPELLINGS]: Spellings = {
    wait: { method: 'wait', args: waiting as (given: any[]) => unknown[] },
    abort: 'abort',
    reset: 'reset',
    parties: attribute('parties'),
    nWaiting: attribute('n_waiting'),
    broken: attribute('broken'),
  }
}
