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
  BrokenBarrierError,
  BufferTooShort,
  Empty,
  EOFError,
  Full,
  KeyboardInterrupt,
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
export {
  type GetManyOptions,
  type GetManySyncOptions,
  JoinableQueue,
  Queue,
  SimpleQueue,
} from './queues.js'
export { DupFd } from './reduction.js'
export { type Shareable, type Shared, share } from './share.js'
export { setExecutable } from './spawn.js'
export {
  type AcquireOptions,
  type AcquireSyncOptions,
  Barrier,
  type BarrierOptions,
  BoundedSemaphore,
  Condition,
  Event,
  type Held,
  Lock,
  RLock,
  Semaphore,
} from './synchronize.js'
export type { TimeoutOptions, WaitOptions } from './waiting.js'
