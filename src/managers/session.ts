/**
 * A client, as a manager's server sees it: a thread of a process, with what it refers to and holds.
 * @module
 */
import type { ReplyKind } from './protocol.js'

/** What a client can hold, and gives up when it dies. */
export interface Holdable {
  /** The client died: what it held is free. */
  abandonedBy(session: Session): void
  /** The client ended in order: what it held stays held, by nobody in particular. */
  leftBy(session: Session): void
}

/** One who is told when a client is gone. */
export interface Leaver {
  leave(): void
}

/** A client. */
export class Session {
  /** How many references it has to each referent. */
  readonly references = new Map<string, number>()
  readonly #holds = new Set<Holdable>()
  readonly #leavers = new Set<Leaver>()
  /** The calls that are not done, by number. */
  readonly calls = new Map<number, Call>()
  /** Who it is, for messages. */
  name = ''
  /** Whether it has said that it is about to end. */
  orderly = false
  ended = false

  /** It holds something now. */
  holds(held: Holdable): void {
    this.#holds.add(held)
  }

  /** It holds it no more. */
  released(held: Holdable): void {
    this.#holds.delete(held)
  }

  /** Somebody waits here on its behalf. */
  enter(leaver: Leaver): void {
    this.#leavers.add(leaver)
  }

  /** Nobody does any more. */
  exit(leaver: Leaver): void {
    this.#leavers.delete(leaver)
  }

  /** It is gone. */
  end(): void {
    if (this.ended) return
    this.ended = true
    for (const leaver of [...this.#leavers]) leaver.leave()
    this.#leavers.clear()
    for (const held of [...this.#holds]) {
      if (this.orderly) held.leftBy(this)
      else held.abandonedBy(this)
    }
    this.#holds.clear()
  }
}

/** Takes what a call has come to. */
export type Answer = (kind: ReplyKind, result: unknown, stack?: string) => void

/** A call that a client has made. */
export interface Call {
  readonly session: Session
  /** Ends the wait that the call is in; set by whoever waits. */
  cancel?: (() => void) | undefined
}

/** What code of the server itself calls. */
const ownSession = new Session()

let current: Call = { session: ownSession }

/** The call that is being made now; those of the server's own code have a client of their own. */
export const currentCall = (): Call => current

/** Makes a call the current one while `run` runs, up to its first wait. */
export const during = <T>(call: Call, run: () => T): T => {
  const before = current
  current = call
  try {
    return run()
  } finally {
    current = before
  }
}
