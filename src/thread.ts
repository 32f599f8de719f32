/**
 * The life of a thread of `node-multiprocessing/dummy`: learn who it is, import what it needs, run, end.
 * @module
 */
import { AuthenticationString } from './authentication-string.js'
import { adopt, exitCodeOf, isCaught, setStateOf, tracebackOf } from './bootstrap.js'
import { setStartMethod } from './context.js'
import { DummyProcess } from './dummy-process.js'
import { SystemExit } from './errors.js'
import { inherit } from './logger.js'
import { native } from './native.js'
import { takeObjectFromFile } from './objects.js'
import { type Preparation, type ProcessData, setPreload } from './preparation.js'
import {
  becomeThread,
  currentProcess,
  currentThread,
  setBootstrapping,
  stateOf,
} from './process-state.js'
import { publishCode } from './spawned.js'
import { writeError } from './standard-error.js'
import { banner, type Given } from './thread-child.js'
import { writeDirectly } from './thread-output.js'
import { exitcodeIn, RUNNING, sayExitcode, setBusy, takeDescriptorsOf } from './thread-words.js'

/**
 * Runs what this thread was started for. `codeCache` is a file in memory for what V8 has made of this
 * package, and `compiledCode` gives it, when nobody has put it there yet.
 */
export const runThread = async (
  codeCache: number,
  compiledCode?: () => Uint8Array,
): Promise<void> => {
  // Loading it here spares those who are no threads.
  const given = process.getBuiltinModule('node:worker_threads').workerData as Given
  const { words, end, preparation, data, sent, daemon, life } = given
  setBusy(words, true)
  if (!takeDescriptorsOf(words)) return
  life.close()
  native.endWithEnvironment(end)
  for (const fd of [preparation, data, ...sent]) native.keepDescriptor(fd)
  process.on('exit', (code) => sayExitcode(words, Number(code)))
  writeDirectly()
  if (compiledCode) setImmediate(publishCode, codeCache, compiledCode)
  setBootstrapping(true)
  const self: DummyProcess = Object.create(DummyProcess.prototype)
  try {
    native.releaseKeptDescriptor(preparation)
    const prepared = (await takeObjectFromFile(preparation, [])) as Preparation
    prepare(prepared, self, daemon)
    process.on('uncaughtExceptionMonitor', (error) => onUncaught(error, words))
    // Modules of the program may be imported now, which may take for ever.
    setBusy(words, false)
    native.releaseKeptDescriptor(data)
    const run = (await takeObjectFromFile(data, [...sent], () => {
      setBusy(words, true)
      for (const fd of sent) native.releaseKeptDescriptor(fd)
    })) as ProcessData
    setBusy(words, false)
    adopt(self, prepared, run)
    setBootstrapping(false)
    await self.run()
  } catch (error) {
    fail(error, words)
  }
}

/** Makes this thread what it was started as, before any module of the program is imported. */
const prepare = (preparation: Preparation, self: DummyProcess, daemon: boolean): void => {
  const { argv, authkey, parentName, startMethod, preload, log } = preparation
  process.argv = [process.argv[0]!, ...argv.slice(1)]
  setStateOf(self, preparation)
  Object.assign(stateOf(currentProcess()), {
    name: parentName,
    authkey: new AuthenticationString(authkey),
    daemon,
  })
  becomeThread(self)
  if (startMethod !== null) setStartMethod(startMethod, { force: true })
  setPreload(preload)
  inherit(log)
}

/** An error that nobody catches ends the thread, as it ends a process; Node prints it for neither. */
const onUncaught = (error: unknown, words: Int32Array): void => {
  if (error instanceof SystemExit) process.exit(exitCodeOf(error))
  if (!isCaught()) complain(error, words)
}

const fail = (error: unknown, words: Int32Array): never => {
  if (error instanceof SystemExit) process.exit(exitCodeOf(error))
  complain(error, words)
  process.exit(1)
}

/** Where a thread is terminated, what it was about fails in the oddest ways before its JavaScript stops. */
const complain = (error: unknown, words: Int32Array): void => {
  if (exitcodeIn(words) !== RUNNING) return
  writeError(`${banner(currentThread().name)}${tracebackOf(error)}`)
}
