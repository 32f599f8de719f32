/**
 * The package's log: what it says of itself, and what programs add. Mirrors what `multiprocessing` uses of
 * Python's `logging`.
 * @module
 */
import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'
import { debuglog, format as formatMessage } from 'node:util'
import { listenToEngine, takeEngineLines } from './engine-log.js'
import { ValueError } from './errors.js'
import { currentProcess } from './process-state.js'
import { writeError } from './standard-error.js'
import { show } from './waiting.js'

/** More detail than DEBUG. Mirrors `multiprocessing.util.SUBDEBUG`. */
export const SUBDEBUG = 5
/** Between INFO and WARNING. Mirrors `multiprocessing.util.SUBWARNING`. */
export const SUBWARNING = 25
/** The logger's name. Mirrors `multiprocessing.util.LOGGER_NAME`. */
export const LOGGER_NAME = 'multiprocessing'
/** How lines look. Mirrors `multiprocessing.util.DEFAULT_LOGGING_FORMAT`. */
export const DEFAULT_LOGGING_FORMAT = '[%(levelname)s/%(processName)s] %(message)s'

/** The names of the levels. */
const LEVELS: Readonly<Record<string, number>> = {
  NOTSET: 0,
  SUBDEBUG,
  DEBUG: 10,
  INFO: 20,
  SUBWARNING,
  WARNING: 30,
  WARN: 30,
  ERROR: 40,
  CRITICAL: 50,
  FATAL: 50,
}

/** The names that Python's `logging` writes; others are `Level` and the number. */
const NAMES: Readonly<Record<number, string>> = {
  0: 'NOTSET',
  10: 'DEBUG',
  20: 'INFO',
  30: 'WARNING',
  40: 'ERROR',
  50: 'CRITICAL',
}

const levelName = (level: number): string => NAMES[level] ?? `Level ${level}`

/** A level: 0 NOTSET, 10 DEBUG, 20 INFO, 30 WARNING, 40 ERROR, 50 CRITICAL, any in between, or a name. */
export type Level = number | string

const numberOf = (level: unknown): number => {
  if (typeof level === 'number' && Number.isInteger(level)) return level
  if (typeof level !== 'string')
    throw new TypeError(`a level is a whole number or a name, not ${show(level)}`)
  const number = LEVELS[level]
  if (number === undefined) throw new ValueError(`unknown level: ${show(level)}`)
  return number
}

/** What a level is without one: in Python that of the root logger. */
const LEVEL_OF_ROOT = 30

/** What was logged. */
export class LogRecord {
  /** The logger's name. */
  readonly name: string = LOGGER_NAME
  readonly levelno: number
  readonly levelname: string
  /** The message, with its arguments put in. */
  readonly message: string
  /** The name of the process. */
  readonly processName: string
  /** Its process id. */
  readonly process: number = process.pid
  /** When, in milliseconds, as `Date.now()`. */
  readonly created: number = Date.now()
  readonly #origin: { stack?: string } = {}
  #place: readonly [string, number] | undefined

  /** @internal `beneath` is the function whose caller is meant. */
  constructor(level: number, message: string, beneath: Function) {
    this.levelno = level
    this.levelname = levelName(level)
    this.message = message
    this.processName = currentProcess()?.name ?? 'MainProcess'
    Error.captureStackTrace(this.#origin, beneath)
  }

  /** The path of the file that logged it, or nothing. */
  get pathname(): string {
    return this.#where[0]
  }

  /** The name of that file, without its directory. */
  get filename(): string {
    return basename(this.pathname)
  }

  /** The line that logged it, or 0. */
  get lineno(): number {
    return this.#where[1]
  }

  get #where(): readonly [string, number] {
    this.#place ??= placeIn(this.#origin.stack ?? '')
    return this.#place
  }
}

/** The file and line of the first call of a stack. */
const placeIn = (stack: string): readonly [string, number] => {
  const [, file = '', line = '0'] = stack.match(/^ +at (?:.*\()?(.*?):(\d+):\d+\)?$/m) ?? []
  try {
    return [file.startsWith('file:') ? fileURLToPath(file) : file, Number(line)]
  } catch {
    return [file, Number(line)]
  }
}

/** A record as a line: `%(name)s` and the like are replaced, as in Python. */
export const formatRecord = (format: string, record: LogRecord): string =>
  format.replace(/%\((\w+)\)[sd]|%%/g, (found, field: string | undefined) => {
    if (field === undefined) return '%'
    if (field === 'asctime') return new Date(record.created).toISOString()
    const value: unknown = record[field as keyof LogRecord]
    return value === undefined ? found : String(value)
  })

/** Where records go. */
export interface Handler {
  /** Called with each record that the logger lets through. */
  handle(record: LogRecord): void
}

/** How a {@link StreamHandler} writes. */
export interface StreamHandlerOptions {
  /** Where to; stderr if not given. */
  stream?: { write(text: string): unknown }
  /** How lines look; {@link DEFAULT_LOGGING_FORMAT} if not given. */
  format?: string
}

/** Writes a line for each record. Mirrors `logging.StreamHandler`. */
export class StreamHandler implements Handler {
  readonly #stream: { write(text: string): unknown } | undefined
  readonly #format: string

  constructor({ stream, format = DEFAULT_LOGGING_FORMAT }: StreamHandlerOptions = {}) {
    this.#stream = stream
    this.#format = format
  }

  handle(record: LogRecord): void {
    const line = `${formatRecord(this.#format, record)}\n`
    if (this.#stream === undefined) writeError(line)
    else this.#stream.write(line)
  }
}

/** The package's logger; {@link getLogger} gives it. It blocks no longer than its handlers do. */
export class Logger {
  /** Its name, 'multiprocessing'. */
  readonly name: string = LOGGER_NAME
  /** There is no other logger that records would go on to. */
  readonly propagate = false
  #level = 0
  readonly #handlers: Handler[] = []

