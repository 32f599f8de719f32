/**
 * Bytes to object graph. What each byte means stands in `format.ts`.
 *
 * The bytes may come from anyone: every read is checked against the end, and no count makes the decoder
 * allocate before the bytes it stands for are known to be there.
 *
 * @module
 */
import { OSError, UnpicklingError } from '../errors.js'
import { deserialize, isBigintBlock } from './bigints.js'
import {
  AGGREGATE_ERROR,
  ERROR_CLASSES,
  UINT8_CLASS,
  VIEW_CLASSES,
  WELL_KNOWN_SYMBOLS,
} from './builtins.js'
import * as f from './format.js'
import {
  functionTransport,
  isImportable,
  type Rebuilding,
  type Reference,
  reducerNamed,
} from './reducers.js'
import { countUse, type Shape, shapeOf } from './shapes.js'
import { hexSlice, latin1Slice, readLatin1, readUtf16 } from './strings.js'

/** How to decode, and what came beside the payload. */
export interface DecodeOptions {
  /** Whether functions, classes and what imports or opens things may be rebuilt. */
  trusted: boolean
  /** The out-of-band buffers, in order; the decoded views keep them. */
  buffers?: ArrayBuffer[] | null
  /** The file descriptors, in order. */
  handles?: number[] | null
}

// The message being read.
let bytes: Uint8Array = new Uint8Array(0)
let position = 0
let end = 0
let depth = 0
/** How many array elements the message may still announce; each takes a byte at least. */
let announceable = 0
/** Whether the message refers back to objects; they are only numbered if it does. */
let tracked = false
let objects: unknown[] = []
let dates: Date[] = []
let shapes: Shape[] = []
let shapeCount = 0
let references: Resolved[] | null = null
/** Classes by value that are being defined: how many, and which functions wait for their values. */
let pending = 0
let putOff: Rebuilding[] | null = null
let modules: readonly string[] | null = null
let buffers: ArrayBuffer[] | null = null
let buffersTaken = 0
let handles: number[] | null = null
let trusted = false

let stringCount = 0
let windowStart = 0
let windowEnd = 0
let windowText = ''

let active = false

/** Stands for an object that does not exist yet, because what it is made from is still being read. */
const UNBUILT = Symbol('unbuilt')

// An alias of eight bytes, to read 64-bit numbers wherever they lie.
const float = new Float64Array(1)
const floatWords = new Uint32Array(float.buffer)
const word = new BigInt64Array(float.buffer)
const LITTLE_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1
const LOW = LITTLE_ENDIAN ? 0 : 1
const HIGH = 1 - LOW

const truncated = (): UnpicklingError => new UnpicklingError('the message ends too early')
const malformed = (what: string): UnpicklingError =>
  new UnpicklingError(`the message is malformed: ${what}`)
const untrusted = (what: string): UnpicklingError =>
  new UnpicklingError(`${what} are accepted only on a trusted connection (\`trusted\`)`)
const FUNCTIONS = 'functions, classes and their instances'

const take = (length: number): number => {
  const start = position
  if (length > end - start) throw truncated()
  position = start + length
  return start
}

const hasOwn = Object.prototype.hasOwnProperty

const readByte = (): number => {
  if (position >= end) throw truncated()
  return bytes[position++]!
}

const readCount = (): number => {
  const first = readByte()
  if (first < 128) return first
  let value = first & 127
  for (let factor = 128; factor <= 0x10000000; factor *= 128) {
    const byte = readByte()
    value += (byte & 127) * factor
    if (byte < 128) {
      if (value > 0xffffffff) break
      return value
    }
  }
  throw malformed('a count is too large')
}

/** Reads a count of bytes that are not in the message, and may be more than a message can have. */
const readLength = (): number => {
  let value = 0
  for (let factor = 1; factor <= 2 ** 49; factor *= 128) {
    const byte = readByte()
    value += (byte & 127) * factor
    if (byte < 128) {
      if (value > Number.MAX_SAFE_INTEGER) break
      return value
    }
  }
  throw malformed('a length is too large')
}

/** Reads a count of items that take at least so many bytes each. */
const readItemCount = (bytesEach: number): number => {
  const count = readCount()
  if (count * bytesEach > end - position) throw truncated()
  return count
}

const readFloat64 = (): number => {
  const at = take(8)
  const b = bytes
  floatWords[LOW] = b[at]! | (b[at + 1]! << 8) | (b[at + 2]! << 16) | (b[at + 3]! << 24)
  floatWords[HIGH] = b[at + 4]! | (b[at + 5]! << 8) | (b[at + 6]! << 16) | (b[at + 7]! << 24)
  return float[0]!
}

const readText = (): string => {
  const value = read()
  if (typeof value !== 'string') throw malformed('a string was expected')
  return value
}

