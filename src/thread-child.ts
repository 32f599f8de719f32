/**
 * Starting a thread for a process object, and the thread as its parent sees it.
 * @module
 */
import { fstatSync, openSync } from 'node:fs'
import { createRequire } from 'node:module'
import { constants, devNull } from 'node:os'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import type * as WorkerThreads from 'node:worker_threads'
import { tracebackOf } from './bootstrap.js'
import { Child } from './children.js'
import { getStartMethod } from './context.js'
import { duplicates } from './duplicates.js'
import { native } from './native.js'
import { checked } from './native-status.js'
import {
  getPreparationData,
  partsOfObject,
  withEncodedData,
  withMemoryFiles,
} from './preparation.js'
import type { Process } from './process.js'
import { CHILD_FLAG, currentProcess, stateOf } from './process-state.js'
import { writeError } from './standard-error.js'
import {
  exitcodeIn,
  isBusy,
  isUntaken,
  makeWords,
  RUNNING,
  sayExitcode,
  takeDescriptorsOf,
} from './thread-words.js'
import { clock } from './waiting.js'

/** What a thread is started with. */
export interface Given {
  /** See `thread-words.ts`. */
  readonly words: Int32Array
  /** A socket whose other end is the sentinel. */
  readonly end: number
  /** A file with what it is. */
  readonly preparation: number
  /** A file with what it runs. */
  readonly data: number
  /** The descriptors of the objects that it was sent. */
  readonly sent: readonly number[]
  /** Whether the process, not the thread, is a daemon. */
  readonly daemon: boolean
  /** Closed when the thread is gone, whatever it has come to load. */
  readonly life: WorkerThreads.MessagePort
}

/** What the exit code of a thread is that ended without a word, of a lack of memory perhaps. */
const FAILED = 1

const require = createRequire(import.meta.url)

/** How often it is looked whether a thread that has not begun is gone, in milliseconds. */
const GLANCE = 20

class ThreadChild extends Child {
  readonly #worker: WorkerThreads.Worker
  readonly #given: Given
  readonly #look: () => void

  constructor(
    worker: WorkerThreads.Worker,
    sentinel: number,
    keepsAlive: boolean,
    given: Given,
    look: () => void,
  ) {
    super(worker.threadId, sentinel, keepsAlive)
    this.#worker = worker
    this.#given = given
    this.#look = look
  }

  protected override collect(): number | null {
    this.#look()
    if (native.waitReady([this.sentinel], [], 0).length === 0) return null
    const exitcode = exitcodeIn(this.#given.words)
    return exitcode === RUNNING ? FAILED : exitcode
  }

  override waitSync(timeout: number): void {
    const left = clock(timeout)
    while (isUntaken(this.#given.words) && this.poll() === null) {
      const time = left()
      if (time === 0) return
      super.waitSync(time < 0 ? GLANCE : Math.min(time, GLANCE))
    }
    super.waitSync(left())
  }

  /** A thread has no signals: whichever it is, it ends it. */
  override signal(number: number): void {
    if (this.poll() !== null) return
    const { words } = this.#given
    sayExitcode(words, -number)
    if (!isBusy(words) || number === constants.signals.SIGKILL) void this.#worker.terminate()
    closeUntaken(this.#given)
  }
}

/** A thread that has not begun to live by now never will. */
const closeUntaken = (given: Given): boolean => {
  if (!takeDescriptorsOf(given.words)) return false
  closeAll(given)
  return true
}

const closeAll = ({ end, preparation, data, sent }: Given): void => {
  for (const fd of [preparation, data, ...sent, end]) native.closeDescriptor(fd)
}

/** What stands above the traceback of an error that ends a thread. */
export const banner = (name: string): string => `Exception in thread ${name}:\n`

/** Starts a process object as a thread. */
export const startThread = (process_: Process): Child => {
  const threads = require('node:worker_threads') as typeof WorkerThreads
  const { name, daemon } = stateOf(process_)
  fillStandardDescriptors()
  const codeCache = checked(native.codeCache(), 'memfd_create')
  return withEncodedData(process_, ({ parts, descriptors }) => {
    const told = getPreparationData(process_, getStartMethod({ allowNone: true }), undefined)
    return withMemoryFiles([partsOfObject(told), parts], (files) => {
      const [preparation, data, ...sent] = duplicates([...files, ...descriptors])
      const [sentinel, end] = native.socketPair(false)
      const { port1: probe, port2: life } = new threads.MessageChannel()
      const given: Given = {
        words: makeWords(),
        end: end!,
        preparation: preparation!,
        data: data!,
        sent,
        daemon: stateOf(currentProcess()).daemon,
        life,
      }
      try {
        checked(sentinel!, 'socketpair')
        const worker = new threads.Worker(
          fileURLToPath(new URL('./spawn-main.cjs', import.meta.url)),
          {
            argv: [CHILD_FLAG, String(codeCache), 'thread'],
            workerData: given,
            transferList: [life],
            env: threads.SHARE_ENV,
            name,
            // It writes for itself, see `thread-output.ts`; these are for what it prints before it can.
            stdout: true,
            stderr: true,
            trackUnmanagedFds: false,
          },
        )
        // It is the sentinel that keeps the event loop alive.
        worker.unref()
        const printEarly = (): void => {
          pass(worker.stdout, process.stdout)
          pass(worker.stderr, process.stderr)
        }
        /** Whether it was found gone before its error could be heard of. */
        let isFound = false
        worker.on('error', (error) => {
          printEarly()
          if (isFound || closeUntaken(given)) writeError(`${banner(name)}${tracebackOf(error)}`)
        })
        worker.on('exit', () => {
          closeUntaken(given)
          printEarly()
        })
        // What Node loads before anything of ours may end it, and while this thread blocks, it hears nothing
        // of that. But of a port whose other end is closed Node says so at once.
        const look = (): void => {
          if (!isUntaken(given.words)) return
          const said: unknown = probe.postMessage(null)
          if (said !== false || !closeUntaken(given)) return
          isFound = true
          // The program may be about to end, but its error is on the way.
          worker.ref()
        }
        return new ThreadChild(worker, sentinel!, !daemon, given, look)
      } catch (error) {
        closeUntaken(given)
        native.closeDescriptor(sentinel!)
        throw error
      }
    })
  })
}

/**
 * The program may have closed one of them. What is opened next gets its number then, and libuv ends the
 * process when that was an event loop of its own. Node opens them the same way when it starts.
 */
const fillStandardDescriptors = (): void => {
  for (const fd of [0, 1, 2]) {
    try {
      fstatSync(fd)
    } catch {
      openSync(devNull, fd === 0 ? 'r' : 'w')
    }
  }
}

/** What was printed by what Node had to load before anything else, if there is anybody to read it. */
const pass = (from: Readable, to: NodeJS.WritableStream | undefined): void => {
  const text: Buffer | null = from.read()
  if (text !== null) to?.write(text)
}
