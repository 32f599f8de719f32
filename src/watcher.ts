/**
 * Descriptors watched by the event loop.
 * @module
 */
import { native } from './native.js'
import { checked } from './native-status.js'

export const READABLE = 1
export const WRITABLE = 2

const watchers = new Map<number, Watcher>()
let dispatching = false

const dispatch = (number: number, events: number): void => watchers.get(number)?.ready(events)

/**
 * Calls `onReady` from the event loop when a descriptor is readable or writable, each time round the
 * loop as long as it is and somebody wants to know.
 */
export class Watcher {
  readonly #number: number
  readonly #onReady: (events: number) => void
  #wanted = 0
  #started = 0

  constructor(fd: number, onReady: (events: number) => void) {
    if (!dispatching) {
      native.setDispatch(dispatch)
      dispatching = true
    }
    this.#number = checked(native.createWatcher(fd), 'watch')
    this.#onReady = onReady
    watchers.set(this.#number, this)
    native.setWatcherRef(this.#number, false)
  }

  /** Wants these events from now on, 0 none; the loop stays alive for them. */
  want(events: number): void {
    if (events === this.#wanted) return
    if ((events !== 0) !== (this.#wanted !== 0)) native.setWatcherRef(this.#number, events !== 0)
    this.#wanted = events
    // What nobody wants any more is left on: a ping-pong wants it again a moment later.
    if (events !== 0 && events !== this.#started) this.#start(events)
  }

  /** Whether the loop stays alive for what is wanted. */
  keepAlive(referenced: boolean): void {
    native.setWatcherRef(this.#number, referenced && this.#wanted !== 0)
  }

  /** Watches no more. */
  close(): void {
    if (watchers.delete(this.#number)) native.closeWatcher(this.#number)
  }

  #start(events: number): void {
    checked(native.startWatcher(this.#number, events), 'watch')
    this.#started = events
  }

  /** Called by the engine. */
  ready(events: number): void {
    // An error is for the call that follows to find out.
    const seen = events < 0 ? this.#wanted : events & this.#wanted
    if (seen !== 0) this.#onReady(seen)
    else if (watchers.has(this.#number)) {
      if (this.#wanted !== 0) this.#start(this.#wanted)
      else {
        native.stopWatcher(this.#number)
        this.#started = 0
      }
    }
  }
}
