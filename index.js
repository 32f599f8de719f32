// The public entry: the parts of the one CommonJS file that the facade is compiled to, by name.
const { createRequire } = process.getBuiltinModule('node:module')

const loaded = createRequire(import.meta.url)('./dist/index.cjs')

export const {
  AssertionError,
  AuthenticationError,
  AuthenticationString,
  BufferTooShort,
  Connection,
  DupFd,
  EOFError,
  FileExistsError,
  FileNotFoundError,
  Float,
  IndexError,
  KeyError,
  MaybeEncodingError,
  MultiprocessingError,
  NotImplementedError,
  OSError,
  PicklingError,
  Pipe,
  Pool,
  Process,
  ProcessError,
  RemoteTraceback,
  RuntimeError,
  ShareableList,
  SharedMemory,
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
  float,
  freezeSupport,
  getAllStartMethods,
  getContext,
  getStartMethod,
  parentProcess,
  setExecutable,
  setForkserverPreload,
  setStartMethod,
} = loaded

// In a copy of the main process, made by a fork, it changes.
export let { isMainProcess } = loaded
loaded.onBecomingChild(() => {
  isMainProcess = false
})
