/**
 * Objects to pickles of protocol 4.
 * @module
 */
import { types } from 'node:util'
import { MAXIMUM_DEPTH } from '../codec/format.js'
import { PicklingError, ValueError } from '../errors.js'
import { Float } from '../shareable-list.js'
import { show } from '../waiting.js'
import {
  CalendarDate,
  DateTime,
  dateBytes,
  inUtc,
  TimeDelta,
  TimeOfDay,
  TimeZone,
  timeBytes,
} from './datetime.js'
import { reducedError } from './exceptions.js'
import {
  Dtype,
  formatOf,
  isNdArray,
  NumpyScalar,
  ndarray,
  type TypedArray,
  typecodeOf,
} from './numpy.js'
import { type Reduced, type Registered, registeredType, registeredValue } from './registry.js'
import {
  ByteArray,
  Complex,
  Decimal,
  FrozenSet,
  Global,
  PythonArray,
  PythonObject,
  Range,
  Slice,
  Tuple,
} from './values.js'
import { Writer } from './writer.js'

/** How objects are written. */
export interface DumpsOptions {
  /**
   * What typed arrays become that {@link ndarray} has not marked, but for those of bytes: numpy arrays
   * (`numpy`, if not given), or arrays of Python's own `array` module (`array`), which is always there.
   */
  typedArrays?: 'numpy' | 'array'
}

const PROTOCOL = 4
const BATCH = 1000

const MARK = 0x28
const STOP = 0x2e
const POP = 0x30
const POP_MARK = 0x31
const NONE = 0x4e
const NEWTRUE = 0x88
const NEWFALSE = 0x89
const BININT = 0x4a
const BININT1 = 0x4b
const BININT2 = 0x4d
const LONG1 = 0x8a
const LONG4 = 0x8b
const BINFLOAT = 0x47
const SHORT_BINBYTES = 0x43
const BINBYTES = 0x42
const BINBYTES8 = 0x8e
const EMPTY_TUPLE = 0x29
const TUPLE1 = 0x85
const TUPLE = 0x74
const EMPTY_LIST = 0x5d
const APPEND = 0x61
const APPENDS = 0x65
const EMPTY_DICT = 0x7d
const SETITEM = 0x73
const SETITEMS = 0x75
const EMPTY_SET = 0x8f
const ADDITEMS = 0x90
const FROZENSET = 0x91
const REDUCE = 0x52
const NEWOBJ = 0x81
const NEWOBJ_EX = 0x92
const BUILD = 0x62
const STACK_GLOBAL = 0x93
const MEMOIZE = 0x94
const BINGET = 0x68
const LONG_BINGET = 0x6a
const PROTO = 0x80

/** What cannot be written, and why; the path to it is looked for afterwards. */
class Refused extends Error {
  readonly culprit: unknown

  constructor(culprit: unknown, reason: string) {
    super(reason)
    this.culprit = culprit
  }
}

const builtin = (name: string): Global => new Global('builtins', name)

const SLICE = builtin('slice')
const RANGE = builtin('range')
const COMPLEX = builtin('complex')
const BYTEARRAY = builtin('bytearray')
const DECIMAL = new Global('decimal', 'Decimal')
const DATETIME = new Global('datetime', 'datetime')
const DATE = new Global('datetime', 'date')
const TIME = new Global('datetime', 'time')
const TIMEDELTA = new Global('datetime', 'timedelta')
const TIMEZONE = new Global('datetime', 'timezone')
// Both generations of numpy know it by this name.
const RECONSTRUCT = new Global('numpy.core.multiarray', '_reconstruct')
const SCALAR = new Global('numpy.core.multiarray', 'scalar')
const NDARRAY = new Global('numpy', 'ndarray')
const NUMPY_DTYPE = new Global('numpy', 'dtype')
const ARRAY_RECONSTRUCTOR = new Global('array', '_array_reconstructor')
const ARRAY_CLASS = new Global('array', 'array')