const enter = (): void => {
  if (++depth > f.MAXIMUM_DEPTH) {
    throw new UnpicklingError(`objects are nested deeper than ${f.MAXIMUM_DEPTH} levels`)
  }
}

const track = (value: unknown): void => {
  if (tracked) objects.push(value)
}

const read = (): unknown => {
  if (position >= end) throw truncated()
  const tag = bytes[position++]!
  if (tag < f.SHORT_STRING) return tag
  if (tag < f.SHORT_ARRAY) {
    const length = tag & 31
    return readShortString(take(length), length)
  }
  if (tag < f.SHORT_SHAPE) return readArray(tag & 15)
  if (tag < f.UNDEFINED) return readObject(knownShape(tag & 15))
  switch (tag) {
    case f.TRUE:
      return true
    case f.FALSE:
      return false
    case f.NULL:
      return null
    case f.UNDEFINED:
      return undefined
    case f.UINT8:
      return readByte()
    case f.INT16: {
      const at = take(2)
      return ((bytes[at]! | (bytes[at + 1]! << 8)) << 16) >> 16
    }
    case f.INT32: {
      const at = take(4)
      return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
    }
    case f.FLOAT64:
      return readFloat64()
    case f.SHAPE_NEW:
      return readObject(newShape())
    case f.DATE:
      return readDate()
    default:
      return readers[tag]!()
  }
}

/** After so many short strings a message is taken to hold many. */
const STRINGS_ONE_BY_ONE = 8
/**
 * How many bytes around a short string are decoded with it. A string cut from them may keep them all
 * alive, so they are few.
 */
const WINDOW = 512

const readShortString = (at: number, length: number): string => {
  if (stringCount < STRINGS_ONE_BY_ONE) {
    stringCount++
    return readLatin1(bytes, at, length)
  }
  const stop = at + length
  if (stop > windowEnd) {
    // The strings of a message lie near each other: decode a stretch of bytes, then cut.
    windowStart = at
    windowEnd = Math.min(end, at + WINDOW)
    windowText = latin1Slice.call(bytes, at, windowEnd)
  }
  return windowText.substring(at - windowStart, stop - windowStart)
}

const knownShape = (number: number): Shape => {
  if (number >= shapeCount) throw malformed('a shape is used before it is defined')
  return shapes[number]!
}

const newShape = (): Shape => {
  const at = take(2)
  const length = readCount()
  const shape = shapeOf(bytes, take(length), length, bytes[at]! | (bytes[at + 1]! << 8))
  shapes[shapeCount++] = shape
  return shape
}

/** Sets a field as if it had been there from the start, whatever prototypes and setters say. */
const define = (target: object, key: string, value: unknown, enumerable: boolean): void => {
  Object.defineProperty(target, key, { value, enumerable, configurable: true, writable: true })
}

const readObject = (shape: Shape): object => {
  enter()
  let object: object
  if (!tracked) {
    if (shape.build !== null) object = shape.build()
    else {
      countUse(shape, read)
      object = readFieldsInto({}, shape)
    }
  } else {
    object = {}
    objects.push(object)
    readFieldsInto(object, shape)
  }
  depth--
  return object
}

const readFieldsInto = (target: object, shape: Shape): object => {
  const keys = shape.keys
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i]!
    if (key === '__proto__') define(target, key, read(), true)
    else (target as Record<string, unknown>)[key] = read()
  }
  return target
}

const readDictionaryInto = (target: object, enumerable = true): object => {
  const count = readItemCount(2)
  for (let i = 0; i < count; i++) {
    const key = readText()
    const value = read()
    if (!enumerable || key in target) define(target, key, value, enumerable)
    else (target as Record<string, unknown>)[key] = value
  }
  return target
}

/** Reads an object value into an object that exists; defines what its class would otherwise intercept. */
const readRecordInto = (target: object): void => {
  const tag = readByte()
  if (tag === f.DICTIONARY) {
    readDictionaryInto(target)
    return
  }
  const shape =
    tag >= f.SHORT_SHAPE && tag < f.UNDEFINED
      ? knownShape(tag & 15)
      : tag === f.SHAPE_NEW
        ? newShape()
        : tag === f.SHAPE
          ? knownShape(readCount())
          : null
  if (shape === null) throw malformed('an object was expected')
  for (const key of shape.keys) {
    const value = read()
    if (key in target) define(target, key, value, true)
    else (target as Record<string, unknown>)[key] = value
  }
}

const readArray = (length: number): unknown[] => {
  enter()
  const array = tracked ? readElements(length) : readFewElements(length)
  depth--
  return array
}

const readFewElements = (length: number): unknown[] => {
  switch (length) {
    case 0:
      return []
    case 1:
      return [read()]
    case 2:
      return [read(), read()]
    case 3:
      return [read(), read(), read()]
    case 4:
      return [read(), read(), read(), read()]
    default:
      return readElements(length)
  }
}

