/** The calls of locks and their like that can block, behind one signature for both forms. */
import * as mp from 'node-multiprocessing'
import type { Form } from './calls.js'

type Acquirable =
  | Pick<mp.Lock, 'acquire' | 'acquireSync'>
  | Pick<mp.Condition, 'acquire' | 'acquireSync'>
type Waitable<T> = {
  wait(options?: number | null | mp.WaitOptions): Promise<T>
  waitSync(options?: number | null | mp.TimeoutOptions): T
}

/** What releasing a lock, or the like, throws that is free. */
export const TOO_OFTEN = {
  instanceOf: mp.ValueError,
  message: 'semaphore or lock released too many times',
} as const

/** Acquires. */
export const acquire = async (
  form: Form,
  lock: Acquirable,
  options?: mp.AcquireSyncOptions,
): Promise<boolean> => (form === 'Sync' ? lock.acquireSync(options) : await lock.acquire(options))

/** Waits, at most so many milliseconds. */
export const wait = async <T>(
  form: Form,
  what: Waitable<T>,
  timeout?: number | null,
): Promise<T> => (form === 'Sync' ? what.waitSync(timeout) : await what.wait(timeout))

/** Waits until a function says so. */
export const waitFor = async <T>(
  form: Form,
  condition: mp.Condition,
  predicate: () => T,
  timeout?: number | null,
): Promise<T> =>
  form === 'Sync'
    ? condition.waitForSync(predicate, timeout)
    : await condition.waitFor(predicate, timeout)
