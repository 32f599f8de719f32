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
  arrayOf,
  BigEndianStructure,
  BigEndianUnion,
  bits,
  c_bool,
  c_byte,
  c_char,
  c_double,
  c_float,
  c_int,
  c_int8,
  c_int16,
  c_int32,
  c_int64,
  c_long,
  c_longlong,
  c_short,
  c_size_t,
  c_ssize_t,
  c_ubyte,
  c_uint,
  c_uint8,
  c_uint16,
  c_uint32,
  c_uint64,
  c_ulong,
  c_ulonglong,
  c_ushort,
  c_wchar,
  LittleEndianStructure,
  LittleEndianUnion,
  Structure,
  sizeof,
  Union,
} from './ctypes.js'
export {
  AssertionError,
  AuthenticationError,
  BrokenBarrierError,
  BufferTooShort,
  Empty,
  EOFError,
  FileExistsError,
  FileNotFoundError,
  Full,
  IndexError,
  KeyboardInterrupt,
  KeyError,
  MaybeEncodingError,
  MultiprocessingError,
  NotImplementedError,
  OSError,
  PicklingError,
  ProcessError,
  RemoteError,
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
export { getLogger, type Logger, logToStderr } from './logger.js'
export { Manager, ManagerSync } from './manager.js'
export type { ManagerOptions } from './managers.js'
export * as pickle from './pickle.js'
export {
  AsyncResult,
  type CallOptions,
  IMapIterator,
  IMapUnorderedIterator,
  type ImapOptions,
  type MapOptions,
  MapResult,
  Pool,
  type PoolOptions,
  type PoolStatistics,
} from './pool.js'
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
export {
  Float,
  float,
  ShareableList,
  type ShareableValue,
  SharedMemory,
  type SharedMemoryOptions,
} from './shared-memory.js'
export {
  type AnyLock,
  Array,
  RawArray,
  RawValue,
  SharedArray,
  SharedValue,
  type Synchronized,
  type SynchronizedArray,
  type SynchronizedString,
  type Typecode,
  Value,
} from './sharedctypes.js'
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
export { ThreadPool, type ThreadPoolOptions } from './thread-pool.js'
export type { TimeoutOptions, WaitOptions } from './waiting.js'