const readElements = (length: number): unknown[] => {
  const array: unknown[] = new Array(length)
  if (tracked) objects.push(array)
  for (let i = 0; i < length; i++) array[i] = read()
  return array
}

const announce = (count: number): void => {
  announceable -= count
  if (announceable < 0) throw malformed('it announces more than it holds')
}

/** Beyond this V8 keeps an array of a given length as a hash table. */
const LARGEST_PREALLOCATED = 0x1ffffff

const readLongArray = (): unknown[] => {
  const length = readItemCount(1)
  announce(length)
  enter()
  const array: unknown[] = length > LARGEST_PREALLOCATED ? [] : new Array(length)
  if (tracked) objects.push(array)
  for (let i = 0; i < length; i++) array[i] = read()
  depth--
  return array
}

const readHoleyArray = (): unknown[] => {
  const length = readCount()
  enter()
  const array: unknown[] = []
  if (length <= announceable) {
    announceable -= length
    array.length = length
  } else {
    // An element far out turns the array into a hash table, which keeps a length without room for it.
    array[0xfffffffe] = null
    array.length = 0
    array[0xfffffffe] = null
    delete array[0xfffffffe]
    array.length = length
  }
  if (tracked) objects.push(array)
  let i = 0
  while (i < length) {
    if (position >= end) throw truncated()
    const tag = bytes[position]!
    if (tag === f.HOLES) {
      position++
      const run = readCount()
      if (run === 0 || run > length - i) throw malformed('a run of missing elements is too long')
      i += run
    } else array[i++] = read()
  }
  depth--
  return array
}

// Each reader of a block has a `new Array` of its own: V8 remembers what kind of elements the arrays of
// a place turned out to have and makes the next one for them.

/** A view of the next bytes, to read blocks of numbers with. */
const viewOf = (byteLength: number): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset + take(byteLength), byteLength)

const readPackedInt8 = (): number[] => {
  const length = readItemCount(1)
  const view = viewOf(length)
  const array: number[] = length > LARGEST_PREALLOCATED ? [] : new Array(length)
  for (let i = 0; i < length; i++) array[i] = view.getInt8(i)
  track(array)
  return array
}

const readPackedInt16 = (): number[] => {
  const length = readItemCount(2)
  const view = viewOf(length * 2)
  const array: number[] = length > LARGEST_PREALLOCATED ? [] : new Array(length)
  for (let i = 0; i < length; i++) array[i] = view.getInt16(i * 2, true)
  track(array)
  return array
}

const readPackedInt32 = (): number[] => {
  const length = readItemCount(4)
  const view = viewOf(length * 4)
  const array: number[] = length > LARGEST_PREALLOCATED ? [] : new Array(length)
  for (let i = 0; i < length; i++) array[i] = view.getInt32(i * 4, true)
  track(array)
  return array
}

const readPackedFloat64 = (): number[] => {
  const length = readItemCount(8)
  const view = viewOf(length * 8)
  const array: number[] = length > LARGEST_PREALLOCATED ? [] : new Array(length)
  // V8 keeps numbers of any kind in it then, and does not find out on the way that it should have.
  if (length > 0) array[0] = 0.5
  for (let i = 0; i < length; i++) array[i] = view.getFloat64(i * 8, true)
  track(array)
  return array
}

const readPackedStrings = (): string[] => {
  const length = readItemCount(1)
  const lengths = take(length)
  const source = bytes
  let total = 0
  for (let i = 0; i < length; i++) total += source[lengths + i]!
  let at = take(total)
  const stop = at + total
  const array: string[] = length > LARGEST_PREALLOCATED ? [] : new Array(length)
  let text = ''
  let from = at
  let to = at
  for (let i = 0; i < length; i++) {
    const next = at + source[lengths + i]!
    if (next > to) {
      from = at
      to = Math.min(stop, at + WINDOW)
      text = latin1Slice.call(source, from, to)
    }
    array[i] = text.substring(at - from, next - from)
    at = next
  }
  track(array)
  return array
}

const readPackedDates = (): Date[] => {
  const length = readItemCount(8)
  const view = viewOf(length * 8)
  const array: Date[] = length > LARGEST_PREALLOCATED ? [] : new Array(length)
  track(array)
  for (let i = 0; i < length; i++) array[i] = new Date(view.getFloat64(i * 8, true))
  if (tracked) for (const date of array) dates.push(date)
  return array
}

const readPackedBigints = (): bigint[] => {
  const length = readItemCount(2)
  const byteLength = readItemCount(1)
  const at = take(byteLength)
  const sound = trusted || isBigintBlock(bytes, at, position, length)
  const block = new Uint8Array(bytes.buffer, bytes.byteOffset + at, byteLength)
  const array = sound ? deserialize(block) : null
  if (!Array.isArray(array) || array.length !== length || !areBigints(array)) {
    throw malformed('a block of bigints was expected')
  }
  track(array)
  return array
}

