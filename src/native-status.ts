/**
 * What the engine's negative numbers mean; `crates/binding/src/status.rs` has the same table.
 * @module
 */
import { constants } from 'node:os'
import { getSystemErrorMap } from 'node:util'
import {
  EOFError,
  FileExistsError,
  FileNotFoundError,
  KeyboardInterrupt,
  OSError,
  ValueError,
} from './errors.js'

/** Nothing can be had or given without waiting, or the time is over. */
export const NOT_YET = -1
/** A large message is ready, in memory of its own. */
export const LARGE = -3

/** Descriptors travel over Unix sockets only. */
export const NO_DESCRIPTORS = -6

/** The other end is closed. */
export const END = -2
/** The fork server runs what does not survive a fork. */
export const REFUSED = -8

/** Done, where every number from 0 on means something else. */
export const DONE = -9
/** Done: a lock was taken over from a dead owner. */
export const TAKEN_OVER = -10
/** It is not held, it is full, or it is broken. */
export const NOT_HELD = -11
/** Come again when what is under way has ended. */
export const BUSY = -12
/** SIGINT came. */
export const INTERRUPTED = -13

const SYSTEM = -1000

const faults: Record<number, () => Error> = {
  [END]: () => new EOFError(),
  [-4]: () => new OSError('got end of file during message'),
  [-5]: () => new OSError('bad message length'),
  [NO_DESCRIPTORS]: () => new ValueError('descriptors can be sent over Unix sockets only'),
  [-7]: () => new OSError('handle is closed'),
  [INTERRUPTED]: () => new KeyboardInterrupt(),
}

/** The error that a negative number stands for; `syscall` is what was being tried, in a word. */
export const errorOf = (status: number, syscall: string): Error => {
  if (status <= SYSTEM) return systemError(SYSTEM - status, syscall)
  return faults[status]?.() ?? new OSError(`${syscall} failed with status ${status}`)
}

/** A kernel error as Node shows them: `EPIPE: broken pipe, send`. */
export const systemError = (
  errno: number,
  syscall: string,
  detail = '',
  Type: typeof OSError = OSError,
): OSError => {
  const [code, description] = getSystemErrorMap().get(-errno) ?? [`errno ${errno}`, 'unknown error']
  const message = `${code}: ${description}, ${syscall}${detail && `: ${detail}`}`
  return new Type(message, { code, errno: -errno, syscall })
}

/** The errors that have a class of their own where it is files that are asked for. */
const fileErrors: Record<number, typeof OSError> = {
  [constants.errno.EEXIST]: FileExistsError,
  [constants.errno.ENOENT]: FileNotFoundError,
}

/** The error for a file, or what is named like one. */
export const fileError = (status: number, syscall: string, name: string): Error => {
  const errno = SYSTEM - status
  return systemError(errno, syscall, name, fileErrors[errno])
}

/** A result of the engine that is not an error. */
export const checked = (status: number, syscall: string): number => {
  if (status < 0) throw errorOf(status, syscall)
  return status
}
