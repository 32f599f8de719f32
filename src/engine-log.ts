/**
 * The engine's own lines for the log. While nobody wants them the engine does not even put them together.
 * @module
 */
import { native } from './native.js'
import { checked } from './native-status.js'
import { READABLE, Watcher } from './watcher.js'

/** Takes a line over into the log. */
type Take = (level: number, message: string) => void

/** What is wanted now, and in which process: a copy of it must say so again. */
let wanted: { readonly level: number; readonly pid: number; readonly watcher: Watcher } | undefined
let takeOver: Take | undefined

/** Takes over what the engine has said. */
export const takeEngineLines = (): void => {
  if (wanted === undefined) return
  for (const { level, message } of native.takeLogLines()) takeOver?.(level, message)
}

/** From now on takes over what has at least this level; nothing if it is undefined. */
export const listenToEngine = (level: number | undefined, take: Take): void => {
  if (wanted?.level === level && wanted?.pid === process.pid) return
  takeEngineLines()
  wanted?.watcher.close()
  if (level === undefined) {
    if (wanted !== undefined) native.ignoreLog()
    wanted = undefined
    return
  }
  if (takeOver === undefined) process.on('exit', takeEngineLines)
  takeOver = take
  const fd = checked(native.listenToLog(level), 'eventfd')
  const watcher = new Watcher(fd, takeEngineLines)
  watcher.want(READABLE)
  // A log keeps nobody alive.
  watcher.keepAlive(false)
  wanted = { level, pid: process.pid, watcher }
}
