import { isMainThread } from 'node:worker_threads'
import test, { type ExecutionContext } from 'ava'
import * as mp from 'node-multiprocessing'
import * as dummy from 'node-multiprocessing/dummy'
import { registerAfterFork } from 'node-multiprocessing/util'
import { type Calls, callsOf, forms } from './calls.js'
import { killAll } from './processes-of-this-program.js'
import { leftBehindSince, type Resources, resourcesOf, resourcesSince } from './resources.js'
import { underWatchdog } from './watchdog.js'

/**
 * In a copy of this process, how it ends is nothing that the test runner is to know: it listens for errors,
 * and replaces `process.exit`, to tell of what it did not expect.
 */
registerAfterFork(process, () => {
  for (const event of ['uncaughtException', 'unhandledRejection']) {
    process.removeAllListeners(event)
  }
  const { reallyExit } = process as unknown as { reallyExit(code: unknown): never }
  process.exit = (code) => {
    if (code !== undefined && code !== null) process.exitCode = code
    process.emit('exit', Number(process.exitCode ?? 0))
    return reallyExit(process.exitCode ?? 0)
  }
})

if (!isMainThread) throw new Error('these tests need a process per file: ava --no-worker-threads')

/** What a row is run with. */
export interface Given {
  /** The name of the start method, such as `spawn`. */
  readonly method: string
  /** The context of that start method, which is also the default one while the row runs. */
  readonly context: ReturnType<typeof mp.getContext>
}

/** What a row is run with when it is run once per form of the calls that can block. */
export interface GivenCalls extends Given {
  readonly calls: Calls
}

/** The names that processes and threads have in common. */
export type Api = Pick<
  typeof mp,
  'Process' | 'activeChildren' | 'currentProcess' | 'Pipe' | 'Queue' | 'JoinableQueue'
>

/** What a row is run with when it is run with threads, too. */
export interface GivenApi extends Given {
  /** The package's names, or those of its threads. */
  readonly api: Api
}

/** What stands for the start method in the title of a row with threads. */
export const THREADS = 'threads'

type Run<G> = (t: ExecutionContext, given: G) => Promise<void> | void

/** Calls `register` once for each start method of this machine. */
export const forEachStartMethod = (register: (given: Given) => void): void => {
  for (const method of mp.getAllStartMethods()) {
    register({ method, context: mp.getContext(method) })
  }
}

const withStartMethod = async (method: string, run: () => Promise<void>): Promise<void> => {
  const before = mp.getStartMethod({ allowNone: true })
  mp.setStartMethod(method, { force: true })
  try {
    await run()
  } finally {
    mp.setStartMethod(before, { force: true })
  }
}

const withoutChildrenLeft = async (
  t: ExecutionContext,
  run: () => Promise<void> | void,
): Promise<void> => {
  const before = resourcesOf()
  let children: readonly number[] = []
  try {
    await run()
  } finally {
    children = resourcesSince(before).children
    killAll(children)
  }
  t.deepEqual(children, [], 'every child has ended and has been reaped')
}

const register = <G extends Given>(title: string, given: G, run: Run<G>): void => {
  test.serial(title, (t) =>
    withStartMethod(given.method, () =>
      underWatchdog(() => withoutChildrenLeft(t, () => run(t, given))),
    ),
  )
}

/** Registers a row of the conformance list once for each start method. */
export const row = (name: string, run: Run<Given>): void => {
  forEachStartMethod((given) => register(`${name} [${given.method}]`, given, run))
}

/** Registers a row once for each start method and each form of the calls that can block. */
export const rowInBothForms = (name: string, run: Run<GivenCalls>): void => {
  forEachStartMethod((given) => {
    for (const form of forms) {
      const title = `${name} [${given.method}] ${form} form`
      register(title, { ...given, calls: callsOf(form) }, run)
    }
  })
}

const registerWithThreads = <G extends Given>(title: string, given: G, run: Run<G>): void => {
  test.serial(title, (t) => underWatchdog(() => withoutThreadsLeft(t, () => run(t, given))))
}

/** A context whose processes are threads. */
const context: Given['context'] = Object.create(mp.getContext('spawn'), {
  Process: { value: dummy.Process },
  Pool: { value: dummy.Pool },
  activeChildren: { value: dummy.activeChildren },
  currentProcess: { value: dummy.currentProcess },
})

const threads = { method: THREADS, context, api: dummy }

/**
 * Registers a row as {@link row} does, and once more with threads: these are the rows that the reference
 * runs with `multiprocessing.dummy` as well.
 */
export const rowWithThreads = (name: string, run: Run<GivenApi>): void => {
  row(name, (t, given) => run(t, { ...given, api: mp }))
  registerWithThreads(`${name} [${THREADS}]`, threads, run)
}

/** The same, once for each form of the calls that can block. */
export const rowWithThreadsInBothForms = (name: string, run: Run<GivenApi & GivenCalls>): void => {
  rowInBothForms(name, (t, given) => run(t, { ...given, api: mp }))
  for (const form of forms) {
    const given = { ...threads, calls: callsOf(form) }
    registerWithThreads(`${name} [${THREADS}] ${form} form`, given, run)
  }
}

/** Threads that are left are ended, so that the next row has none. */
const withoutThreadsLeft = async (
  t: ExecutionContext,
  run: () => Promise<void> | void,
): Promise<void> => {
  let threads: dummy.DummyProcess[] = []
  try {
    await withoutChildrenLeft(t, run)
  } finally {
    threads = dummy.activeChildren()
    for (const thread of threads) thread.terminate()
    for (const thread of threads) thread.joinSync()
  }
  t.deepEqual(threads.map(String), [], 'every thread has ended')
}

/**
 * Asserts, after all tests of the file, that no descriptor and no child is left. Start methods may keep
 * something for the whole life of the program, so each has been used once before the first count.
 */
export const nothingIsLeftBehind = (): void => {
  let before: Resources | undefined
  test.serial.before(async () => {
    for (const method of mp.getAllStartMethods()) {
      const context = mp.getContext(method)
      const [reader, writer] = context.Pipe({ duplex: false })
      for (const { join, send, recv } of forms.map(callsOf)) {
        const child = new context.Process()
        child.start()
        await join(child)
        child.close()
        await send(writer, null)
        await recv(reader)
      }
      reader.close()
      writer.close()
    }
    await underWatchdog(() => undefined)
    const thread = new dummy.Process()
    thread.start()
    await thread.join()
    thread.close()
    // So do a first arena of shared memory, a membership of it, and a first wait for what is in it.
    new mp.Lock()
    await new mp.Event().wait(50)
    before = resourcesOf()
  })
  test.serial.after.always('nothing is left behind', async (t) => {
    if (before === undefined) return
    t.deepEqual(await leftBehindSince(before), { descriptors: [], children: [] })
  })
}
