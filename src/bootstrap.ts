/**
 * The life of a child: learn who it is, import what it needs, run, end.
 * @module
 */
import { writeSync } from 'node:fs'
import { inspect } from 'node:util'
import { runAfterForkers } from './after-fork.js'
import { AuthenticationString } from './authentication-string.js'
import { setStartMethod } from './context.js'
import { SystemExit } from './errors.js'
import { parentOf, setIdentity } from './identity.js'
import { native } from './native.js'
import { takeObjectFromFile } from './objects.js'
import { Process } from './process.js'
import { become, setBootstrapping, setState } from './process-state.js'
import { descriptors, type Preparation, type ProcessData } from './spawn.js'

/** How long a child whose parent is gone has to end after SIGTERM, in milliseconds. */
const GRACE = 2000

/**
 * Runs the process this child was started for. `compiledCode` gives what V8 has made of this package,
 * when no child has published that yet.
 */
export const runChild = async (compiledCode?: () => Uint8Array): Promise<void> => {
  const sent = Array.from({ length: Number(process.argv.at(-1)) }, (_, i) => descriptors.first + i)
  for (let fd = descriptors.preparation; fd < descriptors.first + sent.length; fd++) {
    native.setCloseOnExec(fd)
  }
  setBootstrapping(true)
  const preparation = (await takeObjectFromFile(descriptors.preparation, [])) as Preparation
  const self: Process = Object.create(Process.prototype)
  prepare(preparation, self)
  try {
    const data = (await takeObjectFromFile(descriptors.data, sent)) as ProcessData
    adopt(self, preparation, data)
    setBootstrapping(false)
    runAfterForkers()
    if (compiledCode) setImmediate(publish, compiledCode)
    await self.run()
  } catch (error) {
    end(error, preparation.name)
  }
}

/** Hands the compiled code to later children; by now the functions a child needs are compiled. */
const publish = (compiledCode: () => Uint8Array): void => {
  // Without it they start a little slower.
  native.publishMemoryFile(descriptors.codeCache, compiledCode())
}

/** Makes this process what it was started as, before any module of the program is imported. */
const prepare = (preparation: Preparation, self: Process): void => {
  const { name, argv, daemon, directory, parentName, parentPid, startMethod } = preparation
  setIdentity({ name, parentName, parentPid })
  process.argv = [process.argv[0]!, ...argv.slice(1)]
  if (directory !== null) process.chdir(directory)
  state(self, preparation)
  become(self, parentOf({ name, parentName, parentPid }))
  if (startMethod !== null) setStartMethod(startMethod, { force: true })
  const banner = `Process ${name}:\n`
  native.raiseKeyboardInterruptByDefault(`${banner}KeyboardInterrupt\n`)
  process.on('uncaughtExceptionMonitor', (error) => {
    if (error instanceof SystemExit) process.exit(exitCodeOf(error))
    writeError(banner)
  })
  if (daemon) {
    const fd = native.duplicateDescriptor(descriptors.parent)
    if (fd >= 0) native.endWithParent(fd, GRACE)
  }
}

/** Gives the object its class and fields, now that they could be imported. */
const adopt = (self: Process, preparation: Preparation, data: ProcessData): void => {
  const { type, target, args, kwargs, fields } = data
  if (type !== null) Object.setPrototypeOf(self, type.prototype)
  Object.assign(self, fields)
  state(self, preparation, { target, args, kwargs })
}

const state = (
  self: Process,
  { name, daemon, authkey, identity, parentPid }: Preparation,
  rest: Partial<ProcessData> = {},
): void => {
  const key = new AuthenticationString(authkey)
  const { target = null, args = [], kwargs = {} } = rest
  setState(self, { name, daemon, authkey: key, identity, parentPid, target, args, kwargs })
}

const end = (error: unknown, name: string): never => {
  if (error instanceof SystemExit) process.exit(exitCodeOf(error))
  writeError(
    `Process ${name}:\n${error instanceof Error ? inspect(error) : `Uncaught ${inspect(error)}`}\n`,
  )
  process.exit(1)
}

/** A status that is no number is printed, and counts as a failure. */
const exitCodeOf = ({ status }: SystemExit): number => {
  if (status === undefined || status === null) return 0
  if (typeof status === 'boolean' || (typeof status === 'number' && Number.isInteger(status)))
    return Number(status)
  writeError(`${typeof status === 'string' ? status : inspect(status)}\n`)
  return 1
}

/** Writes to stderr, whatever has become of it. */
const writeError = (text: string): void => {
  try {
    writeSync(2, text)
  } catch {
    // There is nobody to tell.
  }
}