const areBigints = (array: readonly unknown[]): boolean => {
  for (let i = 0; i < array.length; i++) if (typeof array[i] !== 'bigint') return false
  return true
}

const readBigint64 = (): bigint => {
  const at = take(8)
  const b = bytes
  floatWords[LOW] = b[at]! | (b[at + 1]! << 8) | (b[at + 2]! << 16) | (b[at + 3]! << 24)
  floatWords[HIGH] = b[at + 4]! | (b[at + 5]! << 8) | (b[at + 6]! << 16) | (b[at + 7]! << 24)
  return word[0]!
}

const readMagnitude = (): bigint => {
  const length = readItemCount(1)
  const at = take(length)
  return length === 0 ? 0n : BigInt(`0x${hexSlice.call(bytes, at, at + length)}`)
}

const readLatin1Value = (): string => {
  const length = readItemCount(1)
  return readLatin1(bytes, take(length), length)
}

const readUtf16Value = (): string => {
  const length = readItemCount(2)
  return readUtf16(bytes, take(length * 2), length)
}

const readWellKnownSymbol = (): symbol => {
  const symbol = WELL_KNOWN_SYMBOLS[readByte()]
  if (symbol === undefined) throw malformed('a well-known symbol that this Node does not have')
  return symbol
}

const readNullPrototype = (): object => {
  enter()
  const object: object = Object.create(null)
  track(object)
  readRecordInto(object)
  depth--
  return object
}

const readDictionary = (): object => {
  enter()
  const object = {}
  track(object)
  readDictionaryInto(object)
  depth--
  return object
}

const readMap = (): Map<unknown, unknown> => {
  const count = readItemCount(2)
  enter()
  const map = new Map<unknown, unknown>()
  track(map)
  for (let i = 0; i < count; i++) {
    const key = read()
    map.set(key, read())
  }
  depth--
  return map
}

const readSet = (): Set<unknown> => {
  const count = readItemCount(1)
  enter()
  const set = new Set<unknown>()
  track(set)
  for (let i = 0; i < count; i++) set.add(read())
  depth--
  return set
}

const readDate = (): Date => {
  const date = new Date(readFloat64())
  if (tracked) dates.push(date)
  return date
}

const readDateAgain = (): Date => {
  const date = dates[readCount()]
  if (date === undefined) throw malformed('it refers to a Date that it does not hold')
  return date
}

const readRegExp = (): RegExp => {
  const number = hold()
  const source = readText()
  const pattern = new RegExp(source, readText())
  put(number, pattern)
  pattern.lastIndex = read() as number
  return pattern
}

const readBoxed = (): object => {
  const number = hold()
  const primitive = read()
  if (primitive === null || primitive === undefined || typeof primitive === 'object') {
    throw malformed('a primitive was expected')
  }
  return put(number, Object(primitive) as object)
}

/** Takes a number for an object that is made only after its parts are read. */
const hold = (): number => (tracked ? objects.push(UNBUILT) - 1 : -1)

const put = <T>(number: number, value: T): T => {
  if (number >= 0) objects[number] = value
  return value
}

const makeError = (number: number, message: string | undefined): Error => {
  const constructor = ERROR_CLASSES[number]
  if (constructor === undefined) throw malformed('an unknown class of errors')
  // The stack comes with the message; collecting one here would be wasted, even one of no frames.
  const limit = Error.stackTraceLimit
  Error.stackTraceLimit = undefined as unknown as number
  try {
    if (number !== AGGREGATE_ERROR) return new constructor(message)
    const error = new (constructor as unknown as AggregateErrorConstructor)([], message)
    delete (error as Partial<AggregateError>).errors
    return error
  } finally {
    Error.stackTraceLimit = limit
  }
}

const readError = (): Error => {
  const number = readByte()
  const parts = readByte()
  if ((parts & ~f.ERROR_FLAGS) !== 0) throw malformed('unknown parts of an error')
  const message = parts & f.ERROR_MESSAGE ? readText() : undefined
  const stack = parts & f.ERROR_STACK ? readText() : undefined
  enter()
  const error = makeError(number, message)
  track(error)
  if (stack === undefined) delete error.stack
  // An own field already, and not enumerable; setting it keeps that and is the faster way.
  else if (hasOwn.call(error, 'stack')) error.stack = stack
  else define(error, 'stack', stack, false)
  if (parts & f.ERROR_HIDDEN) readDictionaryInto(error, false)
  if (parts & f.ERROR_FIELDS) readRecordInto(error)
  depth--
  return error
}

