/**
 * What a child has to be told: who it is, and what it runs.
 * @module
 */
import { type Encoded, encode } from './codec/index.js'
import { type Inheritance, inheritance } from './logger.js'
import { native } from './native.js'
import { checked } from './native-status.js'
import { closeOwned, messageOf, type ObjectMessage } from './objects.js'
import { Process } from './process.js'
import { authkeyOf, currentProcess, type State, stateOf } from './process-state.js'

/** What a child has to know before it imports anything. */
export interface Preparation {
  readonly name: string
  readonly authkey: Uint8Array
  readonly daemon: boolean
  readonly identity: readonly number[]
  readonly parentPid: number
  readonly parentName: string
  readonly argv: readonly string[]
  /** Where to go first; null when the child starts there. */
  readonly directory: string | null
  readonly startMethod: string | null
  /** The modules that a fork server of the child's own is to import first; null for the usual. */
  readonly preload: readonly string[] | null
  /** What it inherits of the log. */
  readonly log: Inheritance | null
  /** The environment, where it is not the one that the child is made with. */
  readonly environment: Readonly<Record<string, string | undefined>> | null
}

/** What a child runs. */
export interface ProcessData {
  /** The class, when it is the program's own. */
  readonly type: (new () => Process) | null
  readonly target: State['target']
  readonly args: unknown[]
  readonly kwargs: object
  /** A subclass's own fields. */
  readonly fields: Record<string, unknown>
}

let preload: readonly string[] | null = null

/** The modules that a fork server imports before it forks; null for the main module. */
export const getPreload = (): readonly string[] | null => preload

/** Says which. */
export const setPreload = (modules: readonly string[] | null): void => {
  preload = modules
}

/** The current directory; nothing when it was removed. */
export const currentDirectory = (): string | null => {
  try {
    return process.cwd()
  } catch {
    return null
  }
}

/** What a child is told about itself; `startsIn` is where it is to start, if not here. */
export const getPreparationData = (
  process_: Process,
  startMethod: string | null,
  startsIn: string | undefined,
): Preparation => {
  const state = stateOf(process_)
  const { name, daemon, identity } = state
  return {
    name,
    authkey: new Uint8Array(authkeyOf(state)),
    daemon,
    identity,
    parentPid: process.pid,
    parentName: stateOf(currentProcess()).name,
    argv: process.argv,
    directory: startsIn === undefined ? null : currentDirectory(),
    startMethod,
    preload,
    log: inheritance(),
    environment: null,
  }
}

let starting = false

/** Whether what is being encoded now is for a child as it starts: secrets may go with it. */
export const isForChild = (): boolean => starting

/** What a child runs, encoded. It is what can fail, so it comes first: nothing is left behind then. */
export const encodedData = (process_: Process): ObjectMessage => {
  const { target, args, kwargs } = stateOf(process_)
  const type = isOwnClass(process_) ? (process_.constructor as ProcessData['type']) : null
  const data: ProcessData = { type, target, args, kwargs, fields: { ...process_ } }
  starting = true
  try {
    return messageOf(encode(data, ''), false)
  } finally {
    starting = false
  }
}

/** Calls `use` with what a child runs, encoded, and closes what was made for that. */
export const withEncodedData = <T>(process_: Process, use: (data: ObjectMessage) => T): T => {
  const data = encodedData(process_)
  try {
    return use(data)
  } finally {
    closeOwned(data)
  }
}

/** A class of the program, not of this package. */
const isOwnClass = (process_: Process): boolean =>
  process_.constructor !== Process &&
  Object.getPrototypeOf(process_.constructor) !== null &&
  !packageClasses.has(process_.constructor)

const packageClasses = new Set<Function>([Process])

/** @internal A Process class of a context, which a child need not be told of. */
export const addPackageClass = (type: Function): void => {
  packageClasses.add(type)
}

/** Calls `use` with the descriptors of files in memory, one for each message. */
export const withMemoryFiles = <T>(
  messages: readonly (readonly Uint8Array[])[],
  use: (files: number[]) => T,
): T => {
  const files: number[] = []
  try {
    for (const parts of messages) {
      files.push(checked(native.createMemoryFile(parts as Uint8Array[]), 'memfd_create'))
    }
    return use(files)
  } finally {
    for (const fd of files) native.closeDescriptor(fd)
  }
}

/** An object's message, for a file in memory. */
export const partsOfObject = (object: unknown): Uint8Array[] => {
  const encoded: Encoded = encode(object)
  return messageOf(encoded, false).parts
}
