// The public entry: the parts of the one CommonJS file that the facade is compiled to, by name.
const { createRequire } = process.getBuiltinModule('node:module')

const loaded = createRequire(import.meta.url)('./dist/index.cjs')

export const {
  AssertionError,
  AuthenticationError,
  AuthenticationString,
  Barrier,
  BoundedSemaphore,
  BrokenBarrierError,
  BufferTooShort,
  Condition,
  Connection,
  DupFd,
  Empty,
  EOFError,
  Event,
  Full,
  JoinableQueue,
  KeyboardInterrupt,
  Lock,
  MaybeEncodingError,
  MultiprocessingError,
  NotImplementedError,
  OSError,
  PicklingError,
  Pipe,
  Pool,
  Process,
  ProcessError,
  Queue,
  RLock,
  RemoteTraceback,
  RuntimeError,
  Semaphore,
  SimpleQueue,
  SystemExit,
  TimeoutError,
  UnpicklingError,
  ValueError,
  WorkerDiedError,
  activeChildren,
  allowConnectionPickling,
  cpuCount,
  currentProcess,
  explainFunction,
  freezeSupport,
  getAllStartMethods,
  getContext,
  getStartMethod,
  parentProcess,
  setExecutable,
  setForkserverPreload,
  setStartMethod,
  share,
} = loaded

// In a copy of the main process, made by a fork, it changes.
export let { isMainProcess } = loaded
loaded.onBecomingChild(() => {
  isMainProcess = false
})
