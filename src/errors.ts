/**
 * The errors of the package. They carry the reference's names and a stable `code`.
 * @module
 */

import { constants } from 'node:os'

const define = (target: object, name: string, value: unknown): void => {
  Object.defineProperty(target, name, {
    value,
    enumerable: false,
    configurable: true,
    writable: true,
  })
}

const signalName = (exitcode: number | null): string | null => {
  const found = Object.entries(constants.signals).find(([, number]) => number === -(exitcode ?? 0))
  return found?.[0] ?? null
}

/**
 * What every error of this package extends: `name` is the class's own, `code` never changes between
 * versions.
 */
export abstract class MultiprocessingError extends Error {
  /** A stable identifier, for programs to compare. */
  declare readonly code: string

  constructor(code: string, message?: string, options?: ErrorOptions) {
    super(message, options)
    define(this, 'name', new.target.name)
    define(this, 'code', code)
  }
}

/** The base class of the errors that the reference derives from `ProcessError`. */
export class ProcessError extends MultiprocessingError {
  constructor(message?: string, options?: ErrorOptions, code = 'ERR_PROCESS') {
    super(code, message, options)
  }
}

/**
 * `recvBytesInto` was given a buffer too small for the message. The message is not lost: it is `data`,
 * whole.
 */
export class BufferTooShort extends ProcessError {
  /** The message that did not fit. */
  declare readonly data: Uint8Array

  constructor(data: Uint8Array) {
    super(
      `the message of ${data.byteLength} bytes does not fit the buffer`,
      undefined,
      'ERR_BUFFER_TOO_SHORT',
    )
    define(this, 'data', data)
  }
}

/** A peer could not prove that it holds the key. */
export class AuthenticationError extends ProcessError {
  constructor(message?: string, options?: ErrorOptions) {
    super(message, options, 'ERR_AUTHENTICATION')
  }
}

/** A call with a `timeout` ran out of time. */
export class TimeoutError extends ProcessError {
  constructor(message = 'timed out', options?: ErrorOptions) {
    super(message, options, 'ERR_TIMEOUT')
  }
}

/** What a worker was at when it died: the function, and what it was called with. */
export interface LostTask {
  readonly fn: unknown
  /** The arguments of a call of `apply`; otherwise the items of the chunk. */
  readonly items: unknown
}

/** A pool's worker ended while it held a task. */
export class WorkerDiedError extends ProcessError {
  /** The worker's process id. */
  declare readonly pid: number
  /** How it ended: its exit code, or minus the number of the signal that killed it. */
  declare readonly exitcode: number | null
  /** The name of the signal that killed it. */
  declare readonly signal: string | null
  /** What it was at; nothing when it was at nothing. */
  declare readonly task: LostTask | undefined

  constructor(message: string, pid: number, exitcode: number | null, task?: LostTask) {
    super(message, undefined, 'ERR_WORKER_DIED')
    define(this, 'pid', pid)
    define(this, 'exitcode', exitcode)
    define(this, 'signal', signalName(exitcode))
    define(this, 'task', task)
  }
}

/** A queue had nothing to take, or not in time. Mirrors `queue.Empty`. */
export class Empty extends MultiprocessingError {
  constructor(message = 'the queue is empty', options?: ErrorOptions) {
    super('ERR_EMPTY', message, options)
  }
}

/** A queue had no place for an item, or not in time. Mirrors `queue.Full`. */
export class Full extends MultiprocessingError {
  /** How many of the items of a `putMany` were put in. */
  declare readonly done: number

  constructor(message = 'the queue is full', done = 0, options?: ErrorOptions) {
    super('ERR_FULL', message, options)
    define(this, 'done', done)
  }
}

/** An object cannot be sent; the message names the path to the culprit. */
export class PicklingError extends ProcessError {
  /** Where in the object the culprit is, such as `args[0].conn.socket`. */
  declare readonly path: string

  constructor(message: string, path = '', options?: ErrorOptions) {
    super(message, options, 'ERR_PICKLING')
    define(this, 'path', path)
  }
}

/** Bytes that came in are not an object this program can, or may, rebuild. */
export class UnpicklingError extends ProcessError {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options, 'ERR_UNPICKLING')
  }
}

/** The result of a pool's task could not be sent; both that reason and the result are kept as text. */
export class MaybeEncodingError extends ProcessError {
  /** Why it could not be sent. */
  declare readonly exc: string
  /** What it looked like. */
  declare readonly value: string

  constructor(exc: string, value: string) {
    super(`Error sending result: '${value}'. Reason: '${exc}'`, undefined, 'ERR_MAYBE_ENCODING')
    define(this, 'exc', exc)
    define(this, 'value', value)
  }
}

