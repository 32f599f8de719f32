/**
 * Exceptions of Python's that have a class here, and back.
 * @module
 */
import { constants } from 'node:os'
import * as errors from '../errors.js'
import { Global, hidden, PythonError } from './values.js'

type Make = (message: string, args: any[]) => Error

const plain =
  (type: new (message: string) => Error): Make =>
  (message) =>
    new type(message)

const os =
  (type: typeof errors.OSError): Make =>
  (message, args) => {
    const [errno] = args
    // As in Node, the kernel's numbers are negative.
    return args.length >= 2 && typeof errno === 'number'
      ? new type(message, { errno: -errno })
      : new type(message)
  }

/** Classes by module and name; the first of those with the same class is the one that is written. */
const table: [string, string, Function, Make][] = [
  ['builtins', 'Exception', Error, plain(Error)],
  ['builtins', 'TypeError', TypeError, plain(TypeError)],
  ['builtins', 'ValueError', errors.ValueError, plain(errors.ValueError)],
  ['builtins', 'SyntaxError', SyntaxError, plain(SyntaxError)],
  ['builtins', 'NameError', ReferenceError, plain(ReferenceError)],
  ['builtins', 'KeyError', errors.KeyError, plain(errors.KeyError)],
  ['builtins', 'IndexError', errors.IndexError, plain(errors.IndexError)],
  ['builtins', 'AssertionError', errors.AssertionError, plain(errors.AssertionError)],
  ['builtins', 'RuntimeError', errors.RuntimeError, plain(errors.RuntimeError)],
  [
    'builtins',
    'NotImplementedError',
    errors.NotImplementedError,
    plain(errors.NotImplementedError),
  ],
  ['builtins', 'KeyboardInterrupt', errors.KeyboardInterrupt, plain(errors.KeyboardInterrupt)],
  ['builtins', 'EOFError', errors.EOFError, plain(errors.EOFError)],
  ['builtins', 'OSError', errors.OSError, os(errors.OSError)],
  ['builtins', 'FileExistsError', errors.FileExistsError, os(errors.FileExistsError)],
  ['builtins', 'FileNotFoundError', errors.FileNotFoundError, os(errors.FileNotFoundError)],
  [
    'builtins',
    'SystemExit',
    errors.SystemExit,
    (_message, args) => new errors.SystemExit(args.length > 1 ? args : args[0]),
  ],
  ['multiprocessing.context', 'ProcessError', errors.ProcessError, plain(errors.ProcessError)],
  ['multiprocessing.context', 'TimeoutError', errors.TimeoutError, plain(errors.TimeoutError)],
  [
    'multiprocessing.context',
    'AuthenticationError',
    errors.AuthenticationError,
    plain(errors.AuthenticationError),
  ],
  [
    'multiprocessing.context',
    'BufferTooShort',
    errors.BufferTooShort,
    (message, [data]) =>
      data instanceof Uint8Array
        ? new errors.BufferTooShort(data)
        : new errors.ProcessError(message),
  ],
  ['threading', 'BrokenBarrierError', errors.BrokenBarrierError, plain(errors.BrokenBarrierError)],
  ['_queue', 'Empty', errors.Empty, plain(errors.Empty)],
  ['queue', 'Empty', errors.Empty, plain(errors.Empty)],
  ['queue', 'Full', errors.Full, plain(errors.Full)],
  ['_pickle', 'PicklingError', errors.PicklingError, plain(errors.PicklingError)],
  ['_pickle', 'UnpicklingError', errors.UnpicklingError, plain(errors.UnpicklingError)],
  ['pickle', 'PicklingError', errors.PicklingError, plain(errors.PicklingError)],
  ['pickle', 'UnpicklingError', errors.UnpicklingError, plain(errors.UnpicklingError)],
]

const makers = new Map(table.map(([module, name, , make]) => [`${module}.${name}`, make]))

const globals = new Map<Function, Global>()
for (const [module, name, type] of table) {
  if (!globals.has(type)) globals.set(type, new Global(module, name))
}

/** Exceptions of Python's own that have no class here. */
const others = new Set(
  (
    'ArithmeticError AttributeError BaseException BaseExceptionGroup ' +
    'BufferError BytesWarning ConnectionError ' +
    'DeprecationWarning EncodingWarning ' +
    'ExceptionGroup FloatingPointError FutureWarning GeneratorExit ImportError ImportWarning ' +
    'IndentationError LookupError MemoryError ModuleNotFoundError ' +
    'OverflowError PendingDeprecationWarning ' +
    'PythonFinalizationError RecursionError ReferenceError ResourceWarning RuntimeWarning StopAsyncIteration ' +
    'StopIteration SyntaxWarning SystemError TabError UnboundLocalError UnicodeDecodeError ' +
    'UnicodeEncodeError UnicodeError UnicodeTranslateError UnicodeWarning UserWarning Warning ' +
    'ZeroDivisionError'
  ).split(' '),
)