const readDomException = (): DOMException => {
  const number = hold()
  const message = readText()
  const exception = new DOMException(message, readText())
  put(number, exception)
  const stack = read()
  define(exception, 'stack', stack, false)
  return exception
}

const takeOutside = (byteLength: number): ArrayBuffer => {
  const buffer = buffers?.[buffersTaken]
  if (buffer === undefined)
    throw malformed('it names an out-of-band buffer that did not come along')
  if (buffer.byteLength !== byteLength) throw malformed('an out-of-band buffer has another length')
  buffersTaken++
  return buffer
}

const copyInside = (byteLength: number): ArrayBuffer => {
  const at = take(byteLength)
  const from = bytes.byteOffset + at
  const source = bytes.buffer
  if (source instanceof ArrayBuffer) return source.slice(from, from + byteLength)
  const copy = new Uint8Array(byteLength)
  copy.set(new Uint8Array(source, from, byteLength))
  return copy.buffer
}

const readArrayBuffer = (): ArrayBuffer => {
  const buffer = copyInside(readItemCount(1))
  track(buffer)
  return buffer
}

const readArrayBufferOutside = (): ArrayBuffer => {
  const buffer = takeOutside(readCount())
  track(buffer)
  return buffer
}

const makeView = (
  number: number,
  buffer: ArrayBuffer,
  offset: number,
  byteLength: number,
): ArrayBufferView => {
  const view = VIEW_CLASSES[number]
  if (view === undefined || view === null) {
    throw malformed('a typed array of a class that this Node does not have')
  }
  const width = view.bytesPerElement
  if (byteLength % width !== 0 || offset % width !== 0) {
    throw malformed('a typed array ends within an element')
  }
  return view.make(buffer, offset, byteLength / width)
}

/** Up to so many bytes V8 keeps in the typed array itself, until somebody asks for its ArrayBuffer. */
const LONGEST_INLINE = 64

/** Its ArrayBuffer has so many bytes and no more, like those of all others. */
const readShortBytes = (byteLength: number): Uint8Array => {
  const at = take(byteLength)
  const source = bytes
  const copy = new Uint8Array(byteLength)
  for (let i = 0; i < byteLength; i++) copy[i] = source[at + i]!
  return copy
}

const readView = (): ArrayBufferView => {
  const number = readByte()
  if (number === UINT8_CLASS && !tracked) {
    const start = position
    const byteLength = readItemCount(1)
    if (byteLength <= LONGEST_INLINE) return readShortBytes(byteLength)
    position = start
  }
  const buffer = copyInside(readItemCount(1))
  const view = makeView(number, buffer, 0, buffer.byteLength)
  if (tracked) objects.push(view, buffer)
  return view
}

const readViewOutside = (): ArrayBufferView => {
  const number = readByte()
  const buffer = takeOutside(readCount())
  const view = makeView(number, buffer, 0, buffer.byteLength)
  if (tracked) objects.push(view, buffer)
  return view
}

const readViewOn = (): ArrayBufferView => {
  const held = hold()
  const number = readByte()
  const offset = readLength()
  const byteLength = readLength()
  const buffer = read()
  if (!(buffer instanceof ArrayBuffer) || offset + byteLength > buffer.byteLength) {
    throw malformed('a view does not fit its buffer')
  }
  return put(held, makeView(number, buffer, offset, byteLength))
}

const readBackReference = (): unknown => {
  const number = readCount()
  if (number >= objects.length) throw malformed('it refers to an object that it does not hold')
  const object = objects[number]
  if (object === UNBUILT) throw malformed('an object is made from itself')
  return object
}

const wrap = (error: unknown, what: string): UnpicklingError => {
  const reason = error instanceof Error ? error.message : String(error)
  return new UnpicklingError(`${what}: ${reason}`, { cause: error })
}

interface Resolved {
  readonly value: unknown
  readonly name: string
  readonly error: UnpicklingError | null
  /** For a function by value, what makes it. */
  readonly making: Rebuilding | null
}

const readResolved = (): Resolved => {
  if (!trusted) throw untrusted(FUNCTIONS)
  references ??= []
  const number = readCount()
  if (number > references.length) throw malformed('a reference is used before it is defined')
  if (number === references.length) readNewReference(references)
  const resolved = references[number]!
  return resolved.making === null ? resolved : made(resolved.making)
}

const readNewReference = (list: Resolved[]): void => {
  const module = readCount()
  if (module === 0) {
    readFunction(list)
    return
  }
  const reference = readPathOf(module - 1)
  const { path } = reference
  const name = path[path.length - 1] ?? ''
  try {
    const value = functionTransport().resolve(reference, false)
    list.push({ value, name, error: null, making: null })
  } catch (error) {
    const what = `${path.join('.')} of ${reference.module} could not be found`
    list.push({ value: undefined, name, error: wrap(error, what), making: null })
  }
}

