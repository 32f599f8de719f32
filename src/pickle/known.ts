/**
 * The classes and functions of Python's library that are understood: what calling them makes here.
 * @module
 */
import { RemoteTraceback, UnpicklingError } from '../errors.js'
import { Float } from '../shareable-list.js'
import {
  CalendarDate,
  DateTime,
  dateFrom,
  dateTimeFrom,
  TimeDelta,
  TimeOfDay,
  TimeZone,
  timeFrom,
} from './datetime.js'
import { exceptionOf, isException } from './exceptions.js'
import {
  arrayFrom,
  arrayOf,
  Dtype,
  NumpyScalar,
  ndarrayFrom,
  scalarFrom,
  scalarName,
} from './numpy.js'
import {
  ByteArray,
  Complex,
  Decimal,
  FrozenSet,
  Global,
  hidden,
  PythonArray,
  PythonObject,
  Range,
  Slice,
} from './values.js'

/**
 * What a call makes. Nothing (undefined) means that it is not understood, and becomes a record.
 */
export type Known = (args: any[], lossless: boolean) => unknown

/** Names of Python 2, and old ones of modules, by today's. */
const renamed = new Map<string, string>([
  ['__builtin__', 'builtins'],
  ['exceptions', 'builtins'],
  ['copy_reg', 'copyreg'],
  ['Queue', 'queue'],
  ['UserDict', 'collections'],
  ['numpy.core.multiarray', 'numpy._core.multiarray'],
  ['numpy.core.numeric', 'numpy._core.numeric'],
])
const renamedBuiltins = new Map<string, string>([
  ['xrange', 'range'],
  ['unicode', 'str'],
  ['long', 'int'],
  ['StandardError', 'Exception'],
])

/** A global by the name that it has today. */
export const globalOf = (module: string, name: string): Global => {
  const today = renamed.get(module)
  if (today === undefined) return new Global(module, name)
  // numpy's own name for it differs between versions: what is written again is what came.
  if (module.startsWith('numpy')) return new Global(module, name)
  return new Global(today, today === 'builtins' ? (renamedBuiltins.get(name) ?? name) : name)
}

/** Bytes that are in text, as Python 2 has written them. */
const bytesOf = (value: unknown): Uint8Array | undefined => {
  if (value instanceof Uint8Array) return value
  if (typeof value === 'string' && !/[^\0-\xff]/.test(value)) return Buffer.from(value, 'latin1')
  return undefined
}

/** Lossless loading marks floats without a fraction. */
const plainly = (value: unknown): unknown => (value instanceof Float ? value.value : value)

const numberOf = (value: unknown): number => {
  const plain = plainly(value)
  return typeof plain === 'number' || typeof plain === 'bigint' ? Number(plain) : Number.NaN
}

const isNumber = (value: unknown): value is number => typeof value === 'number'

/** What cannot be is an error of the pickle's. */
const checked = <T>(make: () => T): T => {
  try {
    return make()
  } catch (error) {
    throw new UnpicklingError((error as Error).message, { cause: error })
  }
}

/** What is iterated over to make a container. */
const itemsOf = (value: unknown): Iterable<unknown> | undefined =>
  Array.isArray(value) || value instanceof Set ? value : undefined

const dateTime: Known = ([state, timeZone = null, ...more], lossless) => {
  const bytes = bytesOf(state)
  const made =
    bytes !== undefined
      ? checked(() => dateTimeFrom(bytes, timeZone))
      : isNumber(state)
        ? checked(() => new DateTime(state, timeZone, ...(more as [number])))
        : undefined
  if (made === undefined || lossless) return made
  const plain = made.timeZone === null || made.timeZone instanceof TimeZone
  return plain ? made.toDate() : made
}

/** A class whose instances are empty dictionaries at first. */
const emptyDictionary: Known = (_args, lossless) => (lossless ? undefined : new Map())

