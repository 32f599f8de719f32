/**
 * The fork server: imports what children will need, and then does nothing but fork them.
 * @module
 */
import { isAbsolute } from 'node:path'
import { debuglog } from 'node:util'
import { runInNewContext } from 'node:vm'
import { live, onUncaught, setInterruptible } from './bootstrap.js'
import { setStartMethod } from './context.js'
import { adoptEnvironment } from './environment.js'
import { resumeFromExit } from './exit.js'
import {
  becomeForked,
  forgetFork,
  makeRandomExchangeable,
  noted,
  practiseEnd,
  prepareForForks,
} from './forked.js'
import { forgetFound, provideReference } from './functions.js'
import { native } from './native.js'
import { END } from './native-status.js'
import { takeObjectFromFile } from './objects.js'
import { managers } from './on-demand.js'
import { rehearsePoolWorker } from './pool-rehearsal.js'
import { preloadModules } from './preload.js'
import {
  getPreparationData,
  partsOfObject,
  withEncodedData,
  withMemoryFiles,
} from './preparation.js'

import { Process, type ProcessOptions } from './process.js'
import { become, parentProcess, setBootstrapping, whoAmI } from './process-state.js'
import { descriptors } from './spawn.js'
import { publishCode } from './spawned.js'
import { setFlags } from './v8-flags.js'

const log = debuglog('multiprocessing')

/** What the server is told. */
export interface ForkServerSettings {
  readonly argv: readonly string[]
  readonly execArgv: readonly string[]
  readonly preload: readonly string[]
}

/** The server's end of the control socket, where a spawned child has what it runs. */
const CONTROL = descriptors.data

/** Whether this is still the server, and not one of its children. */
let serving = true

/** Serves until nobody is left who could ask; goes on as the child in each child. */
export const runForkServer = async (compiledCode?: () => Uint8Array): Promise<void> => {
  for (let fd = descriptors.preparation; fd < descriptors.first; fd++) native.setCloseOnExec(fd)
  native.useTracker(descriptors.tracker, descriptors.ledger)
  setBootstrapping(true)
  const settings = (await takeObjectFromFile(descriptors.preparation, [])) as ForkServerSettings
  process.argv = [process.argv[0]!, ...settings.argv.slice(1)]
  process.execArgv = [...settings.execArgv]
  // A module that waits for what never comes keeps nobody: the loop has nothing else to do then.
  let waiting = false
  const idle = (): boolean => {
    if (serving && waiting) soon()
    waiting = false
    return serving
  }
  makeRandomExchangeable()
  prepareForForks({ idle, stay })
  setFlags('--no-lazy-feedback-allocation')
  await rehearse(REHEARSALS)
  await rehearsePoolWorker((role) => rehearse(1, role)).catch((error) => {
    log('the fork server could not rehearse a pool: %o', error)
  })
  setFlags('--lazy-feedback-allocation')
  // A child that uses a manager shares what loading it has made.
  managers()
  waiting = true
  if (compiledCode) publishCode(descriptors.codeCache, compiledCode)
  await preloadModules(settings.preload)
  if (waiting) soon()
  waiting = false
}

/** How long the server waits for what the modules have under way, in milliseconds. */
const PATIENCE = 10_000

/**
 * What is in line for the event loop would otherwise be done in each child; and what is under way in the
 * thread pool would never end there.
 */
const soon = (): void => {
  const end = performance.now() + PATIENCE
  const turn = (): void => {
    if (native.activeRequests() === 0 || performance.now() > end) setImmediate(serve)
    else setTimeout(turn, 1)
  }
  setImmediate(turn)
}

/** A process that a module has started is the server's child: others never hear of its end. */
const leaveProcesses = (): void => {
  const internals = process as unknown as { _getActiveHandles(): object[] }
  for (const handle of internals._getActiveHandles()) {
    if (handle.constructor.name === 'ChildProcess') (handle as { unref(): void }).unref()
  }
}