class Encoder {
  readonly #w = new Writer()
  readonly #typedArrays: 'numpy' | 'array'
  /** The numbers of objects that were written, and of keys and names. */
  readonly #memo = new Map<unknown, number>()
  readonly #globals = new Map<string, number>()
  #memoized = 0
  #depth = 0

  constructor(typedArrays: 'numpy' | 'array') {
    this.#typedArrays = typedArrays
  }

  run(value: unknown): Buffer {
    try {
      this.#w.bytePair(PROTO, PROTOCOL)
      this.#save(value)
      this.#w.byte(STOP)
      return this.#w.finish()
    } finally {
      this.#w.close()
    }
  }

  #save(value: unknown): void {
    switch (typeof value) {
      case 'number':
        this.#number(value)
        return
      case 'string':
        this.#w.string(value)
        return
      case 'boolean':
        this.#w.byte(value ? NEWTRUE : NEWFALSE)
        return
      case 'undefined':
        this.#w.byte(NONE)
        return
      case 'bigint':
        this.#bigint(value)
        return
      case 'object':
        if (value === null) this.#w.byte(NONE)
        else this.#object(value)
        return
      default: {
        const registered = registeredValue(value)
        if (registered === undefined) {
          throw new Refused(value, `${show(value)} has no counterpart in Python`)
        }
        this.#global(registered)
      }
    }
  }

  #number(value: number): void {
    if ((value | 0) === value && !Object.is(value, -0)) this.#int(value)
    else if (Number.isSafeInteger(value) && !Object.is(value, -0)) this.#bigint(BigInt(value))
    else this.#w.float(BINFLOAT, value)
  }

  #int(value: number): void {
    if (value >= 0 && value < 256) this.#w.bytePair(BININT1, value)
    else if (value >= 0 && value < 65536) {
      this.#w.bytePair(BININT2, value & 255)
      this.#w.byte(value >>> 8)
    } else this.#w.word(BININT, value)
  }

  #bigint(value: bigint): void {
    if (value >= -0x80000000n && value <= 0x7fffffffn) {
      this.#int(Number(value))
      return
    }
    const bytes = twosComplement(value)
    if (bytes.length < 256) this.#w.bytePair(LONG1, bytes.length)
    else this.#w.word(LONG4, bytes.length)
    this.#w.raw(bytes)
  }

  #bytes(bytes: Uint8Array): void {
    const { length } = bytes
    if (length < 256) this.#w.bytePair(SHORT_BINBYTES, length)
    else if (length < 2 ** 32) this.#w.word(BINBYTES, length)
    else this.#w.long(BINBYTES8, length)
    this.#w.raw(bytes)
  }

  /** Writes a reference to what was written already; false if it was not. */
  #again(value: unknown): boolean {
    const number = this.#memo.get(value)
    if (number === undefined) return false
    this.#get(number)
    return true
  }

  #get(number: number): void {
    if (number < 256) this.#w.bytePair(BINGET, number)
    else this.#w.word(LONG_BINGET, number)
  }

  #memoize(value: unknown): void {
    this.#w.byte(MEMOIZE)
    this.#memo.set(value, this.#memoized++)
  }

  /** Keys come again and again. */
  #key(key: string): void {
    if (this.#again(key)) return
    this.#w.string(key)
    this.#memoize(key)
  }

  #global({ module, name }: Pick<Global, 'module' | 'name'>): void {
    const key = `${module}\0${name}`
    const number = this.#globals.get(key)
    if (number !== undefined) {
      this.#get(number)
      return
    }
    this.#key(module)
    this.#key(name)
    this.#w.bytePair(STACK_GLOBAL, MEMOIZE)
    this.#globals.set(key, this.#memoized++)
  }

  #object(value: object): void {
    if (this.#again(value)) return
    if (++this.#depth > MAXIMUM_DEPTH) {
      throw new Refused(value, `objects are nested deeper than ${MAXIMUM_DEPTH} levels`)
    }
    if (Array.isArray(value)) {
      if (value instanceof Tuple) this.#tuple(value)
      else this.#list(value)
    } else {
      const prototype = Object.getPrototypeOf(value)
      if (prototype === Object.prototype || prototype === null) this.#plain(value)
      else this.#instance(value)
    }
    this.#depth--
  }

  #list(list: readonly unknown[]): void {
    const w = this.#w
    w.byte(EMPTY_LIST)
    this.#memoize(list)
    const { length } = list
    if (length === 1) {
      this.#save(list[0])
      w.byte(APPEND)
      return
    }
    for (let from = 0; from < length; from += BATCH) {
      const end = Math.min(from + BATCH, length)
      w.byte(MARK)
      for (let i = from; i < end; i++) {
        const item = list[i]
        if (typeof item === 'number') this.#number(item)
        else this.#save(item)
      }
      w.byte(APPENDS)
    }
  }

  /** Items of a tuple may contain the tuple; then it exists when they are written. */
  #tuple(items: readonly unknown[]): void {
    const w = this.#w
    const { length } = items
    if (length === 0) {
      w.byte(EMPTY_TUPLE)
      return
    }
    if (length > 3) w.byte(MARK)
    for (let i = 0; i < length; i++) this.#save(items[i])
    if (this.#memo.has(items)) {
      if (length > 3) w.byte(POP_MARK)
      else for (let i = 0; i < length; i++) w.byte(POP)
      this.#again(items)
      return
    }
    w.byte(length > 3 ? TUPLE : TUPLE1 + length - 1)
    this.#memoize(items)
  }

  /** A tuple that nothing else refers to. */
  #unshared(items: readonly unknown[]): void {
    const w = this.#w
    const { length } = items
    if (length > 3) w.byte(MARK)
    for (let i = 0; i < length; i++) this.#save(items[i])
    w.byte(length === 0 ? EMPTY_TUPLE : length > 3 ? TUPLE : TUPLE1 + length - 1)
  }

  #plain(value: object): void {
    const keys = Object.keys(value)
    const w = this.#w
    w.byte(EMPTY_DICT)
    this.#memoize(value)
    const record = value as Record<string, unknown>
    const { length } = keys
    if (length === 1) {
      const [key] = keys
      this.#key(key!)
      this.#save(record[key!])
      w.byte(SETITEM)
      return
    }
    for (let from = 0; from < length; from += BATCH) {
      const end = Math.min(from + BATCH, length)
      w.byte(MARK)
      for (let i = from; i < end; i++) {
        const key = keys[i]!
        this.#key(key)
        this.#save(record[key])
      }
      w.byte(SETITEMS)
    }
  }

  #entries(entries: Iterable<readonly [unknown, unknown]>): void {
    let open = 0
    for (const [key, value] of entries) {
      if (open === 0) this.#w.byte(MARK)
      if (typeof key === 'string') this.#key(key)
      else this.#save(key)
      this.#save(value)
      if (++open < BATCH) continue
      this.#w.byte(SETITEMS)
      open = 0
    }
    if (open > 0) this.#w.byte(SETITEMS)
  }

  #items(items: Iterable<unknown>, opcode: number): void {
    let open = 0
    for (const item of items) {
      if (open === 0) this.#w.byte(MARK)
      this.#save(item)
      if (++open < BATCH) continue
      this.#w.byte(opcode)
      open = 0
    }
    if (open > 0) this.#w.byte(opcode)
  }

  /** What is neither array nor plain object. */
  #instance(value: object): void {
    const registered = registeredType(value)
    if (registered !== undefined) {
      this.#registered(value, registered)
      return
    }
    const byValue = registeredValue(value)
    if (byValue !== undefined) {
      this.#global(byValue)
      return
    }
    if (ArrayBuffer.isView(value)) this.#view(value)
    else if (types.isAnyArrayBuffer(value)) this.#memoizedBytes(value, new Uint8Array(value))
    else if (value instanceof Map) {
      this.#w.byte(EMPTY_DICT)
      this.#memoize(value)
      this.#entries(value)
    } else if (value instanceof FrozenSet) this.#frozenSet(value)
    else if (value instanceof Set) {
      this.#w.byte(EMPTY_SET)
      this.#memoize(value)
      this.#items(value, ADDITEMS)
    } else if (value instanceof Float) this.#w.float(BINFLOAT, value.value)
    else if (value instanceof Date) this.#date(value)
    else if (value instanceof Global) this.#global(value)
    else if (value instanceof PythonObject) this.#record(value)
    else if (value instanceof Error) this.#error(value)
    else if (!this.#ours(value)) {
      throw new Refused(
        value,
        `a ${value.constructor?.name ?? 'object'} has no counterpart in Python; ` +
          'pickle.registerGlobal says what it is',
      )
    }
  }

  /** Objects of the classes that stand for Python's. */
  #ours(value: object): boolean {
    if (value instanceof Decimal) this.#call(value, DECIMAL, [value.text])
    else if (value instanceof Complex) {
      this.#call(value, COMPLEX, [new Float(value.real), new Float(value.imag)])
    } else if (value instanceof Slice) {
      this.#call(value, SLICE, [value.start, value.stop, value.step])
    } else if (value instanceof Range) {
      this.#call(value, RANGE, [value.start, value.stop, value.step])
    } else if (value instanceof DateTime) this.#dateTime(value, value)
    else if (value instanceof CalendarDate) {
      this.#call(value, DATE, [Buffer.from(dateBytes(value))])
    } else if (value instanceof TimeOfDay) {
      const bytes = Buffer.from(timeBytes(value, value.fold))
      this.#call(value, TIME, value.timeZone === null ? [bytes] : [bytes, value.timeZone])
    } else if (value instanceof TimeDelta) {
      this.#call(value, TIMEDELTA, [value.days, value.seconds, value.microseconds])
    } else if (value instanceof TimeZone) {
      const { offset, name } = value
      this.#call(value, TIMEZONE, name === null ? [offset] : [offset, name])
    } else if (value instanceof PythonArray) this.#pythonArray(value, value.typecode, value.values)
    else if (value instanceof NumpyScalar) {
      const { dtype, value: number } = value
      const name = dtype.slice(1)
      const values = numberAs(name, number)
      this.#call(value, SCALAR, [dtypeObject(dtype), Buffer.from(values)])
    } else if (value instanceof Dtype) this.#dtype(value)
    else return false
    return true
  }

  #frozenSet(value: Set<unknown>): void {
    this.#w.byte(MARK)
    for (const item of value) this.#save(item)
    if (this.#memo.has(value)) {
      this.#w.byte(POP_MARK)
      this.#again(value)
      return
    }
    this.#w.byte(FROZENSET)
    this.#memoize(value)
  }

  #memoizedBytes(value: object, bytes: Uint8Array): void {
    this.#bytes(bytes)
    this.#memoize(value)
  }

  #view(value: ArrayBufferView): void {
    const bytes = new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
    if (isNdArray(value)) this.#ndarray(value, bytes)
    else if (value instanceof ByteArray) this.#call(value, BYTEARRAY, [Buffer.from(bytes)])
    else if (value instanceof Uint8Array || value instanceof DataView) {
      this.#memoizedBytes(value, bytes)
    } else if (this.#typedArrays === 'numpy') {
      this.#ndarray(value as TypedArray, bytes)
    } else {
      const values = value as TypedArray
      const typecode = typecodeOf(values)
      if (typecode === undefined) throw new Refused(value, 'no array.array holds such items')
      this.#pythonArray(value, typecode, values)
    }
  }

  #pythonArray(value: object, typecode: string, values: ArrayBufferView | string): void {
    if (typeof values === 'string') {
      this.#call(value, ARRAY_CLASS, [typecode, values])
      return
    }
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
    const format = formatOf(values as TypedArray)
    if (format < 0) throw new Refused(value, 'no array.array holds such items')
    this.#call(value, ARRAY_RECONSTRUCTOR, [ARRAY_CLASS, typecode, format, bytes])
  }

  #ndarray(value: TypedArray, bytes: Uint8Array): void {
    const { shape, dtype, order } = isNdArray(value) ? value : describe(value)
    this.#call(value, RECONSTRUCT, [NDARRAY, Tuple.of(0), Buffer.from('b')])
    const w = this.#w
    w.byte(MARK)
    this.#int(1)
    this.#unshared(shape)
    this.#object(dtypeObject(dtype))
    w.byte(order === 'F' ? NEWTRUE : NEWFALSE)
    this.#bytes(bytes)
    w.bytePair(TUPLE, BUILD)
  }

  #dtype(value: Dtype): void {
    this.#call(value, NUMPY_DTYPE, [value.name, false, true])
    const { byteOrder } = value
    this.#unshared([3, byteOrder === '=' ? '<' : byteOrder, null, null, null, -1, -1, 0])
    this.#w.byte(BUILD)
  }

  #date(value: Date): void {
    const year = value.getUTCFullYear()
    if (!(year >= 1 && year <= 9999)) throw new Refused(value, 'Python has the years 1 to 9999')
    this.#dateTime(value, inUtc(value))
  }

  #dateTime(value: object, time: DateTime): void {
    const bytes = Buffer.from([...dateBytes(time, time.fold), ...timeBytes(time)])
    this.#call(value, DATETIME, time.timeZone === null ? [bytes] : [bytes, time.timeZone])
  }

  #error(value: Error): void {
    const [type, args] = reducedError(value)
    this.#call(value, type, args)
    const fields = Object.keys(value)
    if (fields.length === 0) return
    const state = fields.map((name) => [name, (value as unknown as Record<string, unknown>)[name]])
    this.#w.byte(EMPTY_DICT)
    this.#entries(state as [string, unknown][])
    this.#w.byte(BUILD)
  }

  /** Writes a call, and that it has made the value. */
  #call(value: object, callable: unknown, args: readonly unknown[]): void {
    this.#save(callable)
    this.#unshared(args)
    this.#made(value, REDUCE)
  }

  /** Arguments that led to the value have written it already: the later one is dropped. */
  #made(value: object, opcode: number): void {
    this.#w.byte(opcode)
    if (this.#memo.has(value)) {
      this.#w.byte(POP)
      this.#again(value)
    } else this.#memoize(value)
  }

  #record(value: PythonObject): void {
    const { callable, args, kwargs, how, state, items, entries } = value
    this.#save(callable)
    this.#unshared(args)
    if (kwargs !== null && kwargs !== undefined) this.#save(kwargs)
    const made = this.#memoized
    const opcode = kwargs != null ? NEWOBJ_EX : how === 'new' ? NEWOBJ : REDUCE
    this.#made(value, opcode)
    if (this.#memoized > made) this.#rest({ state, items: items ?? [], entries: entries ?? [] })
  }

  #registered(value: object, { module, name, dump }: Registered): void {
    const dumped = dump!(value)
    const { args = [], how, ...rest } = Array.isArray(dumped) ? { args: dumped } : dumped
    if (!Array.isArray(args)) throw new Refused(value, `what ${module}.${name} dumps has no args`)
    this.#global({ module, name })
    this.#unshared(args)
    const made = this.#memoized
    this.#made(value, how === 'new' ? NEWOBJ : REDUCE)
    if (this.#memoized > made) this.#rest(rest)
  }

  #rest({ state, items, entries }: Reduced): void {
    if (items !== undefined) this.#items(items, APPENDS)
    if (entries !== undefined) this.#entries(entries)
    if (state === undefined) return
    this.#save(state)
    this.#w.byte(BUILD)
  }
}

