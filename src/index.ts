/**
 * Python's `multiprocessing` for Node: the names of the reference's top module.
 * @module
 */
export {
  allowConnectionPickling,
  Connection,
  type ConnectionOptions,
  Pipe,
  type PipeOptions,
} from './connection.js'
export {
  type BaseContext,
  freezeSupport,
  getAllStartMethods,
  getContext,
  getStartMethod,
  type StartMethod,
  setForkserverPreload,
  setStartMethod,
} from './context.js'
export {
  AssertionError,
  AuthenticationError,
  BufferTooShort,
  EOFError,
  FileExistsError,
  FileNotFoundError,
  IndexError,
  KeyError,
  MaybeEncodingError,
  MultiprocessingError,
  NotImplementedError,
  OSError,
  PicklingError,
  ProcessError,
  RemoteTraceback,
  RuntimeError,
  SystemExit,
  TimeoutError,
  UnpicklingError,
  ValueError,
  WorkerDiedError,
} from './errors.js'
export {
  type CaptureExplanation,
  explainFunction,
  type FunctionExplanation,
} from './explain.js'
export { Pool, type PoolOptions } from './pool.js'
export {
  AuthenticationString,
  activeChildren,
  cpuCount,
  currentProcess,
  isMainProcess,
  onBecomingChild,
  type ParentProcess,
  Process,
  type ProcessOptions,
  parentProcess,
} from './process.js'
export { DupFd } from './reduction.js'
export {
  Float,
  float,
  ShareableList,
  type ShareableValue,
  SharedMemory,
  type SharedMemoryOptions,
} from './shared-memory.js'
export { setExecutable } from './spawn.js'
export type { TimeoutOptions, WaitOptions } from './waiting.js'
