/**
 * Waiting, in the Promise form, for words of shared memory to change: the engine's threads sleep on them,
 * and tell the event loop.
 * @module
 */
import { registerAfterFork } from './after-fork.js'
import type { Block } from './heap.js'
import { native } from './native.js'
import { checked } from './native-status.js'
import type { Clock } from './waiting.js'
import { READABLE, Watcher } from './watcher.js'

/** What is called when a wait is over, by the engine's number of it. */
const waits = new Map<number, () => void>()

let watcher: Watcher | undefined

/** What depends on which process this is, and has to be looked up again in a copy. */
export const copies = {
  /** Counts the forks, and other beginnings, that have led to this process. */
  count: 0,
}

/** What to forget in a copy of this process: what its tasks were waiting for is the original's. */
const inCopies = new Set<() => void>()

/** Calls a function in copies of this process. */
export const whenCopied = (run: () => void): void => {
  inCopies.add(run)
}

/** A line of tasks that wait for the same thing. */
interface Line {
  clear(): void
}

const lines = new Set<WeakRef<Line>>()
const collected = new FinalizationRegistry((line: WeakRef<Line>) => lines.delete(line))

/** Clears a line in copies of this process, as long as it exists: those who wait there are the original's. */
export const clearWhenCopied = (line: Line): void => {
  const reference = new WeakRef(line)
  lines.add(reference)
  collected.register(line, reference)
}

registerAfterFork(copies, () => {
  copies.count++
  watcher?.close()
  watcher = undefined
  waits.clear()
  shared.clear()
  native.renewWaiters()
  for (const line of lines) line.deref()?.clear()
  for (const run of inCopies) run()
})

const tell = (): void => {
  for (const ticket of native.takeTickets()) {
    const then = waits.get(ticket)
    waits.delete(ticket)
    then?.()
  }
  if (waits.size === 0) watcher?.want(0)
}

/** Calls a function, once, when the wait that the engine has given this number is over. */
export const whenOver = (ticket: number, then: () => void): void => {
  watcher ??= new Watcher(checked(native.waiterDescriptor(), 'eventfd'), tell)
  waits.set(ticket, then)
  watcher.want(READABLE)
}

/** A wait does not matter any more. */
export const forgetWait = (ticket: number): void => {
  if (!waits.delete(ticket)) return
  native.dropTicket(ticket)
  if (waits.size === 0) watcher?.want(0)
}

/** Everybody who waits for the same word to change from the same value. */
interface SharedWait {
  readonly ticket: number
  readonly then: Set<() => void>
}

const shared = new Map<string, SharedWait>()

/** How long the engine sleeps at most. */
const LONGEST = native.longestSleep()

/**
 * Resolves when a word of a block may not have a value any more, and in any case after a short while, or
 * when the time is over or the signal aborted: whoever waits looks again.
 */
export const untilChanged = (
  { handle }: Block,
  index: number,
  expected: number,
  left: Clock,
  signal: AbortSignal | undefined,
): Promise<void> =>
  new Promise((resolve) => {
    const time = left()
    const atMost = time < 0 ? LONGEST : Math.min(time, LONGEST)
    const key = `${handle} ${index} ${expected} ${atMost === LONGEST ? '' : ++ownWaits}`
    let wait = shared.get(key)
    if (wait === undefined) {
      const later = native.wordWaitLater(handle, index, expected, atMost)
      const ticket = checked(later, 'futex')
      const then = new Set<() => void>()
      wait = { ticket, then }
      shared.set(key, wait)
      whenOver(ticket, () => {
        shared.delete(key)
        for (const each of then) each()
      })
    }
    const { ticket, then } = wait
    const end = (): void => {
      signal?.removeEventListener('abort', onAbort)
      resolve()
    }
    const onAbort = (): void => {
      then.delete(end)
      if (then.size === 0) {
        shared.delete(key)
        forgetWait(ticket)
      }
      end()
    }
    then.add(end)
    signal?.addEventListener('abort', onAbort)
  })

let ownWaits = 0
