/**
 * The life of a child: learn who it is, import what it needs, run, end.
 * @module
 */
import { inspect } from 'node:util'
import { runAfterForkers } from './after-fork.js'
import { AuthenticationString } from './authentication-string.js'
import { setStartMethod } from './context.js'
import { SystemExit } from './errors.js'
import { type Identity, parentOf, setIdentity } from './identity.js'
import { info, inherit } from './logger.js'
import { native } from './native.js'
import { takeObjectFromFile } from './objects.js'
import { type Preparation, type ProcessData, setPreload } from './preparation.js'
import { Process } from './process.js'
import { become, currentProcess, setBootstrapping, setState } from './process-state.js'
import { writeError } from './standard-error.js'

/** How long a child whose parent is gone has to end after SIGTERM, in milliseconds. */
const GRACE = 2000

/** The descriptors that a child begins with. */
export interface Given {
  /** A file with what it is. */
  readonly preparation: number
  /** A file with what it runs. */
  readonly data: number
  /** Reads its end when the parent is gone. */
  readonly parent: number
  /** Those of the objects that it was sent. */
  readonly sent: number[]
}

/** Runs the process that this child was started for. `prepared` is called when it knows what it is. */
export const live = async (
  given: Given,
  prepared: (preparation: Preparation) => void = () => {},
): Promise<void> => {
  setBootstrapping(true)
  const preparation = (await takeObjectFromFile(given.preparation, [])) as Preparation
  const self: Process = Object.create(Process.prototype)
  prepared(preparation)
  prepare(preparation, self, given.parent)
  try {
    const data = (await takeObjectFromFile(given.data, given.sent)) as ProcessData
    adopt(self, preparation, data)
  } catch (error) {
    end(error)
  }
  await run(self)
}

/** Goes on as the copy that was made for a process object. */
export const liveAsCopy = (self: Process, identity: Identity): void => {
  introduce(self, identity, self.daemon)
  void run(self)
}

const run = async (self: Process): Promise<void> => {
  try {
    setBootstrapping(false)
    runAfterForkers()
    info('child process calling self.run()')
    await self.run()
  } catch (error) {
    end(error)
  }
}

/** Makes this process what it was started as, before any module of the program is imported. */
const prepare = (preparation: Preparation, self: Process, parent: number): void => {
  const { name, argv, daemon, directory, parentName, parentPid, startMethod, preload } = preparation
  const identity = { name, parentName, parentPid, parent }
  process.argv = [process.argv[0]!, ...argv.slice(1)]
  if (directory !== null && directory !== process.cwd()) process.chdir(directory)
  setStateOf(self, preparation)
  introduce(self, identity, daemon)
  if (startMethod !== null) setStartMethod(startMethod, { force: true })
  setPreload(preload)
  inherit(preparation.log)
}

/** Says who this process is, and what becomes of it when it is interrupted, fails, or is left alone. */
const introduce = (self: Process, identity: Identity, daemon: boolean): void => {
  const { name, parent } = identity
  setIdentity(identity)
  become(self, parentOf(identity))
  const lastWords = `${banner(name)}KeyboardInterrupt\n`
  if (interruptible) native.raiseKeyboardInterruptByDefault(lastWords)
  process.off('uncaughtExceptionMonitor', onUncaught)
  process.on('uncaughtExceptionMonitor', onUncaught)
  if (daemon) {
    const fd = native.duplicateDescriptor(parent)
    if (fd >= 0) native.endWithParent(fd, GRACE)
  }
}

let interruptible = true

/** @internal Whether SIGINT ends a process once it is known who it is. */
export const setInterruptible = (now: boolean): void => {
  interruptible = now
}

const banner = (name: string): string => `Process ${name}:\n`

/** @internal What an error does that nobody catches, before Node prints it. */
export const onUncaught = (error: unknown): void => {
  if (error instanceof SystemExit) process.exit(exitCodeOf(error))
  if (!isCaught()) writeError(banner(currentProcess().name))
}

/** @internal Whether the program deals itself with errors that nothing caught. */
export const isCaught = (): boolean =>
  process.listenerCount('uncaughtException') > 0 || process.hasUncaughtExceptionCaptureCallback()

/** @internal Gives the object its class and fields, now that they could be imported. */
export const adopt = (self: Process, preparation: Preparation, data: ProcessData): void => {
  const { type, target, args, kwargs, fields } = data
  if (type !== null) Object.setPrototypeOf(self, type.prototype)
  Object.assign(self, fields)
  setStateOf(self, preparation, { target, args, kwargs })
}

/** @internal Makes the object what it was when it was started. */
export const setStateOf = (
  self: Process,
  { name, daemon, authkey, identity, parentPid }: Preparation,
  rest: Partial<ProcessData> = {},
): void => {
  const key = new AuthenticationString(authkey)
  const { target = null, args = [], kwargs = {} } = rest
  setState(self, { name, daemon, authkey: key, identity, parentPid, target, args, kwargs })
}

const end = (error: unknown): never => {
  if (error instanceof SystemExit) process.exit(exitCodeOf(error))
  writeError(`${banner(currentProcess().name)}${tracebackOf(error)}`)
  process.exit(1)
}

/** @internal What is printed of an error that nobody catches. */
export const tracebackOf = (error: unknown): string =>
  `${error instanceof Error ? inspect(error) : `Uncaught ${inspect(error)}`}\n`

/** @internal A status that is no number is printed, and counts as a failure. */
export const exitCodeOf = ({ status }: SystemExit): number => {
  if (status === undefined || status === null) return 0
  if (typeof status === 'boolean' || (typeof status === 'number' && Number.isInteger(status)))
    return Number(status)
  writeError(`${typeof status === 'string' ? status : inspect(status)}\n`)
  return 1
}
