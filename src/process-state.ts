/**
 * What every process object holds, and which of them this process is. Kept apart from the objects, so
 * that a subclass's own fields are all that they have.
 * @module
 */
import { createRequire } from 'node:module'
import { AuthenticationString } from './authentication-string.js'
import type { Child } from './children.js'
import { AssertionError, ValueError } from './errors.js'
import { native } from './native.js'
import type { ParentProcess } from './parent-process.js'
import type { Process } from './process.js'

/** Everything a Process is, out of the way of what a subclass adds. */
export interface State {
  name: string
  daemon: boolean
  /** Null in the main process until somebody asks: making one loads `node:crypto`. */
  authkey: AuthenticationString | null
  readonly identity: readonly number[]
  readonly parentPid: number | null
  target: ((...args: any[]) => unknown) | null
  args: unknown[]
  kwargs: object
  child: Child | null
  closed: boolean
  /** How many children it has made, for their names. */
  made: number
}

/** Marks the command line of a child, as in the reference. */
export const CHILD_FLAG = '--multiprocessing-fork'

/** What a new process object starts from. */
export type Beginning = Pick<State, 'name' | 'daemon' | 'authkey' | 'identity' | 'parentPid'> &
  Partial<State>

const states = new WeakMap<Process, State>()

/** Gives an object its state. */
export const setState = (process: Process, beginning: Beginning): void => {
  const nothing = { target: null, args: [], kwargs: {}, child: null, closed: false, made: 0 }
  states.set(process, { ...nothing, ...beginning })
}

/** An object's state, even when it is closed; nothing for what never was a process object. */
export const anyStateOf = (process: Process): State | undefined => states.get(process)

/** An object's state. */
export const stateOf = (process: Process): State => {
  const state = states.get(process)
  if (state === undefined) {
    throw new TypeError('not a Process: a subclass must call super() before anything else')
  }
  if (state.closed) throw new ValueError('process object is closed')
  return state
}

/** Throws the reference's AssertionError unless the condition holds. */
export const claim = (condition: boolean, message: string): void => {
  if (!condition) throw new AssertionError(message)
}

let current: Process
let thread: Process | undefined
let parent: ParentProcess | null = null
let bootstrapping = false

/**
 * The object of the process this code runs in.
 *
 * Mirrors `multiprocessing.current_process`.
 */
export const currentProcess = (): Process => current

/** The object of the thread this code runs in: that of the process, in its main thread. */
export const currentThread = (): Process => thread ?? current

/** Whether an object stands for the process or the thread that this code runs in. */
export const isCurrent = (process: Process): boolean => process === current || process === thread

/** Under which the Process classes of threads say that they are. */
export const ofThreads: unique symbol = Symbol('ofThreads')

/** Whether an object is a thread, and no process. */
export const isThread = (process: Process): boolean => ofThreads in process.constructor

/**
 * The process that started this one, or null in the main process. It has a name and a pid, and can be
 * waited for; it cannot be signalled.
 *
 * Mirrors `multiprocessing.parent_process`.
 */
export const parentProcess = (): ParentProcess | null => parent

/**
 * Whether this is the main process, which no other process of this package started. Programs put what
 * starts processes under `if (isMainProcess)`, as Python's do under `if __name__ == '__main__'`: a child
 * imports the same modules, and must not do the same again. For the same reason it is false in the threads
 * of `node-multiprocessing/dummy`.
 */
export let isMainProcess: boolean = native.identity() === null && process.argv[2] !== CHILD_FLAG

const whenChild: (() => void)[] = []

/** @internal Calls a function when this process turns out to be a child, or this thread one of ours. */
export const onBecomingChild = (tell: () => void): void => {
  whenChild.push(tell)
}

/** Says who this process is. */
export const become = (self: Process, startedBy: ParentProcess | null): void => {
  current = self
  parent = startedBy
  if (startedBy !== null) isNotMain()
}

const isNotMain = (): void => {
  if (!isMainProcess) return
  isMainProcess = false
  for (const tell of whenChild) tell()
}

/** Says which thread of the process this is. */
export const becomeThread = (self: Process): void => {
  thread = self
  isNotMain()
}

/** Who this process is, and who started it: what {@link become} was told. */
export const whoAmI = (): [Process, ParentProcess | null] => [current, parent]

/** Whether this process imports what it needs to go on, and may start no other. */
export const isBootstrapping = (): boolean => bootstrapping || importing > 0

let importing = 0

/**
 * Runs what imports modules for something that came in. In a child, these may be modules that start
 * processes whenever they are imported, which would never end.
 */
export const whileImporting = async <T>(work: () => Promise<T>): Promise<T> => {
  if (!isMainProcess) importing++
  try {
    return await work()
  } finally {
    if (!isMainProcess) importing--
  }
}

/** Says so. */
export const setBootstrapping = (now: boolean): void => {
  bootstrapping = now
}

/** The key of a process object, made when first asked for in the main process. */
export const authkeyOf = (state: State): AuthenticationString => {
  state.authkey ??= newAuthkey()
  return state.authkey
}

/** A key nobody can guess. */
const newAuthkey = (): AuthenticationString => {
  const crypto = createRequire(import.meta.url)('node:crypto') as typeof import('node:crypto')
  return new AuthenticationString(crypto.randomBytes(32))
}