const readPathOf = (number: number): Reference => {
  const module = modules?.[number]
  if (module === undefined) throw malformed('a reference names no module')
  const length = readItemCount(1)
  const path: string[] = []
  for (let i = 0; i < length; i++) path.push(readText())
  return { module, path }
}

const made = (making: Rebuilding): Resolved => {
  const { name } = making
  try {
    return { value: making.value(), name, error: null, making }
  } catch (error) {
    return { value: undefined, name, error: wrap(error, `${name} could not be rebuilt`), making }
  }
}

const readFunction = (list: Resolved[]): void => {
  enter()
  const making = functionTransport().rebuild(readText())
  list.push({ value: undefined, name: making.name, error: null, making })
  if (making.needed > 0) {
    pending++
    const values = readCaptured(making.needed)
    pending--
    making.define(values)
  } else making.define([])
  const when = readByte()
  if (when === f.CAPTURED_NOW) making.complete(readCaptured(making.captured))
  else if (when === f.CAPTURED_LATER && pending > 0) {
    putOff ??= []
    putOff.push(making)
  } else throw malformed('the values of a function are put off for nothing')
  while (pending === 0 && putOff !== null && putOff.length > 0) {
    const next = putOff.shift()!
    next.complete(readCaptured(next.captured))
  }
  depth--
}

/** Reads the values of a function, each of which takes a byte at least. */
const readCaptured = (count: number): unknown[] => {
  if (count > end - position) throw truncated()
  const values: unknown[] = []
  for (let i = 0; i < count; i++) {
    if (bytes[position] === f.IMPORT && position < end) {
      position++
      values.push(readImport())
    } else values.push(read())
  }
  return values
}

const readImport = (): unknown => {
  const reference = readPathOf(readCount())
  try {
    return functionTransport().resolve(reference, true)
  } catch (error) {
    const what = [...reference.path.slice(-1), reference.module].join(' of ')
    throw wrap(error, `${what} could not be found`)
  }
}

const readReference = (): unknown => {
  const { value, error } = readResolved()
  if (error !== null) throw error
  return value
}

const readInstance = (): object => {
  const resolved = readResolved()
  const constructor = resolved.value
  const prototype: unknown =
    typeof constructor === 'function' ? (constructor as { prototype?: unknown }).prototype : null
  const known = typeof prototype === 'object' && prototype !== null
  const tag = position < end ? bytes[position]! : f.NULL
  if (tag === f.ERROR && !known) {
    // The error matters more than its class: it arrives as the built-in underneath.
    const error = read() as Error
    if (!Object.hasOwn(error, 'name')) define(error, 'name', resolved.name, false)
    return error
  }
  if (resolved.error !== null) throw resolved.error
  if (!known) throw malformed('an instance of what is no class')
  let object: object
  if ((tag >= f.SHORT_SHAPE && tag < f.UNDEFINED) || (tag >= f.SHAPE_NEW && tag <= f.DICTIONARY)) {
    enter()
    object = Object.create(prototype) as object
    track(object)
    readRecordInto(object)
    depth--
  } else {
    if (!INSTANCE_BASES.has(tag) && (tag < f.SHORT_ARRAY || tag >= f.SHORT_SHAPE)) {
      throw malformed('an instance of what cannot be a base class')
    }
    // Within, the object may refer to itself: it keeps its identity and only changes its prototype.
    if (tag === f.DATE) {
      position++
      object = new Date(readFloat64())
      track(object)
    } else object = read() as object
    Object.setPrototypeOf(object, prototype)
    if (tag !== f.ERROR) readRecordInto(object)
  }
  return object
}

const INSTANCE_BASES: ReadonlySet<number> = new Set([
  f.ARRAY,
  f.ARRAY_LATIN1,
  f.ARRAY_DATE,
  f.ARRAY_BIGINT,
  f.HOLEY_ARRAY,
  f.ARRAY_INT8,
  f.ARRAY_INT16,
  f.ARRAY_INT32,
  f.ARRAY_FLOAT64,
  f.MAP,
  f.SET,
  f.DATE,
  f.REGEXP,
  f.BOXED,
  f.ERROR,
  f.URL_TAG,
  f.URL_SEARCH_PARAMS,
  f.ARRAY_BUFFER,
  f.ARRAY_BUFFER_OUTSIDE,
  f.VIEW,
  f.VIEW_OUTSIDE,
  f.VIEW_ON,
])

const readCall = (): unknown => {
  const held = hold()
  enter()
  const fn = readReference()
  const list = read()
  if (typeof fn !== 'function' || !Array.isArray(list)) throw malformed('a call needs a function')
  let made: unknown
  try {
    made = fn(...list)
  } catch (error) {
    throw wrap(error, `rebuilding an object with ${fn.name} failed`)
  }
  depth--
  return put(held, made)
}

