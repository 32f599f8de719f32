/**
 * What makes a process of its own out of the copy that a fork leaves.
 * @module
 */
import { createRequire } from 'node:module'
import { debuglog, inspect } from 'node:util'
import { runInNewContext } from 'node:vm'
import type { Noted } from './fork-guard.js'
import { forgetTags } from './heap.js'
import { native } from './native.js'
import { writeError } from './standard-error.js'
import { readySetFlags, setFlags } from './v8-flags.js'

const require = createRequire(import.meta.url)
const log = debuglog('multiprocessing')

/** Where this process says how it ends; less than zero for nowhere. */
let channel = -1

/** Whether this is a child; what its modules do before that is not to end the process they share. */
let forked = false
let keepServer: () => void
let onIdle: ((again: boolean) => void) | undefined

/** How Node deals with errors that nobody caught. */
let nodesOwn: FatalException

/** Set while the stack is unwound that belongs to the parent. */
let unwinding = false

/** Leaves the stack of whoever called, which is another process's, for good; `then` goes on. */
export const abandonStack = (then: () => void): never => {
  unwinding = true
  setImmediate(() => {
    unwinding = false
    // After the immediate: a copy that is made within one has to leave it.
    process.nextTick(then)
  })
  // Node counts the callbacks it is in, and starts again from none after an error that was dealt with.
  swallow(nodesOwn, new Error("the stack is the parent's"), false)
  native.abandonStack()
  // V8 looks whether to go on when a loop comes round.
  for (;;) {}
}

/** Set while the way out is only walked for practice. */
let practising = false

/** `Math.random` until the fork, and after it. */
const randomBeforeFork = Math.random
let random = randomBeforeFork
let randomAfterFork = randomBeforeFork

/**
 * Readies a process for being forked, before it imports any module of the program.
 *
 * @param idle - Called when the event loop has nothing to do, for as long as it returns true.
 * @param stay - Called before an error is thrown that keeps a module from ending the process.
 */
export const prepareForForks = ({
  idle,
  stay,
}: {
  idle: () => boolean
  stay: () => void
}): void => {
  // A copy of a copy has all of this.
  if (onIdle !== undefined) return
  keepServer = stay
  endWithoutThreads()
  onIdle = (again) => {
    if (idle() && !practising) return
    if (again) endNaturally()
    else process.emit('beforeExit', Number(process.exitCode ?? 0))
  }
  native.keepLoop(onIdle)
}

/** What makes the copy another process than the one it was copied from. */
export const becomeForked = (ownChannel: number, parentPid: number): void => {
  channel = ownChannel
  forked = true
  replace('pid', native.processId())
  replace('ppid', parentPid)
  forgetTags()
  random = seededRandom
  forgetDrawn()
}

/** It was only practice, and the process is what it was. */
export const forgetFork = (): void => {
  channel = -1
  forked = false
  random = randomBeforeFork
}

const replace = (name: 'pid' | 'ppid', value: number): void => {
  // Of some of its own properties V8 keeps the value it had, unless they are made anew.
  delete (process as { pid?: number; ppid?: number })[name]
  Object.defineProperty(process, name, {
    value,
    writable: false,
    enumerable: true,
    configurable: true,
  })
}

/**
 * V8 draws random numbers in advance, for each context, and all children would have the same. So what
 * stands in for `Math.random` asks a context that nobody has asked before the fork.
 */
export const makeRandomExchangeable = (): void => {
  readySetFlags()
  randomAfterFork = runInNewContext('Math.random') as () => number
  Object.defineProperty(Math, 'random', {
    value: { random: () => random() }.random,
    writable: true,
    configurable: true,
  })
}

/** Most children ask for no random number, and are spared the seed. */
const seededRandom = (): number => {
  setFlags(`--random-seed=${native.randomSeed()}`)
  random = randomAfterFork
  return random()
}

/** How many UUIDs, and how many times six bytes for `randomInt`, Node draws at once. */
const UUIDS = 128
const INTEGERS = 1024

/** What Node has drawn in advance is used up; for more it asks OpenSSL, which notices a fork. */
const forgetDrawn = (): void => {
  const { uuids, integers } = noted()
  const { moduleLoadList } = process as unknown as { moduleLoadList: string[] }
  if (!(uuids || integers) || !moduleLoadList.includes(DRAWS_IN_ADVANCE)) return
  const { randomUUID, randomInt } = require('node:crypto') as typeof import('node:crypto')
  if (uuids) for (let i = 0; i < UUIDS; i++) randomUUID()
  if (integers) for (let i = 0; i < INTEGERS; i++) randomInt(1)
}

const DRAWS_IN_ADVANCE = 'NativeModule internal/crypto/random'

/** What `fork-guard.ts` has noted; nothing where it was not loaded. */
export const noted = (): Noted =>
  (globalThis as { [NOTED]?: Noted })[NOTED] ?? { uuids: true, integers: true }

const NOTED = Symbol.for('node-multiprocessing.noted')

/** Walks the way out, so that V8 has compiled it when a child goes there. */
export const practiseEnd = (): void => {
  practising = true
  onIdle?.(false)
  onIdle?.(true)
}

/** What Node does when its event loop has come to an end: no `process.exit`, which programs may replace. */
const endNaturally = (): void => {
  const internals = process as unknown as { _exiting: boolean; reallyExit(code?: unknown): void }
  if (!internals._exiting) {
    internals._exiting = true
    process.emit('exit', Number(process.exitCode ?? 0))
  }
  internals.reallyExit(process.exitCode ?? 0)
}

type FatalException = (error: unknown, fromPromise: boolean) => boolean

const leave = (code: unknown): void => {
  if (forked && !practising) native.leave(Number(code ?? 0), channel)
  if (practising) {
    practising = false
    return
  }
  keepServer()
  throw new Error(`a module ended the process when it was imported, with exit code ${code}`)
}

/** Node's own way out waits for threads that are not there: see the engine's `event_loop.rs`. */
const endWithoutThreads = (): void => {
  const internals = process as unknown as {
    reallyExit(code?: unknown): void
    _fatalException: FatalException
  }
  internals.reallyExit = leave
  const fatalException = internals._fatalException
  nodesOwn = fatalException
  internals._fatalException = (error, fromPromise) => {
    // Node takes the end of the parent's stack for an error.
    if (unwinding) return swallow(fatalException, error, fromPromise)
    if (!forked) {
      log('an error that nobody caught in the fork server: %o', error)
      return swallow(fatalException, error, fromPromise)
    }
    try {
      if (fatalException.call(process, error, fromPromise)) return true
    } catch (thrown) {
      writeError(`${inspect(thrown)}\n`)
      leave(HANDLER_FAILED)
    }
    writeError(`${error instanceof Error ? inspect(error) : `Uncaught ${inspect(error)}`}\n`)
    leave(process.exitCode ?? 1)
    return false
  }
}

/** Node is to go on as if a listener had dealt with it; the program's own are not asked. */
const swallow = (fatalException: FatalException, error: unknown, fromPromise: boolean): boolean => {
  const names = ['uncaughtException', 'uncaughtExceptionMonitor'] as const
  const kept = names.map((name) => [name, process.rawListeners(name)] as const)
  for (const name of names) process.removeAllListeners(name)
  process.on('uncaughtException', () => {})
  try {
    return fatalException.call(process, error, fromPromise)
  } finally {
    process.removeAllListeners('uncaughtException')
    for (const [name, listeners] of kept) {
      for (const listener of listeners) process.on(name, listener as () => void)
    }
  }
}

/** Node's exit code for an error in a handler of uncaught errors. */
const HANDLER_FAILED = 7