  /** Its level; 0, NOTSET, when it has none. */
  get level(): number {
    return this.#level
  }

  /** Its handlers, in order. */
  get handlers(): readonly Handler[] {
    return [...this.#handlers]
  }

  /**
   * Lets through what has at least this level.
   *
   * @throws TypeError or ValueError for what is no level.
   */
  setLevel(level: Level): void {
    this.#level = numberOf(level)
    listen()
  }

  /** Its level, or WARNING when it has none. */
  getEffectiveLevel(): number {
    return this.#level || LEVEL_OF_ROOT
  }

  /** Whether what has that level is let through. */
  isEnabledFor(level: Level): boolean {
    return numberOf(level) >= this.getEffectiveLevel()
  }

  /** Adds a handler, once. */
  addHandler(handler: Handler): void {
    if (typeof handler?.handle !== 'function')
      throw new TypeError(`a handler has a method handle, unlike ${show(handler)}`)
    if (!this.#handlers.includes(handler)) this.#handlers.push(handler)
    listen()
  }

  /** Removes it. */
  removeHandler(handler: Handler): void {
    const place = this.#handlers.indexOf(handler)
    if (place >= 0) this.#handlers.splice(place, 1)
    listen()
  }

  /** Logs; `message` and its arguments are put together as by `util.format`. */
  log(level: Level, message: unknown, ...args: unknown[]): void {
    this.emit(numberOf(level), message, args, this.log)
  }

  /** Logs with level DEBUG, and so on for the following. */
  debug(message: unknown, ...args: unknown[]): void {
    this.emit(10, message, args, this.debug)
  }

  info(message: unknown, ...args: unknown[]): void {
    this.emit(20, message, args, this.info)
  }

  warning(message: unknown, ...args: unknown[]): void {
    this.emit(30, message, args, this.warning)
  }

  error(message: unknown, ...args: unknown[]): void {
    this.emit(40, message, args, this.error)
  }

  critical(message: unknown, ...args: unknown[]): void {
    this.emit(50, message, args, this.critical)
  }

  /** @internal */
  emit(level: number, message: unknown, args: unknown[], beneath: Function): void {
    if (level < this.getEffectiveLevel() || this.#handlers.length === 0) return
    // What the engine has said before comes before.
    if (beneath !== takeEngineLines) takeEngineLines()
    const record = new LogRecord(level, formatMessage(message, ...args), beneath)
    for (const handler of this.#handlers) handler.handle(record)
  }
}

let logger: Logger | undefined
let toStderr = false

/**
 * The package's logger. It has no level and no handler at first, and says nothing then. Children inherit
 * its level.
 *
 * Mirrors `multiprocessing.get_logger`.
 */
export const getLogger = (): Logger => {
  logger ??= new Logger()
  return logger
}

/**
 * Adds a handler that writes to stderr, as {@link DEFAULT_LOGGING_FORMAT} says. Children inherit it.
 *
 * @param level - The logger's level from now on, if given.
 * @throws TypeError or ValueError for what is no level.
 *
 * Mirrors `multiprocessing.log_to_stderr`.
 */
export const logToStderr = (level?: Level | null): Logger => {
  const own = getLogger()
  if (level !== undefined && level !== null) own.setLevel(level)
  own.addHandler(new StreamHandler())
  toStderr = true
  return own
}

/** What a child inherits of the log. */
export interface Inheritance {
  readonly level: number
  readonly toStderr: boolean
}

/** What children inherit; null when nobody has asked for the logger. */
export const inheritance = (): Inheritance | null =>
  logger === undefined ? null : { level: logger.getEffectiveLevel(), toStderr }

/** Takes over what the parent has. */
export const inherit = (inherited: Inheritance | null): void => {
  if (inherited === null) return
  getLogger().setLevel(inherited.level)
  if (inherited.toStderr && !toStderr) logToStderr()
}

/** For `NODE_DEBUG=multiprocessing`, whatever the level is. */
const nodeDebug = debuglog('multiprocessing')

const say = (level: number, message: string, args: unknown[], beneath: Function): void => {
  logger?.emit(level, message, args, beneath)
  if (!nodeDebug.enabled) return
  listen()
  nodeDebug('%s', formatMessage(message, ...args))
}

/** The engine is to say what would be let through, and no more. */
const listen = (): void => {
  const heard = logger !== undefined && logger.handlers.length > 0
  const level = heard ? logger!.getEffectiveLevel() : undefined
  listenToEngine(nodeDebug.enabled ? SUBDEBUG : level, (of, message) =>
    say(of, '%s', [message], takeEngineLines),
  )
}

/** Logs with level SUBDEBUG, if anybody has asked for the logger. Mirrors `multiprocessing.util.sub_debug`. */
export const subDebug = (message: string, ...args: unknown[]): void =>
  say(SUBDEBUG, message, args, subDebug)

/** The same with level DEBUG. Mirrors `multiprocessing.util.debug`. */
export const debug = (message: string, ...args: unknown[]): void => say(10, message, args, debug)

/** The same with level INFO. Mirrors `multiprocessing.util.info`. */
export const info = (message: string, ...args: unknown[]): void => say(20, message, args, info)

/** The same with level SUBWARNING. Mirrors `multiprocessing.util.sub_warning`. */
export const subWarning = (message: string, ...args: unknown[]): void =>
  say(SUBWARNING, message, args, subWarning)

/** The same with level WARNING. Mirrors `multiprocessing.util.warn`. */
export const warn = (message: string, ...args: unknown[]): void => say(30, message, args, warn)
