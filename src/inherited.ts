/**
 * What a copy of a process was about when it was made is its parent's business: it stops waiting for what
 * the parent waits for. What the parent holds, it holds too.
 * @module
 */
import { isOwnExit } from './exit.js'
import { clearFinalizers } from './finalize.js'
import { native } from './native.js'
import { clearTicks, clearTimers, leaveImmediates } from './pending-timers.js'
import { forgetChildren } from './running.js'
import { stopWatchers } from './watcher.js'

/** What Node's own code makes of a handle of libuv. */
interface Inner {
  close?(): void
  readStop?(): void
  recvStop?(): void
  readonly writeQueueSize?: number
}

interface Handle {
  unref?(): void
  readonly _handle?: Inner | null
  readonly connecting?: boolean
  readonly listening?: boolean
}

interface Internals {
  _getActiveHandles(): Handle[]
  _getActiveRequests(): { oncomplete?: unknown }[]
}

const internals = process as unknown as Internals

/** Lets go of timers, sockets, servers, children, worker threads and listeners for the end. */
export const letGoOfInherited = (): void => {
  clearTicks()
  stopWatchers()
  forgetChildren()
  clearFinalizers()
  process.removeAllListeners('beforeExit')
  for (const listener of process.listeners('exit')) {
    if (!isOwnExit(listener)) process.off('exit', listener)
  }
  forgetRequests()
  for (const handle of internals._getActiveHandles()) letGoOf(handle)
  native.forgetThreads()
  if (process.getActiveResourcesInfo().some((kind) => kind === 'Timeout' || kind === 'Immediate')) {
    clearTimers()
  }
  leaveImmediates()
}

/** Requests of sockets; all others have been given to the thread pool, where nobody works at them. */
const OF_SOCKETS = /^(?:TCPConnect|PipeConnect|Write|Shutdown|Send)Wrap$/

/** What the parent has under way, it goes on with; here nobody is told how it ends. */
const forgetRequests = (): void => {
  const kept = internals
    ._getActiveRequests()
    .filter(({ constructor }) => OF_SOCKETS.test(constructor.name))
  for (const request of kept) request.oncomplete = () => {}
  native.forgetRequests(kept.length)
}

/** A server would take connections that are meant for the parent, a socket send and receive its data. */
const letGoOf = (handle: Handle): void => {
  const inner = innerOf(handle)
  const busy = handle.connecting === true || (inner?.writeQueueSize ?? 0) > 0
  if (handle.listening || busy) inner?.close?.()
  else {
    inner?.readStop?.()
    inner?.recvStop?.()
  }
  handle.unref?.()
}

/** Reading `_handle` of a socket for datagrams is deprecated, with a warning. */
const innerOf = (handle: Handle): Inner | null | undefined => {
  if (Object.hasOwn(handle, '_handle')) return handle._handle
  const state = Object.getOwnPropertySymbols(handle).find(
    ({ description }) => description === 'state symbol',
  )
  return state && (handle as { [state]?: { handle?: Inner } })[state]?.handle
}