/** Otherwise each child might begin where V8 is about to collect garbage, and do that first. */
const collectYoung = (): void => {
  setFlags('--expose-gc')
  const collect = runInNewContext('gc') as (options: { type: 'minor' }) => void
  setFlags('--no-expose-gc')
  collect({ type: 'minor' })
}

const serve = async (): Promise<void> => {
  if (noted().hooks) {
    native.refuseForks(CONTROL)
    native.leave(0, -1)
  }
  leaveProcesses()
  collectYoung()
  // What is done for a child is not what children do.
  const [ours, theirs] = offer('practice', ROLE)
  const report = native.practiseFork()
  if (report >= 0) {
    serving = false
    await run(theirs)
    practiseEnd()
    native.endPractice(report)
  }
  native.closeDescriptor(ours)
  native.closeDescriptor(theirs)
  const [request, job] = native.serveForks(CONTROL)
  if (job === undefined && request! < 0) native.leave(request === END ? 0 : 1, -1)
  serving = false
  // All of this is one function because it is compiled when it is called, and each child would do that anew.
  if (job !== undefined && !native.hasRequest(job, LULL)) await rehearse(1)
  const channel = job === undefined ? request! : native.awaitRequest(job)
  if (channel < 0) native.leave(channel === END ? 0 : 1, -1)
  void run(channel)
}

/**
 * How long a process waits for something to do before it rehearses, in milliseconds: where one is started
 * after the other, there is always something by then, and rehearsing would only delay it.
 */
const LULL = 2

const run = async (channel: number): Promise<void> => {
  const [control, preparation, data, parent, ...sent] = native.receiveGivenDescriptors(channel)
  if (parent === undefined) native.leave(1, channel)
  native.useForkServer(control!, -1)
  await live({ preparation: preparation!, data: data!, parent: parent!, sent }, (told) => {
    becomeForked(channel, told.parentPid)
    adoptEnvironment(told.environment)
  })
}

/** How often the server goes through it: as often as V8 needs to see what it is worth compiling. */
const REHEARSALS = 20

/** What it runs then: any function that can be referred to will do, and a bit of everything. */
const AT = { module: 'node:path', path: ['default', 'isAbsolute'] }
provideReference(isAbsolute, AT)
const ROLE: ProcessOptions = {
  target: isAbsolute,
  args: ['text', 1, { list: [1.5, null] }],
  daemon: false,
}

/** Asks for a process, as whoever starts one does: both ends of its channel. */
const offer = (name: string, role: ProcessOptions): [ours: number, theirs: number] => {
  const [ours, theirs] = native.forkServerControl() as [number, number]
  const actor = new Process({ name, ...role })
  withEncodedData(actor, ({ parts, descriptors: sent }) =>
    withMemoryFiles([partsOfObject(getPreparationData(actor, 'forkserver', '')), parts], (files) =>
      native.giveDescriptors(ours, [ours, ...files, descriptors.parent, ...sent]),
    ),
  )
  forgetFound(AT)
  return [ours, theirs]
}

/**
 * Goes through what a child does, from beginning to end. V8 compiles a function when it is called first,
 * and again when it is called often; what is compiled now is not compiled in each child.
 */
const rehearse = async (times: number, role = ROLE): Promise<void> => {
  const [self, parent] = whoAmI()
  setInterruptible(false)
  for (let i = 0; i < times; i++) {
    const [ours, theirs] = offer(`rehearsal-${i}`, role)
    await run(theirs)
    practiseEnd()
    native.stopForkServer(0)
    native.closeDescriptor(ours)
    native.closeDescriptor(theirs)
    native.closeDescriptor(parentProcess()!.sentinel)
    resume()
  }
  setInterruptible(true)
  setStartMethod(null, { force: true })
  become(self, parent)
  setBootstrapping(true)
}

/** The end was only practised. */
const resume = (): void => {
  process.off('uncaughtExceptionMonitor', onUncaught)
  stay()
  forgetFork()
}

/** A module that ends the process whenever it is imported is not to end the server. */
const stay = (): void => {
  ;(process as unknown as { _exiting: boolean })._exiting = false
  process.exitCode = undefined
  resumeFromExit()
}
