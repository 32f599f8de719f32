/**
 * How long, and until whose word, a call waits: the options that all waiting calls share.
 * @module
 */
import { TimeoutError } from './errors.js'

/** Options of every Sync form that waits. */
export interface TimeoutOptions {
  /** Milliseconds to wait at most; null or nothing waits for ever, less than zero is zero. */
  timeout?: number | null | undefined
}

/** Options of every Promise form that waits. */
export interface WaitOptions extends TimeoutOptions {
  /** Ends the wait when aborted: the Promise is rejected with the signal's reason. */
  signal?: AbortSignal | undefined
}

/** For ever, as the engine counts. */
export const FOREVER = -1

/** Milliseconds for the engine: {@link FOREVER} for null, nothing below zero otherwise. */
export const milliseconds = (timeout: unknown, fallback = FOREVER): number => {
  if (timeout === undefined) return fallback
  if (timeout === null || timeout === Number.POSITIVE_INFINITY) return FOREVER
  if (typeof timeout !== 'number' || Number.isNaN(timeout)) {
    throw new TypeError(`timeout must be a number of milliseconds or null, not ${show(timeout)}`)
  }
  return Math.max(0, timeout)
}

/** Options that may be given as a plain number, where a timeout is all there is to say. */
export const waitOptions = (given: number | null | WaitOptions | undefined): WaitOptions =>
  given !== null && typeof given === 'object'
    ? given
    : given === undefined
      ? {}
      : { timeout: given }

/** A value as it appears in an error message. */
export const show = (value: unknown): string =>
  typeof value === 'string'
    ? JSON.stringify(value)
    : typeof value === 'function'
      ? 'a function'
      : String(value)

/** The longest time a timer takes; longer ones are for ever, or nearly a month. */
const LONGEST_TIMER = 2 ** 31 - 1

/**
 * Calls `end` with the reason when the wait is to end early. What is returned puts an end to that.
 * Throws at once when the signal is aborted already.
 */
export const endEarly = (
  { signal, timeout }: WaitOptions,
  end: (reason: unknown) => void,
  onTimeout: () => unknown = () => new TimeoutError(),
): (() => void) => {
  const time = milliseconds(timeout)
  const onAbort = (): void => end(signal?.reason)
  signal?.addEventListener('abort', onAbort, { once: true })
  const timer =
    time === FOREVER || time > LONGEST_TIMER
      ? undefined
      : setTimeout(() => end(onTimeout()), Math.ceil(time))
  return () => {
    signal?.removeEventListener('abort', onAbort)
    clearTimeout(timer)
  }
}