/** The cause of an error that was thrown in another process: its stack there. */
export class RemoteTraceback extends MultiprocessingError {
  constructor(stack?: string) {
    super('ERR_REMOTE', stack)
    define(this, 'stack', stack)
  }
}

/**
 * A manager's server could not do what it was asked, or not answer: the message says why, as the server
 * saw it. What a referent's method throws arrives as itself. Mirrors `managers.RemoteError`.
 */
export class RemoteError extends MultiprocessingError {
  constructor(message?: string, options?: ErrorOptions) {
    super('ERR_REMOTE_CALL', message, options)
  }
}

/** The other end is closed and nothing is left to read. */
export class EOFError extends MultiprocessingError {
  constructor(message = 'the other end is closed', options?: ErrorOptions) {
    super('ERR_EOF', message, options)
  }
}

/** An argument has the right type and a value that cannot be. */
export class ValueError extends MultiprocessingError {
  constructor(message?: string, options?: ErrorOptions) {
    super('ERR_VALUE', message, options)
  }
}

/** An index is outside of what there is. */
export class IndexError extends MultiprocessingError {
  constructor(message?: string, options?: ErrorOptions) {
    super('ERR_INDEX', message, options)
  }
}

/** There is nothing for that key. */
export class KeyError extends MultiprocessingError {
  constructor(message?: string, options?: ErrorOptions) {
    super('ERR_KEY', message, options)
  }
}

/** A call was made in a state that rules it out. */
export class AssertionError extends MultiprocessingError {
  constructor(message?: string, options?: ErrorOptions) {
    super('ERR_ASSERTION', message, options)
  }
}

/** Something was asked for at a time when it cannot be given. */
export class RuntimeError extends MultiprocessingError {
  constructor(message?: string, options?: ErrorOptions, code = 'ERR_RUNTIME') {
    super(code, message, options)
  }
}

/**
 * A barrier that somebody waited at, or came to, is broken: a party gave up waiting or died, its action
 * failed, or it was aborted or reset. Mirrors `threading.BrokenBarrierError`.
 */
export class BrokenBarrierError extends RuntimeError {
  constructor(message = 'the barrier is broken', options?: ErrorOptions) {
    super(message, options, 'ERR_BROKEN_BARRIER')
  }
}

/**
 * SIGINT came while a Sync form blocked the main thread, and the program listens for it: the listeners are
 * called as soon as the event loop turns again.
 */
export class KeyboardInterrupt extends MultiprocessingError {
  constructor(message = 'interrupted by SIGINT', options?: ErrorOptions) {
    super('ERR_KEYBOARD_INTERRUPT', message, options)
  }
}

/** This platform does not have what was asked for. */
export class NotImplementedError extends MultiprocessingError {
  constructor(message?: string, options?: ErrorOptions) {
    super('ERR_NOT_IMPLEMENTED', message, options)
  }
}

/**
 * The system refused a call. `errno` and `syscall` are there when the kernel said why, as on Node's own
 * system errors; `code` is then the kernel's name for it, such as `EBADF`.
 */
export class OSError extends MultiprocessingError {
  /** The kernel's error number, negated as in Node. */
  declare readonly errno?: number
  /** The system call that failed. */
  declare readonly syscall?: string

  constructor(message?: string, details: { code?: string; errno?: number; syscall?: string } = {}) {
    super(details.code ?? 'ERR_OS', message)
    if (details.errno !== undefined) define(this, 'errno', details.errno)
    if (details.syscall !== undefined) define(this, 'syscall', details.syscall)
  }
}

/** What was to be made is there already; the kernel's `EEXIST`. */
export class FileExistsError extends OSError {
  constructor(message?: string, details: { code?: string; errno?: number; syscall?: string } = {}) {
    super(message, { code: 'ERR_FILE_EXISTS', ...details })
  }
}

/** There is nothing of that name; the kernel's `ENOENT`. */
export class FileNotFoundError extends OSError {
  constructor(message?: string, details: { code?: string; errno?: number; syscall?: string } = {}) {
    super(message, { code: 'ERR_FILE_NOT_FOUND', ...details })
  }
}

/**
 * Ends the process it is thrown in, as Python's `sys.exit(status)` does: nothing or null means exit
 * code 0, a number is the exit code, true is 1, false 0; anything else is printed to stderr and the exit
 * code is 1.
 */
export class SystemExit extends MultiprocessingError {
  /** What the process was asked to end with. */
  declare readonly status: unknown

  constructor(status?: unknown) {
    super('ERR_SYSTEM_EXIT', 'the process was asked to end')
    define(this, 'status', status)
  }
}
