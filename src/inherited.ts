/**
 * What a copy of a process was about when it was made is its parent's business: it stops waiting for what
 * the parent waits for. What the parent holds, it holds too.
 * @module
 */
import { isOwnExit } from './exit.js'
import { clearFinalizers } from './finalize.js'
import { clearTimers } from './pending-timers.js'
import { forgetChildren } from './running.js'
import { stopWatchers } from './watcher.js'

interface Handle {
  unref?(): void
  readonly _handle?: { close?(): void; readStop?(): void } | null
  readonly listening?: boolean
}

/** Lets go of timers, sockets, servers, children and listeners for the end. */
export const letGoOfInherited = (): void => {
  stopWatchers()
  forgetChildren()
  clearFinalizers()
  process.removeAllListeners('beforeExit')
  for (const listener of process.listeners('exit')) {
    if (!isOwnExit(listener)) process.off('exit', listener)
  }
  const internals = process as unknown as { _getActiveHandles(): Handle[] }
  for (const handle of internals._getActiveHandles()) letGoOf(handle)
  if (process.getActiveResourcesInfo().some((kind) => kind === 'Timeout' || kind === 'Immediate')) {
    clearTimers()
  }
}

/** A server would take connections that are meant for the parent, and a socket its data. */
const letGoOf = (handle: Handle): void => {
  if (handle.listening) handle._handle?.close?.()
  else handle._handle?.readStop?.()
  handle.unref?.()
}