const describe = (values: TypedArray): { shape: readonly number[]; dtype: string; order: 'C' } => {
  const { dtype } = ndarray(values.subarray(0, 0))
  return { shape: [values.length], dtype, order: 'C' }
}

/** One object for each type, so that a pickle has it once. */
const dtypes = new Map<string, Dtype>()
const dtypeObject = (name: string): Dtype => {
  let found = dtypes.get(name)
  if (found === undefined) {
    found = new Dtype(name.slice(1), name[0]!)
    if (dtypes.size < 64) dtypes.set(name, found)
  }
  return found
}

/** The bytes of a scalar. */
const numberAs = (name: string, value: number | bigint | boolean): Uint8Array => {
  const types: Record<string, () => ArrayBufferView> = {
    b1: () => Uint8Array.of(value ? 1 : 0),
    i1: () => Int8Array.of(Number(value)),
    u1: () => Uint8Array.of(Number(value)),
    i2: () => Int16Array.of(Number(value)),
    u2: () => Uint16Array.of(Number(value)),
    i4: () => Int32Array.of(Number(value)),
    u4: () => Uint32Array.of(Number(value)),
    i8: () => BigInt64Array.of(BigInt(value)),
    u8: () => BigUint64Array.of(BigInt(value)),
    f4: () => Float32Array.of(Number(value)),
    f8: () => Float64Array.of(Number(value)),
  }
  const view = types[name]?.()
  if (view === undefined) throw new ValueError(`no scalar has the type ${name}`)
  return new Uint8Array(view.buffer)
}