/** The classes that Python makes of an `OSError`, by the kernel's error number. */
const osErrors = new Map<number, string>()
for (const [name, codes] of Object.entries({
  BlockingIOError: ['EAGAIN', 'EALREADY', 'EINPROGRESS', 'EWOULDBLOCK'],
  BrokenPipeError: ['EPIPE'],
  ChildProcessError: ['ECHILD'],
  ConnectionAbortedError: ['ECONNABORTED'],
  ConnectionRefusedError: ['ECONNREFUSED'],
  ConnectionResetError: ['ECONNRESET'],
  FileExistsError: ['EEXIST'],
  FileNotFoundError: ['ENOENT'],
  InterruptedError: ['EINTR'],
  IsADirectoryError: ['EISDIR'],
  NotADirectoryError: ['ENOTDIR'],
  PermissionError: ['EACCES', 'EPERM'],
  ProcessLookupError: ['ESRCH'],
  TimeoutError: ['ETIMEDOUT'],
})) {
  for (const code of codes) {
    const number = (constants.errno as Record<string, number>)[code]
    if (number !== undefined) osErrors.set(number, name)
  }
}
const OS_ERRORS = new Set(['OSError', 'IOError', 'EnvironmentError', ...osErrors.values()])

/** Whether a global is an exception's class. */
export const isException = ({ module, name }: Global): boolean =>
  makers.has(`${module}.${name}`) || (module === 'builtins' && (others.has(name) || OS_ERRORS.has(name)))

const shown = (value: unknown): string => (typeof value === 'string' ? `'${value}'` : String(value))

/** What `str` says of an exception. */
const messageOf = ({ name }: Global, args: any[]): string => {
  if (args.length === 0) return ''
  const [first, second] = args
  if (args.length === 1) return name === 'KeyError' ? shown(first) : safely(first)
  if (typeof first === 'number' && typeof second === 'string' && /OSError|Error$/.test(name)) {
    const file = args[2] === undefined || args[2] === null ? '' : `: ${shown(args[2])}`
    return `[Errno ${first}] ${second}${file}`
  }
  return `(${args.map((arg) => (typeof arg === 'object' ? safely(arg) : shown(arg))).join(', ')})`
}

/** Objects without a prototype have no text. */
const safely = (value: unknown): string => {
  try {
    return String(value)
  } catch {
    return 'object'
  }
}

/** The exception of a class, made with arguments. */
export const exceptionOf = (type: Global, args: any[]): Error => {
  if (type.module === 'builtins' && OS_ERRORS.has(type.name) && args.length >= 2) {
    return osErrorOf(type, args)
  }
  return made(type, args)
}

/** As in Python, the number says which class it is, and the names of files are no arguments. */
const osErrorOf = (type: Global, args: any[]): Error => {
  const general = /^(?:OS|IO|Environment)Error$/.test(type.name)
  const name = general ? (osErrors.get(args[0]) ?? 'OSError') : type.name
  const error = made(new Global('builtins', name), args)
  hidden(error, 'args', args.slice(0, 2))
  if (args.length > 2) hidden(error, 'files', args.slice(2))
  return error
}

const made = (type: Global, args: any[]): Error => {
  const message = messageOf(type, args)
  const make = makers.get(`${type.module}.${type.name}`)
  if (make === undefined) return new PythonError(type, args, message)
  const error = make(message, args)
  hidden(error, 'args', args)
  return error
}

/** The class of Python's that an error becomes, and its arguments. */
export const reducedError = (error: Error): [Global, any[]] => {
  const { args: own, files } = error as { args?: unknown; files?: unknown }
  const args = Array.isArray(own) && Array.isArray(files) ? [...own, ...files] : own
  if (error instanceof PythonError && error.type instanceof Global) {
    return [error.type, Array.isArray(args) ? args : [error.message]]
  }
  for (let at = Object.getPrototypeOf(error); at !== null; at = Object.getPrototypeOf(at)) {
    const type = at.constructor
    const global = type === RangeError ? VALUE_ERROR : globals.get(type)
    if (global === undefined) continue
    if (Array.isArray(args)) return [global, args]
    if (error instanceof errors.BufferTooShort) return [global, [error.data]]
    if (error instanceof errors.SystemExit) return [global, [error.status ?? null]]
    const { name, message } = error
    // An error of a class that Python has not keeps its name.
    const known = at.constructor.name === name || name === 'Error' || type === RangeError
    const text = known ? message : `${name}: ${message}`
    return [global, text === '' ? [] : [text]]
  }
  return [globals.get(Error)!, [safely(error.message)]]
}

const VALUE_ERROR = globals.get(errors.ValueError)!
