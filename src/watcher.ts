/**
 * Descriptors watched by the event loop.
 * @module
 */
import { native } from './native.js'
import { checked } from './native-status.js'

export const READABLE = 1
export const WRITABLE = 2

/**
 * The watchers, by the engine's number. One that wants nothing is held weakly, so that it can be
 * collected with whatever it belongs to.
 */
const watchers = new Map<number, Watcher | WeakRef<Watcher>>()
let dispatching = false

const dispatch = (number: number, events: number): void => {
  const held = watchers.get(number)
  const watcher = held instanceof WeakRef ? held.deref() : held
  if (watcher) watcher.ready(events)
  else native.stopWatcher(number)
}

/** No watcher sees anything any more, or keeps the event loop alive; each can be used anew. */
export const stopWatchers = (): void => {
  for (const [number, held] of watchers) {
    native.stopWatcher(number)
    const watcher = held instanceof WeakRef ? held.deref() : held
    watcher?.forget()
  }
}

/** Ends a watcher of which only the number is left. */
export const closeWatcher = (number: number): void => {
  if (watchers.delete(number)) native.closeWatcher(number)
}

/**
 * Calls `onReady` from the event loop when a descriptor is readable or writable, each time round the
 * loop as long as it is and somebody wants to know. The descriptor must stay open until the watcher is
 * closed.
 */
export class Watcher {
  /** The engine's number. */
  readonly number: number
  readonly #onReady: (events: number) => void
  readonly #weak = new WeakRef(this)
  #wanted = 0
  #started = 0

  constructor(fd: number, onReady: (events: number) => void) {
    if (!dispatching) {
      native.setDispatch(dispatch)
      dispatching = true
    }
    this.number = checked(native.createWatcher(fd), 'watch')
    this.#onReady = onReady
    watchers.set(this.number, this.#weak)
    native.setWatcherRef(this.number, false)
  }

  /** Wants these events from now on, 0 none; the loop stays alive for them. */
  want(events: number): void {
    if (events === this.#wanted) return
    if ((events !== 0) !== (this.#wanted !== 0)) {
      native.setWatcherRef(this.number, events !== 0)
      watchers.set(this.number, events !== 0 ? this : this.#weak)
    }
    this.#wanted = events
    // What nobody wants any more is left on: a ping-pong wants it again a moment later.
    if (events !== 0 && events !== this.#started) this.#start(events)
  }

  /** Whether the loop stays alive for what is wanted. */
  keepAlive(referenced: boolean): void {
    native.setWatcherRef(this.number, referenced && this.#wanted !== 0)
  }

  /** It wants nothing, whatever it wanted. */
  forget(): void {
    this.#wanted = 0
    this.#started = 0
    native.setWatcherRef(this.number, false)
    watchers.set(this.number, this.#weak)
  }

  /** Watches no more. */
  close(): void {
    closeWatcher(this.number)
  }

  /** Called by the engine. */
  ready(events: number): void {
    // An error is for the call that follows to find out.
    const seen = events < 0 ? this.#wanted : events & this.#wanted
    if (seen !== 0) this.#onReady(seen)
    else if (this.#wanted !== 0) this.#start(this.#wanted)
    else {
      native.stopWatcher(this.number)
      this.#started = 0
    }
  }

  #start(events: number): void {
    checked(native.startWatcher(this.number, events), 'watch')
    this.#started = events
  }
}
