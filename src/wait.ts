/**
 * Waiting for the first of many things.
 * @module
 */
import type { Connection } from './connection.js'
import { ValueError } from './errors.js'
import { native } from './native.js'
import { checked } from './native-status.js'
import { endEarly, milliseconds, show, type TimeoutOptions, type WaitOptions } from './waiting.js'
import { READABLE, Watcher } from './watcher.js'

/** What can be waited for: a Connection, a descriptor's number (a sentinel too), or what has one. */
export type Waitable = Connection | number | { fileno(): number }

const descriptorOf = (object: Waitable): number => {
  const fd = typeof object === 'number' ? object : object?.fileno?.()
  if (typeof fd !== 'number' || !Number.isInteger(fd)) {
    throw new TypeError(`a Connection or a descriptor is wanted, not ${show(object)}`)
  }
  if (fd < 0) throw new ValueError(`invalid file descriptor: ${fd}`)
  return fd
}

const ready = <T extends Waitable>(objects: readonly T[], fds: number[], timeout: number): T[] => {
  const indices = native.waitReadable(fds, timeout)
  if (indices.length > 0) checked(indices[0]!, 'poll')
  return indices.map((index) => objects[index]!)
}

/**
 * Waits until one of the objects is ready: a message or the end for a Connection, the end of the process
 * for a sentinel.
 *
 * @returns All that are ready, in the order given; none after the timeout.
 * @throws TypeError for what cannot be waited for; OSError for what is closed; the signal's reason.
 *
 * Mirrors `multiprocessing.connection.wait`.
 */
export const wait = async <T extends Waitable>(
  objects: Iterable<T>,
  options: WaitOptions = {},
): Promise<T[]> => {
  options.signal?.throwIfAborted()
  const all = [...objects]
  const fds = all.map(descriptorOf)
  const now = ready(all, fds, 0)
  if (now.length > 0 || milliseconds(options.timeout) === 0) return now
  const watchers: Watcher[] = []
  try {
    await new Promise<void>((resolve, reject) => {
      const stop = endEarly(options, reject, () => undefined)
      const end = (): void => {
        stop()
        resolve()
      }
      for (const fd of fds) {
        const watcher = new Watcher(fd, end)
        watchers.push(watcher)
        watcher.want(READABLE)
      }
    })
  } catch (error) {
    if (error !== undefined) throw error
  } finally {
    for (const watcher of watchers) watcher.close()
  }
  return ready(all, fds, 0)
}

/** The same, blocking. */
export const waitSync = <T extends Waitable>(
  objects: Iterable<T>,
  { timeout }: TimeoutOptions = {},
): T[] => {
  const all = [...objects]
  return ready(all, all.map(descriptorOf), milliseconds(timeout))
}