const readReduced = (): object => {
  const held = hold()
  enter()
  const name = readText()
  const reducer = reducerNamed(name)
  if (reducer === undefined) throw new UnpicklingError(`nothing here rebuilds '${name}' objects`)
  if (reducer.trustedOnly && !trusted) throw untrusted(`'${name}' objects`)
  const state = read()
  let made: object
  try {
    made = reducer.rebuild(state, { handle: handleAt(handles), borrow: lookAt(handles), trusted })
  } catch (error) {
    if (error instanceof UnpicklingError || error instanceof OSError) throw error
    throw wrap(error, `rebuilding a '${name}' object failed`)
  }
  depth--
  return put(held, made)
}

const lookAt =
  (list: number[] | null) =>
  (index: number): number => {
    const fd = list?.[index]
    if (fd === undefined) throw new UnpicklingError(`the message brought no descriptor ${index}`)
    if (fd < 0) throw new UnpicklingError(`descriptor ${index} was taken already`)
    return fd
  }

const handleAt =
  (list: number[] | null) =>
  (index: number): number => {
    const fd = lookAt(list)(index)
    // It is its taker's now: what is left in the list at the end belongs to nobody.
    list![index] = -1
    return fd
  }

const readUrl = (): URL => {
  const number = hold()
  return put(number, new URL(readText()))
}

const readUrlSearchParams = (): URLSearchParams => {
  const number = hold()
  return put(number, new URLSearchParams(readText()))
}

const readers: (() => unknown)[] = new Array(256).fill((): never => {
  throw malformed('an unknown kind of value')
})
const specific: readonly (readonly [number, () => unknown])[] = [
  [f.INT8, () => (readByte() << 24) >> 24],
  [f.BIGINT64, readBigint64],
  [f.BIGINT_POSITIVE, readMagnitude],
  [f.BIGINT_NEGATIVE, () => -readMagnitude()],
  [f.LATIN1, readLatin1Value],
  [f.UTF16, readUtf16Value],
  [f.SYMBOL_FOR, () => Symbol.for(readText())],
  [f.SYMBOL_WELL_KNOWN, readWellKnownSymbol],
  [f.ARRAY, readLongArray],
  [f.HOLEY_ARRAY, readHoleyArray],
  [f.ARRAY_INT8, readPackedInt8],
  [f.ARRAY_INT16, readPackedInt16],
  [f.ARRAY_INT32, readPackedInt32],
  [f.ARRAY_FLOAT64, readPackedFloat64],
  [f.ARRAY_LATIN1, readPackedStrings],
  [f.ARRAY_DATE, readPackedDates],
  [f.ARRAY_BIGINT, readPackedBigints],
  [f.SHAPE, () => readObject(knownShape(readCount()))],
  [f.DICTIONARY, readDictionary],
  [f.NULL_PROTOTYPE, readNullPrototype],
  [f.INSTANCE, readInstance],
  [f.CALL, readCall],
  [f.REFERENCE, readReference],
  [f.REDUCED, readReduced],
  [f.MAP, readMap],
  [f.SET, readSet],
  [f.DATE_AGAIN, readDateAgain],
  [f.REGEXP, readRegExp],
  [f.BOXED, readBoxed],
  [f.ERROR, readError],
  [f.DOM_EXCEPTION, readDomException],
  [f.URL_TAG, readUrl],
  [f.URL_SEARCH_PARAMS, readUrlSearchParams],
  [f.ARRAY_BUFFER, readArrayBuffer],
  [f.ARRAY_BUFFER_OUTSIDE, readArrayBufferOutside],
  [f.VIEW, readView],
  [f.VIEW_OUTSIDE, readViewOutside],
  [f.VIEW_ON, readViewOn],
  [f.BACK_REFERENCE, readBackReference],
]
for (const [tag, reader] of specific) readers[tag] = reader

const NO_MODULES: readonly string[] = []
const MODULE_TABLE_LENGTH_BYTES = 4

/** Reads the module table and ends the value where the table starts. */
const readModuleTable = (): readonly string[] => {
  const last = end - MODULE_TABLE_LENGTH_BYTES
  if (last <= position) throw truncated()
  const length =
    bytes[last]! | (bytes[last + 1]! << 8) | (bytes[last + 2]! << 16) | (bytes[last + 3]! << 24)
  const start = last - length
  if (length < 1 || start < position) throw malformed('the module table has an impossible length')
  const value = position
  position = start
  end = last
  const count = readItemCount(1)
  const list: string[] = []
  for (let i = 0; i < count; i++) list.push(readText())
  if (position !== end) throw malformed('the module table has an impossible length')
  position = value
  end = start
  return list
}

