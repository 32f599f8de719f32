/**
 * The fork server: imports what children will need, and then does nothing but fork them.
 * @module
 */
import { live, onUncaught } from './bootstrap.js'
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
import { provideReference } from './functions.js'
import { native } from './native.js'
import { END } from './native-status.js'
import { takeObjectFromFile } from './objects.js'
import { preloadModules } from './preload.js'
import { encodedData, getPreparationData, partsOfObject, withMemoryFiles } from './preparation.js'
import { Process } from './process.js'
import { become, setBootstrapping, whoAmI } from './process-state.js'
import { descriptors } from './spawn.js'
import { publishCode } from './spawned.js'

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
  setBootstrapping(true)
  const settings = (await takeObjectFromFile(descriptors.preparation, [])) as ForkServerSettings
  process.argv = [process.argv[0]!, ...settings.argv.slice(1)]
  process.execArgv = [...settings.execArgv]
  // A module that waits for what never comes keeps nobody: the loop has nothing else to do then.
  let waiting = true
  const idle = (): boolean => {
    if (serving && waiting) soon()
    waiting = false
    return serving
  }
  makeRandomExchangeable()
  prepareForForks({ idle, stay })
  await rehearse()
  if (compiledCode) publishCode(compiledCode)
  await preloadModules(settings.preload)
  if (waiting) soon()
  waiting = false
}

/** What is in line for the event loop would otherwise be done in each child. */
const soon = (): void => {
  setImmediate(() => setImmediate(serve))
}

const serve = (): void => {
  if (noted().hooks) {
    native.refuseForks(CONTROL)
    native.leave(0, -1)
  }
  const channel = native.serveForks(CONTROL)
  if (channel < 0) native.leave(channel === END ? 0 : 1, -1)
  serving = false
  void run(channel)
}

const run = async (channel: number): Promise<void> => {
  const [preparation, data, parent, control, ...sent] = native.receiveGivenDescriptors(channel)
  if (control === undefined) native.leave(1, channel)
  native.useForkServer(control!, -1)
  await live({ preparation: preparation!, data: data!, parent: parent!, sent }, (told) => {
    becomeForked(channel, told.parentPid)
    adoptEnvironment(told.environment)
  })
}

/** How often the server goes through it: as often as V8 needs to see what it is worth compiling. */
const REHEARSALS = 1

/** What it runs then: any function that can be referred to will do, and a bit of everything. */
provideReference(Number.isFinite, { module: 'global:', path: ['Number', 'isFinite'] })
const ROLE = { target: Number.isFinite, args: [1, 'text', { list: [1.5, null] }], daemon: false }

/**
 * Goes through what a child does, from beginning to end. V8 compiles a function when it is called first,
 * and again when it is called often; what is compiled now is not compiled in each child.
 */
const rehearse = async (): Promise<void> => {
  const [self, parent] = whoAmI()
  for (let i = 0; i < REHEARSALS; i++) {
    const [ours, theirs] = native.forkServerControl()
    const actor = new Process({ name: `rehearsal-${i}`, ...ROLE })
    withMemoryFiles(
      [partsOfObject(getPreparationData(actor, 'forkserver', '')), encodedData(actor).parts],
      (files) => native.giveDescriptors(ours!, [...files, descriptors.parent, ours!]),
    )
    await run(theirs!)
    practiseEnd()
    native.forgetForkServer(native.forkServer() ?? -1)
    native.closeDescriptor(ours!)
    native.closeDescriptor(theirs!)
    resume()
  }
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
