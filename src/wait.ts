/**
 * Waiting for the first of many things.
 * @module
 */
import { Connection } from './connection.js'
import { ValueError } from './errors.js'
import { native } from './native.js'
import { checked } from './native-status.js'
import {
  atOnce,
  checkedWait,
  clock,
  descriptorNumber,
  endEarly,
  milliseconds,
  show,
  type TimeoutOptions,
  type WaitOptions,
} from './waiting.js'
import { READABLE, Watcher } from './watcher.js'

/** What can be waited for: a Connection, a descriptor's number (a sentinel too), or what has one. */
export type Waitable = Connection | number | { fileno(): number }

const descriptorOf = (object: Waitable): number => {
  if (typeof object !== 'number' && typeof object?.fileno !== 'function') {
    throw new TypeError(`a Connection or a descriptor is wanted, not ${show(object)}`)
  }
  const fd: unknown = typeof object === 'number' ? object : object.fileno()
  if (typeof fd === 'number' && fd < 0) throw new ValueError(`invalid file descriptor: ${fd}`)
  return descriptorNumber(fd)
}

const ready = <T>(objects: readonly T[], fds: number[], timeout: number): T[] => {
  const indices = native.waitReady(fds, [], timeout)
  if (indices.length > 0) checked(indices[0]!, 'poll')
  return indices.map((index) => objects[index]!)
}

/** Calls one of the two when a descriptor is readable; what is returned calls it off. */
const watch = (fd: number, settle: () => void): (() => void) => {
  // A copy, as the descriptor is somebody else's, who may close it meanwhile.
  const copy = checked(native.duplicateDescriptor(fd), 'dup')
  const watcher = new Watcher(copy, settle)
  watcher.want(READABLE)
  return () => {
    watcher.close()
    native.closeDescriptor(copy)
  }
}

/**
 * Waits until one of the objects is ready: a message or the end for a Connection, the end of the process
 * for a sentinel.
 *
 * @returns All that are ready, in the order given; none after the timeout.
 * @throws TypeError for what cannot be waited for; OSError for what is closed, also while it is waited
 * for; the signal's reason.
 *
 * Mirrors `multiprocessing.connection.wait`.
 */
export const wait = async <T extends Waitable>(
  objects: Iterable<T>,
  options: WaitOptions = {},
): Promise<T[]> => {
  checkedWait(options)
  const all = [...objects]
  const fds = all.map(descriptorOf)
  const now = ready(all, fds, 0)
  if (now.length > 0 || milliseconds(options.timeout) === 0) return now
  const callOff: (() => void)[] = []
  try {
    const timely = await new Promise<boolean>((resolve, reject) => {
      const settle = (): void => resolve(true)
      callOff.push(endEarly(options, reject, () => resolve(false)))
      for (const [index, object] of all.entries()) {
        const readable =
          object instanceof Connection
            ? object.stream.whenReadable(settle, reject)
            : watch(fds[index]!, settle)
        callOff.push(readable)
      }
    })
    return timely ? ready(all, fds, 0) : []
  } finally {
    for (const call of callOff) call()
  }
}

/** The same, blocking. */
export const waitSync = <T extends Waitable>(
  objects: Iterable<T>,
  { timeout }: TimeoutOptions = {},
): T[] => {
  const left = clock(milliseconds(timeout))
  const slice = atOnce(left)
  const all = [...objects]
  const fds = all.map(descriptorOf)
  for (;;) {
    const found = ready(all, fds, slice())
    if (found.length > 0 || left() === 0) return found
  }
}