const readHeader = (options: DecodeOptions): void => {
  const header = readByte()
  if ((header & f.HEADER_MASK) !== f.HEADER) {
    throw new UnpicklingError('these bytes are not an encoded object')
  }
  tracked = (header & f.HAS_BACK_REFERENCES) !== 0
  trusted = options.trusted
  if ((header & f.HAS_MODULES) !== 0) {
    if (!trusted) throw untrusted(FUNCTIONS)
    modules = readModuleTable()
  }
}

const begin = (source: Uint8Array, from: number, to: number): void => {
  if (!(from >= 0 && from < to && to <= source.length)) {
    throw new UnpicklingError('there are no bytes to decode')
  }
  bytes = source
  position = from
  end = to
  announceable = to - from
}

const forget = (): void => {
  depth = 0
  shapeCount = 0
  if (shapes.length > 64) shapes = []
  if (tracked) {
    objects = []
    dates = []
    tracked = false
  }
  stringCount = 0
  if (windowEnd !== 0) {
    windowEnd = 0
    windowText = ''
  }
  references = null
  pending = 0
  putOff = null
  modules = null
  buffers = null
  buffersTaken = 0
  handles = null
  bytes = EMPTY
}

const EMPTY = new Uint8Array(0)

/** Runs while another message is being read, and leaves that one as it was. */
const aside = <T>(run: () => T): T => {
  const outer = {
    bytes,
    position,
    end,
    depth,
    announceable,
    tracked,
    objects,
    dates,
    shapes,
    shapeCount,
    references,
    pending,
    putOff,
    stringCount,
    windowStart,
    windowEnd,
    windowText,
    modules,
    buffers,
    buffersTaken,
    handles,
    trusted,
  }
  tracked = false
  objects = []
  dates = []
  shapes = []
  forget()
  active = false
  try {
    return run()
  } finally {
    ;({ bytes, position, end, depth, announceable, tracked, objects, dates } = outer)
    ;({ stringCount, windowStart, windowEnd, windowText, pending, putOff } = outer)
    ;({ shapes, shapeCount, references, modules, buffers, buffersTaken, handles, trusted } = outer)
    active = true
  }
}

// Apart from `decode`, which would otherwise pay for what these functions capture.
const decodeAside = (
  source: Uint8Array,
  start: number,
  stop: number,
  options: DecodeOptions,
): unknown => aside(() => decode(source, start, stop, options))

const modulesOfAside = (source: Uint8Array, start: number, stop: number): readonly string[] =>
  aside(() => modulesOf(source, start, stop))

const asOwnError = (error: unknown): Error => {
  // What the system refuses is no fault of the message.
  if (error instanceof UnpicklingError || error instanceof OSError) return error
  if (error instanceof RangeError && /call stack/i.test(error.message)) {
    return new UnpicklingError('objects are nested too deep for the stack')
  }
  return wrap(error, 'the message holds a value that cannot be rebuilt')
}

/**
 * Decodes an object graph. Does not block, unless resolving functions or rebuilding objects does.
 *
 * @param source - Bytes that hold a payload of `encode`. Nothing of them is kept.
 * @param start - Where the payload starts.
 * @param stop - Where it ends.
 * @param options - Whom it comes from and what came beside it.
 * @returns The object.
 * @throws UnpicklingError when the bytes are not a payload, or hold what may not be accepted.
 */
export function decode(
  source: Uint8Array,
  start: number,
  stop: number,
  options: DecodeOptions,
): unknown {
  if (active) return decodeAside(source, start, stop, options)
  active = true
  try {
    begin(source, start, stop)
    readHeader(options)
    buffers = options.buffers ?? null
    handles = options.handles ?? null
    const value = read()
    if (position !== end) throw malformed('something follows the object')
    if (buffers !== null && buffersTaken !== buffers.length) {
      throw malformed('more out-of-band buffers came along than it names')
    }
    return value
  } catch (error) {
    throw asOwnError(error)
  } finally {
    forget()
    active = false
  }
}

/**
 * Lists the modules that decoding needs, so that they can be imported before. Does not block and decodes
 * nothing else.
 *
 * @param source - Bytes that hold a payload of `encode`.
 * @param start - Where the payload starts.
 * @param stop - Where it ends.
 * @returns The modules' URLs, none twice; `global:` is not among them. Empty when none are needed.
 * @throws UnpicklingError when the bytes are not a payload.
 */
export function modulesOf(source: Uint8Array, start: number, stop: number): readonly string[] {
  if (start < stop && source[start] === f.HEADER) return NO_MODULES
  if (active) return modulesOfAside(source, start, stop)
  active = true
  try {
    begin(source, start, stop)
    readHeader({ trusted: true })
    return modules === null ? NO_MODULES : modules.filter(isImportable)
  } catch (error) {
    throw asOwnError(error)
  } finally {
    forget()
    active = false
  }
}
