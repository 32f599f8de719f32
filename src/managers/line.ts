/**
 * Those who wait in a manager's server for something that others do: first come, first served.
 * @module
 */
import { Float } from '../shareable-list.js'
import { type Call, currentCall, type Session } from './session.js'

/** One who waits. */
export interface Waiter {
  readonly session: Session
  readonly call: Call
  /** Ends the wait: true when it was worth it. */
  settle(served: boolean): void
}

/** The longest time a timer takes; longer ones are for ever. */
const LONGEST_TIMER = 2 ** 31 - 1

/** A number; those of Python's may be objects here. */
export const numberOf = (value: unknown): number => {
  if (value instanceof Float) return value.value
  return typeof value === 'number' || typeof value === 'bigint' ? Number(value) : Number.NaN
}

/** Seconds, as Python counts: null and below zero for ever. */
export const secondsLeft = (timeout: unknown): number | null => {
  if (timeout === null || timeout === undefined) return null
  const seconds = numberOf(timeout)
  if (Number.isNaN(seconds)) {
    throw new TypeError(`a timeout is a number of seconds or null, not ${String(timeout)}`)
  }
  return Math.max(0, seconds)
}

/** A line. */
export class Line {
  readonly #waiters = new Set<Waiter>()

  get length(): number {
    return this.#waiters.size
  }

  /** Who is first. */
  get first(): Waiter | undefined {
    for (const waiter of this.#waiters) return waiter
    return undefined
  }

  /**
   * Waits at the end for the call that is being made: true when it was served, false when the time, in
   * seconds, is over, or the call was called off, or its client is gone. `gone` is called then.
   */
  wait(seconds: number | null, gone?: () => void): Promise<boolean> {
    const call = currentCall()
    const { session } = call
    return new Promise((resolve) => {
      let timer: NodeJS.Timeout | undefined
      const over = (): void => {
        if (!this.#waiters.has(waiter)) return
        waiter.settle(false)
        gone?.()
      }
      const leaver = { leave: over }
      const waiter: Waiter = {
        session,
        call,
        settle: (served) => {
          this.#waiters.delete(waiter)
          session.exit(leaver)
          call.cancel = undefined
          clearTimeout(timer)
          resolve(served)
        },
      }
      this.#waiters.add(waiter)
      session.enter(leaver)
      call.cancel = over
      if (seconds !== null && seconds * 1000 <= LONGEST_TIMER)
        timer = setTimeout(over, Math.ceil(seconds * 1000))
    })
  }

  /** Takes out who is first, and serves it. */
  serveFirst(): Waiter | undefined {
    const { first } = this
    first?.settle(true)
    return first
  }

  /** Serves all. */
  serveAll(): void {
    for (const waiter of [...this.#waiters]) waiter.settle(true)
  }
}
