/**
 * How long, and until whose word, a call waits: the options that all waiting calls share.
 * @module
 */
import { constants } from 'node:os'
import { TimeoutError } from './errors.js'
import { native } from './native.js'
import { systemError } from './native-status.js'

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
export const waitOptions = (given: number | null | WaitOptions | undefined): WaitOptions => {
  if (given === undefined) return {}
  return given !== null && typeof given === 'object' ? given : { timeout: given }
}

/**
 * Looks at the options before anything is done: wrong ones are an error at the call, and so is a signal
 * that is aborted already. Returns the milliseconds.
 */
export const checkedWait = ({ timeout, signal }: WaitOptions, fallback = FOREVER): number => {
  const time = milliseconds(timeout, fallback)
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw new TypeError(`signal must be an AbortSignal, not ${show(signal)}`)
  }
  signal?.throwIfAborted()
  return time
}

/** A value as it appears in an error message. */
export const show = (value: unknown): string => {
  if (typeof value === 'string') return JSON.stringify(value)
  if (typeof value === 'function') return 'a function'
  if (typeof value === 'object' && value !== null)
    return `an ${value.constructor?.name ?? 'object'}`
  return String(value)
}

/** What is left of a time that has begun to run; {@link FOREVER} stays. */
export type Clock = () => number

/** No time at all: what can be done is done, and nothing is waited for. */
export const NO_TIME: Clock = () => 0

/** No end. */
export const ENDLESS: Clock = () => FOREVER

/** Starts a clock. */
export const clock = (timeout: number): Clock => {
  if (timeout === FOREVER) return ENDLESS
  if (timeout === 0) return NO_TIME
  const end = performance.now() + timeout
  return () => Math.max(0, end - performance.now())
}

/** How long a worker thread blocks at a time, in milliseconds. */
const SLICE = 50

let onMainThread: boolean | undefined

/**
 * How long a Sync form may block in one go. The main thread blocks as long as it likes; a worker thread
 * must come back to JavaScript now and then, as only there it can be ended from outside.
 */
export const atOnce = (left: Clock): Clock => {
  onMainThread ??= native.isMainThread()
  if (onMainThread) return left
  return () => {
    const time = left()
    return time === FOREVER ? SLICE : Math.min(time, SLICE)
  }
}

/** The longest time a timer takes; longer ones are for ever, or nearly a month. */
const LONGEST_TIMER = 2 ** 31 - 1

/**
 * Calls `end` with the reason, once, when the wait is to end early. What is returned puts an end to that.
 */
export const endEarly = (
  { signal, timeout }: WaitOptions,
  end: (reason: unknown) => void,
  onTimeout: () => unknown = () => new TimeoutError(),
): (() => void) => {
  const time = milliseconds(timeout)
  const stop = (): void => {
    signal?.removeEventListener('abort', onAbort)
    clearTimeout(timer)
  }
  const onAbort = (): void => {
    stop()
    end(signal?.reason)
  }
  const onTime = (): void => {
    stop()
    end(onTimeout())
  }
  signal?.addEventListener('abort', onAbort, { once: true })
  const unending = time === FOREVER || time > LONGEST_TIMER
  const timer = unending ? undefined : setTimeout(onTime, Math.ceil(time))
  return stop
}

/** A descriptor's number, or what is wrong with it: no descriptor is below 0 or has over 31 bits. */
export const descriptorNumber = (value: unknown): number => {
  if (typeof value !== 'number' || !Number.isInteger(value)) {
    throw new TypeError(`a descriptor is a whole number, not ${show(value)}`)
  }
  if (value < 0 || value > 0x7fff_ffff)
    throw systemError(constants.errno.EBADF, 'fcntl', String(value))
  return value
}

/** Refuses what can be neither collected nor referred to weakly. */
export const checkObject = (value: unknown, name: string): void => {
  if ((typeof value !== 'object' || value === null) && typeof value !== 'function') {
    throw new TypeError(`${name} must be an object, not ${show(value)}`)
  }
}