const known = new Map<string, Known>([
  [
    'builtins.bytearray',
    ([bytes, encoding], lossless) => {
      const found = bytes === undefined ? new Uint8Array(0) : bytesOf(bytes)
      const fine = found !== undefined && (typeof bytes !== 'string' || encoding === 'latin-1')
      if (!fine) return undefined
      return lossless ? new ByteArray(found) : Buffer.from(found)
    },
  ],
  ['builtins.bytes', (args) => (args.length === 0 ? Buffer.alloc(0) : undefined)],
  [
    '_codecs.encode',
    ([text, encoding]) =>
      encoding === 'latin1' && typeof text === 'string' ? bytesOf(text) : undefined,
  ],
  [
    'builtins.set',
    ([items = []]) => {
      const found = itemsOf(items)
      return found && new Set(found)
    },
  ],
  [
    'builtins.frozenset',
    ([items = []], lossless) => {
      const found = itemsOf(items)
      return found && (lossless ? new FrozenSet(found) : new Set(found))
    },
  ],
  [
    'builtins.complex',
    ([real = 0, imag = 0]) => new Complex(numberOf(real), numberOf(imag)),
  ],
  ['builtins.slice', ([start, stop, step]) => new Slice(start, stop, step)],
  [
    'builtins.range',
    ([start, stop, step = 1]) => {
      const numbers = [start, stop, step].every(
        (value) => typeof value === 'bigint' || Number.isInteger(value),
      )
      return numbers && Number(step) !== 0 ? new Range(start, stop, step) : undefined
    },
  ],
  ['datetime.datetime', dateTime],
  [
    'datetime.date',
    ([state, month, day]) => {
      const bytes = bytesOf(state)
      if (bytes !== undefined) return checked(() => dateFrom(bytes))
      return checked(() => new CalendarDate(state, month, day))
    },
  ],
  [
    'datetime.time',
    ([state, timeZone = null]) => {
      const bytes = bytesOf(state)
      if (bytes !== undefined) return checked(() => timeFrom(bytes, timeZone))
      return checked(() => new TimeOfDay(state, timeZone ?? 0))
    },
  ],
  [
    'datetime.timedelta',
    ([days = 0, seconds = 0, microseconds = 0]) =>
      checked(() => new TimeDelta(days, seconds, microseconds)),
  ],
  [
    'datetime.timezone',
    ([offset, name = null]) =>
      offset instanceof TimeDelta ? new TimeZone(offset, name) : undefined,
  ],
  [
    'decimal.Decimal',
    ([text]) => (typeof text === 'string' && text.length <= 1e6 ? new Decimal(text) : undefined),
  ],
  ['collections.OrderedDict', emptyDictionary],
  ['collections.defaultdict', emptyDictionary],
  [
    'collections.Counter',
    ([counts], lossless) =>
      lossless ? undefined : counts instanceof Map ? counts : entriesMap(counts),
  ],
  [
    'collections.deque',
    ([items = []], lossless) => (lossless || !Array.isArray(items) ? undefined : [...items]),
  ],
  [
    'array._array_reconstructor',
    ([, typecode, format, bytes], lossless) => {
      const values = bytes instanceof Uint8Array ? checked(() => arrayFrom(format, bytes)) : undefined
      if (values === undefined || typeof typecode !== 'string') return undefined
      return lossless ? new PythonArray(typecode, values) : values
    },
  ],
  [
    'array.array',
    ([typecode, items], lossless) => {
      if (typeof typecode !== 'string') return undefined
      if (typeof items === 'string') return lossless ? new PythonArray(typecode, items) : items
      if (!Array.isArray(items)) return undefined
      const values = checked(() => arrayOf(typecode, items.map(plainly)))
      return lossless && values ? new PythonArray(typecode, values) : values
    },
  ],
  [
    'numpy.dtype',
    ([name]) =>
      typeof name === 'string' ? new Dtype(name, /^.1$/.test(name) ? '|' : '=') : undefined,
  ],
  [
    'numpy._core.multiarray.scalar',
    ([dtype, bytes], lossless) => {
      if (!(dtype instanceof Dtype && bytes instanceof Uint8Array)) return undefined
      const value = checked(() => scalarFrom(bytes, dtype)) as number | bigint | boolean | undefined
      if (value === undefined) return undefined
      if (lossless) return new NumpyScalar(scalarName(dtype), value)
      const fits = typeof value === 'bigint' && Number.isSafeInteger(Number(value))
      return fits ? Number(value) : value
    },
  ],
  [
    'numpy._core.numeric._frombuffer',
    ([bytes, dtype, shape, order]) =>
      bytes instanceof Uint8Array && dtype instanceof Dtype
        ? checked(() => ndarrayFrom(bytes, dtype, shape, order === 'F'))
        : undefined,
  ],
  [
    'multiprocessing.pool.rebuild_exc',
    ([error, traceback]) => {
      if (!(error instanceof Error)) return undefined
      const text = traceback instanceof PythonObject ? traceback.args[0] : traceback
      hidden(error, 'cause', new RemoteTraceback(String(text)))
      return error
    },
  ],
])

/** Arguments that are dictionaries arrive as objects when their keys are strings. */
const entriesMap = (value: unknown): Map<unknown, unknown> | undefined =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
    ? new Map(Object.entries(value))
    : value === undefined
      ? new Map()
      : undefined

/** What calling a global makes, if it is understood. */
export const callKnown = (global: Global, args: any[], lossless: boolean): unknown => {
  const module = renamed.get(global.module) ?? global.module
  const make = known.get(`${module}.${global.name}`)
  if (make !== undefined) return make(args, lossless)
  return isException(global) ? exceptionOf(global, args) : undefined
}

/** Sets the state of what {@link callKnown} has made of numpy's; the value to go on with, if another. */
export const numpyState = (value: unknown, state: unknown): unknown => {
  if (!Array.isArray(state)) return undefined
  if (value instanceof Dtype) {
    const [version, byteOrder, subtype, names] = state
    const plain =
      state.length === 8 && version === 3 && (subtype ?? null) === null && (names ?? null) === null
    return plain && typeof byteOrder === 'string' ? new Dtype(value.name, byteOrder) : undefined
  }
  if (!isReconstruct(value)) return undefined
  const [, shape, dtype, fortran, bytes] = state
  const data = bytesOf(bytes)
  if (state.length !== 5 || !(dtype instanceof Dtype) || data === undefined) return undefined
  return checked(() => ndarrayFrom(data, dtype, shape, fortran === true))
}

const isReconstruct = (value: unknown): value is PythonObject => {
  if (!(value instanceof PythonObject && value.callable instanceof Global)) return false
  const { module, name } = value.callable
  const [type] = value.args
  return (
    name === '_reconstruct' &&
    (renamed.get(module) ?? module) === 'numpy._core.multiarray' &&
    type instanceof Global &&
    type.module === 'numpy' &&
    type.name === 'ndarray'
  )
}