/** The bytes of a bigint in two's complement, the smallest first, as few as it takes. */
const twosComplement = (value: bigint): Uint8Array => {
  const digits = (value < 0n ? -value : value).toString(16)
  const size = (digits.length >>> 1) + 1
  const whole = value < 0n ? (1n << BigInt(8 * size)) + value : value
  const bytes = Buffer.from(whole.toString(16).padStart(2 * size, '0'), 'hex').reverse()
  const last = bytes[size - 1]!
  const next = bytes[size - 2] ?? 0
  const spare = size > 1 && ((last === 0 && next < 0x80) || (last === 0xff && next >= 0x80))
  return spare ? bytes.subarray(0, size - 1) : bytes
}

const NAME = /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u

/** What is in an object, and how it is reached. */
function* within(value: object): Generator<[string, unknown]> {
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) yield [`[${index}]`, item]
  } else if (value instanceof Map) {
    for (const [key, item] of value) {
      yield ['.keys()', key]
      yield [`.get(${show(key)})`, item]
    }
  } else if (value instanceof Set) for (const item of value) yield ['.values()', item]
  else if (!ArrayBuffer.isView(value)) {
    for (const [key, item] of Object.entries(value)) {
      yield [NAME.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`, item]
    }
  }
}

/** The path to what was refused; the value itself if it cannot be told. */
const pathTo = (value: unknown, culprit: unknown): string => {
  const seen = new Set<unknown>()
  const line: [unknown, string][] = [[value, 'obj']]
  for (let i = 0; i < line.length && i < 1e6; i++) {
    const [at, path] = line[i]!
    if (at === culprit) return path
    if (typeof at !== 'object' || at === null || seen.has(at)) continue
    seen.add(at)
    for (const [step, item] of within(at)) line.push([item, path + step])
  }
  return 'obj'
}

const shortened = (path: string): string =>
  path.length <= 200 ? path : `${path.slice(0, 100)}…${path.slice(-80)}`

/**
 * Writes an object as a pickle of protocol 4, which every Python 3 reads.
 *
 * @param value - What to write; see the documentation of what becomes what.
 * @throws PicklingError, naming the path to the culprit, for what has no counterpart in Python.
 */
export const dumps = (value: unknown, { typedArrays = 'numpy' }: DumpsOptions = {}): Buffer => {
  if (typedArrays !== 'numpy' && typedArrays !== 'array') {
    throw new ValueError(`typedArrays is numpy or array, not ${show(typedArrays)}`)
  }
  try {
    return new Encoder(typedArrays).run(value)
  } catch (error) {
    if (error instanceof Refused) {
      const path = shortened(pathTo(value, error.culprit))
      throw new PicklingError(`${path} cannot be pickled: ${error.message}`, path)
    }
    if (error instanceof RangeError && /call stack|Array buffer allocation/i.test(error.message)) {
      throw new PicklingError(`it cannot be pickled: ${error.message}`, '', { cause: error })
    }
    throw error
  }
}
