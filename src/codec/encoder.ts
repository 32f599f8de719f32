/**
 * Object graph to bytes. What each byte means stands in `format.ts`.
 *
 * The state is the module's: one message at a time is written into one buffer that is used again. When
 * a getter or a reducer encodes on its own meanwhile, the state is set aside for it.
 *
 * @module
 */
import { types } from 'node:util'
import { PicklingError } from '../errors.js'
import { BLOCK_HEADER_LENGTH, serialize, writeBlockHeader } from './bigints.js'
import { BUFFER_CLASS, ERROR_CLASSES, WELL_KNOWN_SYMBOLS } from './builtins.js'
import { DateNumbers } from './dates.js'
import * as f from './format.js'
import * as k from './kinds.js'
import { type Culprit, findCulprit, leadsTo } from './path.js'
import {
  type AnyFunction,
  type BufferTransport,
  bufferTransport,
  type EncodeContext,
  type FunctionParts,
  functionTransport,
  ImportedValue,
  isImportable,
  type OwnedHandle,
  type Reference,
  type TravellingHandle,
} from './reducers.js'
import { Refusal } from './refusal.js'
import { extend, NO_SHAPE, prepareShape, type ShapeNode, shapeRoot } from './shapes.js'
import {
  hexWrite,
  isLatin1,
  LOOP_LIMIT,
  latin1Write,
  writeShortLatin1,
  writeUtf16,
} from './strings.js'

/** An encoded object. Each encode reuses it: it is valid until the next one. */
export interface Encoded {
  /** The buffer that holds the payload, `bytes[start..end)`. */
  bytes: Uint8Array
  /** Where the payload starts: always `HEADROOM`, the bytes in front are free for a frame header. */
  start: number
  /** Where the payload ends. */
  end: number
  /** What travels outside the payload: the contents of large ArrayBuffers and views, in order. */
  buffers: Uint8Array[] | null
  /** The file descriptors that travel beside the message, in order. */
  handles: number[] | null
  /** Those of them that are the message's: whoever sends it closes them, when it is sent or cannot be. */
  owned: readonly OwnedHandle[] | null
  /** Whether rebuilding the object needs modules to be imported. */
  modules: boolean
}

/** What may be set to other values, by tests for example. */
export const limits = {
  /** The largest payload, in bytes; what travels out of band is not part of it. */
  payload: 1024 * 1024 * 1024,
}

/** The method by which an instance says how it travels: it returns `[function, arguments]`. */
const REDUCE = Symbol.for('mp.reduce')

const SMALLEST_SCRATCH = 64 * 1024
/** A value's fixed-size parts always fit in this many bytes, so one check per value is enough. */
const SLACK = 64
/** So many messages in a row must need far less before a large scratch is given back. */
const PATIENCE = 32
/** A scratch above this is not kept in patience. */
const HUGE_SCRATCH = 64 * 1024 * 1024
/** Up to this many objects are told apart by looking at each, beyond it by a Set. */
const SCANNED = 24
/** Arrays of at least this many numbers are packed. */
const PACKED_MINIMUM = 16
/** Arrays of strings up to this long are packed; their lengths then take a byte each. */
const PACKED_STRING_LIMIT = 127
/** How many missing elements are tested one by one before the array's keys are asked for. */
const HOLES_TESTED = 32
/** Views that share an ArrayBuffer up to this size go on sharing it, however little they show of it. */
const ALWAYS_SHARED = 64 * 1024

const hasOwn = Object.prototype.hasOwnProperty
const getTime = Date.prototype.getTime
const isEnumerable = Object.prototype.propertyIsEnumerable
const getPrototypeOf = Object.getPrototypeOf as (value: object) => object | null

/** Memory that is not zeroed first, as a plain Uint8Array: a Buffer's `slice` would not copy. */
const allocate = (byteLength: number): Uint8Array<ArrayBuffer> =>
  new Uint8Array(Buffer.allocUnsafeSlow(byteLength).buffer as ArrayBuffer)

/** A function or class that was met before in the message. */
interface Referred {
  readonly number: number
  /** Its module; empty for one by value. */
  readonly module: string
  /** Whether it is a class that does not exist before what follows is read. */
  pending: boolean
}

/** Thrown to write the message once more from its start. */
const START_OVER = Symbol('start over')

// The message being written.
let bytes = allocate(SMALLEST_SCRATCH)
let view = new DataView(bytes.buffer)
let limit = bytes.length - SLACK
let position = f.HEADROOM
let flags = 0
let depth = 0
let message = 0
let shapeCount = 0
let root: ShapeNode = shapeRoot()
const scanned: unknown[] = new Array(SCANNED).fill(null)
let seen: unknown[] = scanned
let seenCount = 0
const NONE_SEEN = new Set<unknown>()
let seenSet = NONE_SEEN
/** The objects' numbers, in the place of `seenSet` once an object was met again. */
let numbers: Map<unknown, number> | null = null
/** Whether the last message with many objects met one of them again: then this one may, too. */
let expectsGraph = false
let dates = new DateNumbers()
/** Whether Object.prototype has enumerable keys, which are then no object's own. */
let inheritsKeys = false
let references: Map<unknown, Referred> | null = null
/** Classes by value that are being defined: how many, and which functions' values wait for that. */
let pending = 0
let putOff: FunctionParts[] | null = null
/** Classes of errors that turned out not to be sendable: their instances travel without them. */
let withheld: Set<AnyFunction> | null = null
let modules: string[] | null = null
let buffers: Uint8Array[] | null = null
let handles: number[] | null = null
let owned: Map<string, OwnedHandle & TravellingHandle> | null = null
// What reducers returned, kept when the message starts over: they may have side effects.
let reduced: Map<object, unknown> | null = null
/** Objects whose reduced state is being written: nothing in it may refer to them. */
let reducing: object[] | null = null
/** How often, and with how many bytes in all, views show a part of an ArrayBuffer. */
let partial: Map<ArrayBuffer, { views: number; byteLength: number }> | null = null
/** The ArrayBuffers found to be shared, once the message starts over. */
let sharedBuffers: Set<ArrayBuffer> | null = null

let active = false
let idle = 0

const adopt = (buffer: Uint8Array<ArrayBuffer>): void => {
  bytes = buffer
  view = new DataView(buffer.buffer)
  limit = buffer.length - SLACK
}

const grow = (needed: number): void => {
  const least = position + needed + SLACK
  const most = limits.payload + f.HEADROOM + SLACK
  if (least > most) {
    throw new Refusal(
      NOTHING,
      `the message is larger than ${limits.payload} bytes; send large binary data as ArrayBuffers, which travel beside it`,
    )
  }
  const larger = allocate(Math.min(most, Math.max(least, bytes.length * 2)))
  larger.set(bytes.subarray(f.HEADROOM, position), f.HEADROOM)
  adopt(larger)
}

/** A culprit that is nowhere in the graph. */
const NOTHING = Symbol('nothing')

const reserve = (needed: number): void => {
  if (position + needed > limit) grow(needed)
}

const writeCount = (count: number): void => {
  let rest = count
  while (rest > 127) {
    bytes[position++] = (rest & 127) | 128
    // Division, because array lengths go beyond the 31 bits of a shift.
    rest = rest > 0x7fffffff ? Math.floor(rest / 128) : rest >>> 7
  }
  bytes[position++] = rest
}

const writeNumber = (value: number): void => {
  if ((value | 0) === value) {
    if (value >= 0) {
      if (value < 128) {
        if (value !== 0 || 1 / value > 0) {
          bytes[position++] = value
          return
        }
      } else if (value < 256) {
        bytes[position] = f.UINT8
        bytes[position + 1] = value
        position += 2
        return
      } else {
        writeWideInteger(value)
        return
      }
    } else {
      if (value >= -128) {
        bytes[position] = f.INT8
        bytes[position + 1] = value
        position += 2
      } else writeWideInteger(value)
      return
    }
  }
  bytes[position] = f.FLOAT64
  view.setFloat64(position + 1, value, true)
  position += 9
}

const writeWideInteger = (value: number): void => {
  if (value >= -0x8000 && value < 0x8000) {
    bytes[position] = f.INT16
    view.setInt16(position + 1, value, true)
    position += 3
  } else {
    bytes[position] = f.INT32
    view.setInt32(position + 1, value, true)
    position += 5
  }
}

const writeString = (text: string): void => {
  const length = text.length
  if (length < f.SHORT_STRING_LIMIT) {
    const target = bytes
    const start = position + 1
    let all = 0
    for (let i = 0; i < length; i++) {
      const code = text.charCodeAt(i)
      all |= code
      target[start + i] = code
    }
    if (all > 0xff) {
      writeWide(text)
      return
    }
    target[start - 1] = f.SHORT_STRING | length
    position = start + length
  } else writeLongString(text)
}

const writeLongString = (text: string): void => {
  const length = text.length
  reserve(length + 8)
  if (length <= LOOP_LIMIT) {
    const start = position
    bytes[position++] = f.LATIN1
    writeCount(length)
    const end = writeShortLatin1(bytes, position, text)
    if (end >= 0) {
      position = end
      return
    }
    position = start
  } else if (isLatin1(text)) {
    bytes[position++] = f.LATIN1
    writeCount(length)
    latin1Write.call(bytes, text, position, length)
    position += length
    return
  }
  writeWide(text)
}

const writeWide = (text: string): void => {
  const length = text.length
  reserve(length * 2 + 8)
  bytes[position++] = f.UTF16
  writeCount(length)
  // A reader copies long strings once more when their code units do not lie at an even place.
  if (length > LOOP_LIMIT && (position - f.HEADROOM) % 2 === 1) {
    bytes[position - 1]! |= 128
    bytes[position++] = 0
  }
  position = writeUtf16(bytes, position, text)
}

const word = new BigInt64Array(1)

const writeBigint = (value: bigint): void => {
  // Storing cuts off what does not fit.
  word[0] = value
  if (word[0] === value) {
    bytes[position] = f.BIGINT64
    view.setBigInt64(position + 1, value, true)
    position += 9
    return
  }
  const negative = value < 0n
  let hex = (negative ? -value : value).toString(16)
  if (hex.length % 2 === 1) hex = `0${hex}`
  const length = hex.length / 2
  reserve(length + 8)
  bytes[position++] = negative ? f.BIGINT_NEGATIVE : f.BIGINT_POSITIVE
  writeCount(length)
  hexWrite.call(bytes, hex, position, length)
  position += length
}

const writeSymbol = (value: symbol): void => {
  const key = Symbol.keyFor(value)
  if (key !== undefined) {
    bytes[position++] = f.SYMBOL_FOR
    writeString(key)
    return
  }
  const number = WELL_KNOWN_SYMBOLS.indexOf(value)
  if (number < 0) {
    throw new Refusal(
      value,
      `${String(value)} is unique to the process it is in; Symbol.for(...) makes one that travels`,
    )
  }
  bytes[position] = f.SYMBOL_WELL_KNOWN
  bytes[position + 1] = number
  position += 2
}

// Comparisons one by one: a switch would make V8 look up the name of the type first.
const writeValue = (value: unknown): void => {
  if (position > limit) grow(0)
  if (typeof value === 'string') writeString(value)
  else if (typeof value === 'number') writeNumber(value)
  else if (typeof value === 'object') {
    if (value === null) bytes[position++] = f.NULL
    else writeObject(value)
  } else if (typeof value === 'boolean') bytes[position++] = value ? f.TRUE : f.FALSE
  else if (value === undefined) bytes[position++] = f.UNDEFINED
  else writeRarePrimitive(value)
}

const writeRarePrimitive = (value: unknown): void => {
  if (typeof value === 'bigint') writeBigint(value)
  else if (typeof value === 'symbol') writeSymbol(value)
  else {
    bytes[position++] = f.REFERENCE
    writeReference(value as AnyFunction, value)
  }
}

/** Gives the object a number; returns the one it has, or -1 when this is the first time. */
const identify = (value: unknown): number => {
  const count = seenCount
  if (count >= SCANNED) return identifyBySet(value)
  for (let i = 0; i < count; i++) if (seen[i] === value) return i
  seen[count] = value
  seenCount = count + 1
  return -1
}

const leaveScan = (): void => {
  if (expectsGraph || (flags & f.HAS_BACK_REFERENCES) !== 0) {
    numbers = new Map()
    for (let i = 0; i < SCANNED; i++) numbers.set(seen[i], i)
    return
  }
  // A new one: clearing an old one is slower than leaving it to the collector.
  seenSet = new Set()
  for (let i = 0; i < SCANNED; i++) seenSet.add(seen[i])
}

const identifyBySet = (value: unknown): number => {
  const count = seenCount
  if (count === SCANNED && numbers === null) leaveScan()
  if (numbers !== null) {
    const known = numbers.get(value)
    if (known !== undefined) return known
    numbers.set(value, count)
    seenCount = count + 1
    return -1
  }
  // One look-up where asking first would take two: most graphs are trees.
  seenSet.add(value)
  if (seenSet.size > count) {
    seenCount = count + 1
    return -1
  }
  // The order of the set is that of the numbers.
  numbers = new Map()
  for (const each of seenSet) numbers.set(each, numbers.size)
  return numbers.get(value)!
}

/** Gives away a number that nothing refers to. */
const skipNumber = (): void => {
  identify({})
}

const writeBackReference = (number: number, value: object): void => {
  if (reducing?.includes(value)) {
    throw new Refusal(value, 'what its reducer returned refers back to the object itself')
  }
  flags |= f.HAS_BACK_REFERENCES
  bytes[position++] = f.BACK_REFERENCE
  writeCount(number)
}

const writeObject = (value: object): void => {
  // In a graph many are known, and looking them up is faster than asking for the prototype.
  if (numbers !== null) {
    const known = numbers.get(value)
    if (known !== undefined) {
      writeBackReference(known, value)
      return
    }
  }
  const prototype = getPrototypeOf(value)
  if (prototype === Date.prototype) {
    writeDate(value as Date)
    return
  }
  if (numbers !== null) numbers.set(value, seenCount++)
  else {
    const known = identify(value)
    if (known >= 0) {
      writeBackReference(known, value)
      return
    }
  }
  if (++depth > f.MAXIMUM_DEPTH) throw tooDeep()
  if (prototype === Object.prototype) writeRecord(value as Record<string, unknown>)
  else if (prototype === Array.prototype) {
    if (Array.isArray(value)) writeArray(value)
    else writeOwnRecord(value as Record<string, unknown>)
  } else if (prototype === null) {
    if (types.isModuleNamespaceObject(value)) {
      throw new Refusal(value, 'a module namespace cannot be sent')
    }
    bytes[position++] = f.NULL_PROTOTYPE
    writeRecord(value as Record<string, unknown>)
  } else {
    const kind = k.kindOf(prototype, value)
    if (kind.code !== k.INSTANCE_KIND) writeKind(kind, value)
    else writeInstance(value as Record<string, unknown>, kind.base!)
  }
  depth--
}

const writeDate = (date: Date): void => {
  const time = getTime.call(date)
  const known = dates.identify(date, time)
  if (known >= 0) {
    flags |= f.HAS_BACK_REFERENCES
    bytes[position++] = f.DATE_AGAIN
    writeCount(known)
    return
  }
  writeTime(time)
}

const writeTime = (time: number): void => {
  bytes[position] = f.DATE
  view.setFloat64(position + 1, time, true)
  position += 9
}

const TOO_DEEP = Symbol('too deep')

const tooDeep = (): Refusal =>
  new Refusal(TOO_DEEP, `objects are nested deeper than ${f.MAXIMUM_DEPTH} levels`)

/** Writes a plain object. */
const writeRecord = (value: Record<string, unknown>): void => {
  if (inheritsKeys) {
    writeOwnRecord(value)
    return
  }
  let node = root
  for (const key in value) {
    node = node.lastKey === key ? node.lastChild : extend(node, key)
  }
  writeShaped(value, node)
}

/** Writes an object whose prototypes may have enumerable keys. */
const writeOwnRecord = (value: Record<string, unknown>): void => {
  if (position > limit) grow(0)
  let node = root
  for (const key in value) {
    if (!hasOwn.call(value, key)) {
      writeDictionary(value, Object.keys(value))
      return
    }
    node = node.lastKey === key ? node.lastChild : extend(node, key)
  }
  writeShaped(value, node)
}

const writeShaped = (value: Record<string, unknown>, node: ShapeNode): void => {
  if (node === NO_SHAPE) {
    writeDictionary(value, Object.keys(value))
    return
  }
  if (node.message === message) {
    const index = node.index
    if (index < f.SHORT_SHAPE_LIMIT) bytes[position++] = f.SHORT_SHAPE | index
    else {
      bytes[position++] = f.SHAPE
      writeCount(index)
    }
  } else defineShape(node)
  const keys = node.keys
  let i = 0
  for (const key in value) {
    if (key !== keys[i++]) throw changed(value)
    writeValue(value[key])
  }
  if (i !== keys.length) throw changed(value)
}

const changed = (value: object): Refusal =>
  new Refusal(value, 'it changed while it was being encoded')

const defineShape = (node: ShapeNode): void => {
  if (node.byteLength === 0) prepareShape(node)
  const words = node.words
  const count = words.length
  reserve(count * 4)
  const target = view
  let at = position
  for (let i = 0; i < count; i++) {
    target.setInt32(at, words[i]!, true)
    at += 4
  }
  position += node.byteLength
  // The block may have used up the slack of the value.
  if (position > limit) grow(0)
  node.message = message
  node.index = shapeCount++
}

const writeDictionary = (value: Record<string, unknown>, keys: readonly string[]): void => {
  if (position > limit) grow(0)
  bytes[position++] = f.DICTIONARY
  writeCount(keys.length)
  for (let i = 0; i < keys.length; i++) writeEntry(keys[i]!, value[keys[i]!])
}

const writeEntry = (key: string, value: unknown): void => {
  if (position > limit) grow(0)
  writeString(key)
  writeValue(value)
}

const writeArray = (array: unknown[]): void => {
  const length = array.length
  if (length >= PACKED_MINIMUM) {
    const first = array[0]
    if (typeof first === 'number') {
      if (writePacked(array)) return
    } else if (typeof first === 'string') {
      if (writePackedStrings(array)) return
    } else if (typeof first === 'bigint') {
      if (writePackedBigints(array)) return
    } else if (isDate(first)) {
      writePackedDates(array, length)
      return
    }
    writeLongArray(array, length)
    return
  }
  const start = position
  bytes[position++] = f.SHORT_ARRAY | length
  for (let i = 0; i < length; i++) {
    const item = array[i]
    if (item === undefined && !hasOwn.call(array, i)) {
      writeRestWithHoles(array, start, i)
      return
    }
    writeValue(item)
  }
}

/** Goes on with a short array that turns out to have holes: it becomes one that may. */
const writeRestWithHoles = (array: unknown[], start: number, from: number): void => {
  reserve(1)
  bytes.copyWithin(start + 2, start + 1, position)
  position++
  bytes[start] = f.HOLEY_ARRAY
  bytes[start + 1] = array.length
  writeElements(array, array.length, start, from)
}

const writeLongArray = (array: unknown[], length: number): void => {
  const start = position
  bytes[position++] = f.ARRAY
  writeCount(length)
  writeElements(array, length, start, 0)
}

/** Writes elements of an array whose tag is at `start`, and changes the tag when holes are met. */
const writeElements = (array: unknown[], length: number, start: number, from: number): void => {
  let indices: string[] | null = null
  let next = 0
  let i = from
  while (i < length) {
    const item = array[i]
    if (item !== undefined || hasOwn.call(array, i)) {
      writeValue(item)
      i++
      continue
    }
    let end = i + 1
    const tested = Math.min(length, i + HOLES_TESTED)
    while (end < tested && !hasOwn.call(array, end)) end++
    if (end === tested && end < length) {
      // Keys that are indices come first, in order.
      indices ??= Object.keys(array)
      while (next < indices.length && Number(indices[next]) < end) next++
      end = next < indices.length ? Number(indices[next]) : length
      // A field of the array that is no element.
      if (!(end <= length)) end = length
    }
    bytes[start] = f.HOLEY_ARRAY
    if (position > limit) grow(0)
    bytes[position++] = f.HOLES
    writeCount(end - i)
    i = end
  }
}

/** Writes an array of nothing but numbers as a block; returns false when it is not one. */
const writePacked = (array: unknown[]): boolean => {
  const length = array.length
  let least = 0
  let most = 0
  let i = 0
  for (; i < length; i++) {
    const item = array[i]
    if (typeof item !== 'number') return false
    const integer = item | 0
    if (integer !== item || (integer === 0 && 1 / item < 0)) break
    if (integer < least) least = integer
    if (integer > most) most = integer
  }
  if (i === length) {
    writePackedIntegers(array as number[], least, most)
    return true
  }
  for (let rest = i + 1; rest < length; rest++) if (typeof array[rest] !== 'number') return false
  reserve(length * 8 + 8)
  bytes[position++] = f.ARRAY_FLOAT64
  writeCount(length)
  const target = view
  let at = position
  for (let j = 0; j < length; j++) {
    target.setFloat64(at, array[j] as number, true)
    at += 8
  }
  position = at
  return true
}

/** Writes an array of nothing but short Latin-1 strings; returns false when it is not one. */
const writePackedStrings = (array: unknown[]): boolean => {
  const length = array.length
  const start = position
  let all = ''
  reserve(length + 8)
  bytes[position++] = f.ARRAY_LATIN1
  writeCount(length)
  const target = bytes
  const lengths = position
  for (let i = 0; i < length; i++) {
    const item = array[i]
    if (typeof item !== 'string' || item.length > PACKED_STRING_LIMIT) {
      position = start
      return false
    }
    target[lengths + i] = item.length
    all += item
  }
  if (!isLatin1(all)) {
    position = start
    return false
  }
  position = lengths + length
  reserve(all.length)
  // One call for all of them, where a call or loop for each costs three times as much.
  latin1Write.call(bytes, all, position, all.length)
  position += all.length
  return true
}

const isDate = (value: unknown): value is Date =>
  typeof value === 'object' && value !== null && getPrototypeOf(value) === Date.prototype

/** Writes an array as a block of times for as long as it holds nothing but Dates not met before. */
const writePackedDates = (array: unknown[], length: number): void => {
  reserve(length * 9 + 8)
  const start = position
  bytes[position++] = f.ARRAY_DATE
  writeCount(length)
  const times = position
  for (let i = 0; i < length; i++) {
    const item = array[i]
    if (!isDate(item)) {
      writeRestAfterDates(array, start, i)
      return
    }
    const time = getTime.call(item)
    if (dates.identify(item, time) >= 0) {
      writeRestAfterDates(array, start, i)
      return
    }
    view.setFloat64(times + i * 8, time, true)
  }
  position = times + length * 8
}

/** Goes on with an array after so many Dates, which have their numbers already. */
const writeRestAfterDates = (array: unknown[], start: number, count: number): void => {
  position = start
  bytes[position++] = f.ARRAY
  writeCount(array.length)
  for (let i = 0; i < count; i++) writeTime(getTime.call(array[i]))
  writeElements(array, array.length, start, count)
}

const isLarge = (value: unknown): boolean =>
  typeof value === 'bigint' && BigInt.asIntN(64, value) !== value

/** Writes an array of nothing but bigints as a block if some look large; false when it does not. */
const writePackedBigints = (array: unknown[]): boolean => {
  const length = array.length
  if (!isLarge(array[length - 1]) && !isLarge(array[length >>> 1])) return false
  // A copy, because the original may have fields and getters.
  const copy = [...array]
  for (let i = 0; i < length; i++) if (typeof copy[i] !== 'bigint') return false
  const block = serialize(copy as bigint[])
  if (block === null) return false
  reserve(block.length + 16)
  bytes[position++] = f.ARRAY_BIGINT
  writeCount(length)
  writeCount(block.length + BLOCK_HEADER_LENGTH)
  writeBlockHeader(bytes, position)
  position += BLOCK_HEADER_LENGTH
  bytes.set(block, position)
  position += block.length
  return true
}

const writePackedIntegers = (array: number[], least: number, most: number): void => {
  const length = array.length
  const width = least >= -0x80 && most < 0x80 ? 1 : least >= -0x8000 && most < 0x8000 ? 2 : 4
  reserve(length * width + 8)
  bytes[position++] = width === 1 ? f.ARRAY_INT8 : width === 2 ? f.ARRAY_INT16 : f.ARRAY_INT32
  writeCount(length)
  const target = view
  let at = position
  if (width === 1) {
    for (let i = 0; i < length; i++) target.setInt8(at++, array[i]!)
  } else if (width === 2) {
    for (let i = 0; i < length; i++, at += 2) target.setInt16(at, array[i]!, true)
  } else {
    for (let i = 0; i < length; i++, at += 4) target.setInt32(at, array[i]!, true)
  }
  position = at
}

const writeKind = (kind: k.Kind, value: object): void => {
  switch (kind.code) {
    case k.DATE_KIND:
      writeTime(getTime.call(value))
      return
    case k.MAP_KIND:
      writeMap(value as Map<unknown, unknown>)
      return
    case k.SET_KIND:
      writeSet(value as Set<unknown>)
      return
    case k.VIEW_KIND:
      writeView(value as ArrayBufferView, kind.number)
      return
    case k.ERROR_KIND:
      writeError(value as Error, kind.number, false)
      return
    default:
      writeRareKind(kind, value)
  }
}

const writeRareKind = (kind: k.Kind, value: object): void => {
  switch (kind.code) {
    case k.PLAIN:
      writeOwnRecord(value as Record<string, unknown>)
      return
    case k.ARRAY_KIND:
      writeArray(value as unknown[])
      return
    case k.REGEXP_KIND: {
      const pattern = value as RegExp
      bytes[position++] = f.REGEXP
      writeString(pattern.source)
      reserve(0)
      writeString(pattern.flags)
      writeValue(pattern.lastIndex)
      return
    }
    case k.ARRAY_BUFFER_KIND:
      writeArrayBuffer(value as ArrayBuffer)
      return
    case k.BOXED_KIND:
      writeBoxed(value)
      return
    case k.URL_KIND:
      bytes[position++] = f.URL_TAG
      writeString((value as URL).href)
      return
    case k.URL_SEARCH_PARAMS_KIND:
      bytes[position++] = f.URL_SEARCH_PARAMS
      writeString(URLSearchParams.prototype.toString.call(value))
      return
    case k.DOM_EXCEPTION_KIND: {
      const exception = value as DOMException
      bytes[position++] = f.DOM_EXCEPTION
      writeString(exception.message)
      reserve(0)
      writeString(exception.name)
      writeValue(exception.stack)
      return
    }
    case k.REDUCED_KIND:
      writeReduced(value, kind)
      return
    default:
      throw new Refusal(value, kind.reason)
  }
}

const writeMap = (map: Map<unknown, unknown>): void => {
  const size = map.size
  bytes[position++] = f.MAP
  writeCount(size)
  let count = 0
  for (const [key, item] of map) {
    if (++count > size) break
    writeValue(key)
    writeValue(item)
  }
  if (count !== size) throw changed(map)
}

const writeSet = (set: Set<unknown>): void => {
  const size = set.size
  bytes[position++] = f.SET
  writeCount(size)
  let count = 0
  for (const item of set) {
    if (++count > size) break
    writeValue(item)
  }
  if (count !== size) throw changed(set)
}

const BOXED_VALUES: readonly ((this: unknown) => unknown)[] = [
  Number.prototype.valueOf,
  String.prototype.valueOf,
  Boolean.prototype.valueOf,
  BigInt.prototype.valueOf,
  Symbol.prototype.valueOf,
]

const writeBoxed = (value: object): void => {
  bytes[position++] = f.BOXED
  for (const valueOf of BOXED_VALUES) {
    let primitive: unknown
    try {
      primitive = valueOf.call(value)
    } catch {
      continue
    }
    if (typeof primitive === 'symbol' && Symbol.keyFor(primitive) === undefined) {
      if (!WELL_KNOWN_SYMBOLS.includes(primitive)) {
        throw new Refusal(value, `${String(primitive)} is unique to the process it is in`)
      }
    }
    writeValue(primitive)
    return
  }
  throw new Refusal(value, 'it has the prototype of a primitive and holds none')
}

const contents = (buffer: ArrayBufferLike, offset: number, byteLength: number): Uint8Array =>
  new Uint8Array(buffer, offset, byteLength)

const copyContents = (buffer: ArrayBufferLike, offset: number, byteLength: number): void => {
  reserve(byteLength)
  if (byteLength > 0) bytes.set(contents(buffer, offset, byteLength), position)
  position += byteLength
}

/** Writes an ArrayBuffer that travels in its own way. */
const writeTransported = (buffer: ArrayBuffer, transport: BufferTransport): void => {
  const state = remember(buffer, () => transport.reduce(buffer, context))
  bytes[position++] = f.REDUCED
  writeString(transport.name)
  writeState(buffer, state)
}

const writeArrayBuffer = (buffer: ArrayBuffer): void => {
  if (bufferTransport?.has(buffer)) {
    writeTransported(buffer, bufferTransport)
    return
  }
  const byteLength = buffer.byteLength
  // An earlier view that showed a part of it travelled by itself: start over, with both sharing.
  if (partial?.has(buffer)) partial.get(buffer)!.byteLength = Number.POSITIVE_INFINITY
  if (byteLength >= f.OUT_OF_BAND_THRESHOLD) {
    bytes[position++] = f.ARRAY_BUFFER_OUTSIDE
    writeCount(byteLength)
    buffers ??= []
    buffers.push(contents(buffer, 0, byteLength))
    return
  }
  bytes[position++] = f.ARRAY_BUFFER
  writeCount(byteLength)
  copyContents(buffer, 0, byteLength)
}

const isSeen = (value: unknown): boolean => {
  if (seenCount > SCANNED) return (numbers ?? seenSet).has(value)
  for (let i = 0; i < seenCount; i++) if (seen[i] === value) return true
  return false
}

/** Whether it is shared between threads. Asking the prototype first is much faster than asking Node. */
const isShared = (buffer: ArrayBufferLike): boolean =>
  getPrototypeOf(buffer) !== ArrayBuffer.prototype && types.isSharedArrayBuffer(buffer)

const writeView = (value: ArrayBufferView, number: number): void => {
  const buffer = value.buffer as ArrayBuffer
  const byteLength = value.byteLength
  if (isShared(buffer)) {
    throw new Refusal(value, k.kindOf(SharedArrayBuffer.prototype, buffer).reason)
  }
  if (bufferTransport?.has(buffer)) {
    writeViewOn(value, number)
    return
  }
  const whole = byteLength === buffer.byteLength
  if ((whole ? false : sharedBuffers?.has(buffer) === true) || isSeen(buffer)) {
    writeViewOn(value, number)
    return
  }
  if (whole) identify(buffer)
  else {
    skipNumber()
    // Small Buffers are parts of a pool that is nobody's business: those never share.
    if (number !== BUFFER_CLASS) notePartial(buffer, byteLength)
  }
  if (byteLength >= f.OUT_OF_BAND_THRESHOLD) {
    bytes[position] = f.VIEW_OUTSIDE
    bytes[position + 1] = number
    position += 2
    writeCount(byteLength)
    buffers ??= []
    buffers.push(contents(buffer, value.byteOffset, byteLength))
    return
  }
  bytes[position] = f.VIEW
  bytes[position + 1] = number
  position += 2
  writeCount(byteLength)
  if (byteLength <= SLACK && number <= 1) {
    reserve(byteLength)
    const source = value as Uint8Array
    for (let i = 0; i < byteLength; i++) bytes[position + i] = source[i]!
    position += byteLength
  } else copyContents(buffer, value.byteOffset, byteLength)
}

const writeViewOn = (value: ArrayBufferView, number: number): void => {
  bytes[position] = f.VIEW_ON
  bytes[position + 1] = number
  position += 2
  writeCount(value.byteOffset)
  writeCount(value.byteLength)
  writeValue(value.buffer)
}

const notePartial = (buffer: ArrayBuffer, byteLength: number): void => {
  partial ??= new Map()
  const noted = partial.get(buffer)
  if (noted === undefined) partial.set(buffer, { views: 1, byteLength })
  else {
    noted.views++
    noted.byteLength += byteLength
  }
}

/**
 * Whether views were written apart that should share their ArrayBuffer. They do when the ArrayBuffer is
 * in the message itself, or when it is small or shown for a quarter at least: then sending it whole is
 * affordable. Chunks of a large array travel as chunks.
 */
const missedSharing = (): boolean => {
  let missed = false
  for (const [buffer, { views, byteLength }] of partial!) {
    if (byteLength !== Number.POSITIVE_INFINITY && !isSeen(buffer)) {
      if (views < 2 || buffer.byteLength > Math.max(ALWAYS_SHARED, byteLength * 4)) continue
    }
    sharedBuffers ??= new Set()
    sharedBuffers.add(buffer)
    missed = true
  }
  return missed
}

const writeError = (error: Error, number: number, nameIt: boolean): void => {
  const fields = error as unknown as Record<string, unknown>
  const start = position
  const hidden = writeErrorHead(error, number, nameIt)
  for (let i = 0; i < hidden.length; i++) writeEntry(hidden[i]!, fields[hidden[i]!])
  if ((bytes[start + 2]! & f.ERROR_FIELDS) !== 0) writeOwnRecord(fields)
}

/** Writes an error up to its hidden fields and returns the names of those. */
const writeErrorHead = (error: Error, number: number, nameIt: boolean): readonly string[] => {
  const hidden: string[] = []
  let parts = 0
  let message = ''
  let stack = ''
  for (const name of Object.getOwnPropertyNames(error)) {
    if (name === 'stack') {
      const value: unknown = error.stack
      if (typeof value === 'string') {
        parts |= f.ERROR_STACK
        stack = value
        continue
      }
    }
    if (isEnumerable.call(error, name)) parts |= f.ERROR_FIELDS
    else if (name === 'message' && typeof error.message === 'string') {
      parts |= f.ERROR_MESSAGE
      message = error.message
    } else hidden.push(name)
  }
  const builtinName = ERROR_CLASSES[number]!.name
  const name: unknown = error.name === builtinName ? className(error) : error.name
  const named = nameIt && !hasOwn.call(error, 'name') && typeof name === 'string'
  const count = hidden.length + (named ? 1 : 0)
  if (count > 0) parts |= f.ERROR_HIDDEN
  bytes[position] = f.ERROR
  bytes[position + 1] = number
  bytes[position + 2] = parts
  position += 3
  if (parts & f.ERROR_MESSAGE) writeString(message)
  if (parts & f.ERROR_STACK) {
    reserve(0)
    writeString(stack)
  }
  if (count > 0) {
    reserve(0)
    writeCount(count)
    if (named) writeEntry('name', name)
  }
  return hidden
}

const className = (value: object): unknown => (value.constructor as AnyFunction | undefined)?.name

/** The class of an instance: the constructor that its prototype belongs to. */
const classOf = (value: object): AnyFunction => {
  const prototype = getPrototypeOf(value)!
  const constructor: unknown = prototype.constructor
  if (typeof constructor !== 'function' || constructor.prototype !== prototype) {
    throw new Refusal(value, 'its prototype belongs to no class that could be found again')
  }
  return constructor
}

const writeInstance = (value: Record<string, unknown>, base: k.Kind): void => {
  const reduce: unknown = (value as Record<symbol, unknown>)[REDUCE]
  if (typeof reduce === 'function') {
    writeCall(value, reduce)
    return
  }
  if (!writeClass(value, base)) {
    writeError(value as unknown as Error, base.number, true)
    return
  }
  if (base.code !== k.PLAIN) {
    reserve(0)
    writeKind(base, value)
    if (base.code === k.ERROR_KIND) return
    if (base.code === k.ARRAY_KIND || base.code === k.VIEW_KIND || base.code === k.BOXED_KIND) {
      writeDictionary(value, fieldNames(value))
      return
    }
  }
  writeOwnRecord(value)
}

/** The keys that are no elements. */
const fieldNames = (value: object): string[] =>
  Object.keys(value).filter((name) => !/^(0|[1-9]\d*)$/.test(name))

/**
 * Writes whose instance the object is. Returns false for an error whose class cannot be found again:
 * better an error of the nearest class that both sides have than a failure that hides it.
 */
const writeClass = (value: object, base: k.Kind): boolean => {
  const start = position
  const before = references?.size ?? 0
  let constructor: AnyFunction | undefined
  try {
    constructor = classOf(value)
    if (withheld?.has(constructor)) return false
    const known = references?.get(constructor)
    const parts = known === undefined ? referenceTo(constructor, value, true) : null
    const module = known?.module ?? (parts === null || isByValue(parts) ? '' : parts.module)
    if (/^(node|global):/.test(module)) {
      throw new Refusal(
        value,
        `an instance of Node's ${constructor.name} holds state that lives in this process only`,
      )
    }
    if (known === undefined) refuseUnbuildable(constructor, value)
    bytes[position++] = f.INSTANCE
    writeReference(constructor, value, parts)
    return true
  } catch (error) {
    if (base.code !== k.ERROR_KIND || error === START_OVER) throw error
    position = start
    if (constructor === undefined || (references?.size ?? 0) === before) return false
    // A part of the class has been written, and objects in it have their numbers.
    withheld ??= new Set()
    withheld.add(constructor)
    throw START_OVER
  }
}

/** Refuses instances that would be broken on the other side. */
const refuseUnbuildable = (constructor: AnyFunction, value: object): void => {
  const reason = functionTransport().refuseInstances(constructor)
  if (reason !== null) throw new Refusal(value, reason)
}

const remember = (value: object, make: () => unknown): unknown => {
  reduced ??= new Map()
  if (reduced.has(value)) return reduced.get(value)
  let made: unknown
  try {
    made = make()
  } catch (error) {
    throw new Refusal(value, `taking it apart failed: ${reasonOf(error)}`, error)
  }
  reduced.set(value, made)
  return made
}

const writeCall = (value: object, reduce: AnyFunction): void => {
  const result = remember(value, () => reduce.call(value))
  if (!Array.isArray(result) || typeof result[0] !== 'function' || !Array.isArray(result[1])) {
    throw new Refusal(value, 'its Symbol.for("mp.reduce") method must return [function, arguments]')
  }
  bytes[position++] = f.CALL
  writeReference(result[0] as AnyFunction, value)
  writeState(value, result[1])
}

const writeReduced = (value: object, kind: k.Kind): void => {
  const reducer = kind.reducer!
  const state = remember(value, () => reducer.reduce(value, context))
  bytes[position++] = f.REDUCED
  writeString(reducer.name)
  writeState(value, state)
}

const writeState = (value: object, state: unknown): void => {
  reducing ??= []
  reducing.push(value)
  writeValue(state)
  reducing.pop()
}

const context: EncodeContext = {
  handle(fd) {
    if (!active) throw new TypeError('a handle can only be added while its object is being encoded')
    handles ??= []
    return handles.push(fd) - 1
  },
  own(key, make) {
    const known = owned?.get(key)
    if (known !== undefined) return known
    const handle = make()
    const { fd } = handle
    const entry = { fd, index: context.handle(fd), close: () => handle.close() }
    owned ??= new Map()
    owned.set(key, entry)
    return entry
  },
}

/** The message cannot be sent, so what was made for it is not needed. */
const closeOwned = (): void => {
  if (owned !== null) for (const handle of owned.values()) handle.close()
}

const reasonOf = (error: unknown): string => {
  try {
    return error instanceof Error ? error.message : String(error)
  } catch {
    return 'an error that cannot be shown'
  }
}

const referenceTo = (
  fn: AnyFunction,
  culprit: unknown,
  isClass: boolean,
): Reference | FunctionParts => {
  try {
    return functionTransport().refer(fn, isClass)
  } catch (error) {
    throw new Refusal(culprit, reasonOf(error), error)
  }
}

const isByValue = (parts: Reference | FunctionParts): parts is FunctionParts =>
  'definition' in parts

/** Writes where the function is found, or what it is made of. */
const writeReference = (
  fn: AnyFunction,
  culprit: unknown,
  parts: Reference | FunctionParts | null = null,
): void => {
  const known = references?.get(fn)
  if (known !== undefined) {
    if (known.pending) {
      throw new Refusal(culprit, `class ${fn.name} is needed to define itself`)
    }
    writeCount(known.number)
    return
  }
  const found = parts ?? referenceTo(fn, culprit, false)
  references ??= new Map()
  const number = references.size
  writeCount(number)
  if (isByValue(found)) {
    const referred = { number, module: '', pending: false }
    references.set(fn, referred)
    writeFunction(found, referred)
  } else {
    references.set(fn, { number, module: found.module, pending: false })
    writeModule(found.module, 1)
    writePath(found.path)
  }
}

/** Writes a module's number, counted from `first`. */
const writeModule = (url: string, first: number): void => {
  modules ??= []
  let module = modules.indexOf(url)
  if (module < 0) module = modules.push(url) - 1
  flags |= f.HAS_MODULES
  writeCount(module + first)
}

const writePath = (path: readonly string[]): void => {
  writeCount(path.length)
  for (const name of path) {
    reserve(0)
    writeString(name)
  }
}

const writeFunction = (parts: FunctionParts, referred: Referred): void => {
  if (++depth > f.MAXIMUM_DEPTH) throw tooDeep()
  bytes[position++] = 0
  writeString(parts.definition)
  const { needed, captured } = parts
  if (needed.length > 0) {
    referred.pending = true
    pending++
    writeCaptured(needed)
    pending--
    referred.pending = false
  }
  if (position > limit) grow(0)
  if (pending > 0 && leadsToPending(captured)) {
    bytes[position++] = f.CAPTURED_LATER
    putOff ??= []
    putOff.push(parts)
  } else {
    bytes[position++] = f.CAPTURED_NOW
    writeCaptured(captured)
  }
  if (pending === 0) {
    while (putOff !== null && putOff.length > 0) writeCaptured(putOff.shift()!.captured)
  }
  depth--
}

const writeCaptured = (values: readonly unknown[]): void => {
  for (const value of values) {
    if (!(value instanceof ImportedValue)) writeValue(value)
    else {
      if (position > limit) grow(0)
      bytes[position++] = f.IMPORT
      writeModule(value.reference.module, 0)
      writePath(value.reference.path)
    }
  }
}

/** Whether a class that is being defined can be reached from these values. */
const leadsToPending = (values: readonly unknown[]): boolean => {
  for (const [fn, referred] of references!) {
    if (referred.pending && leadsTo(values, fn, reduced)) return true
  }
  return false
}

const writeModules = (list: readonly string[]): void => {
  reserve(0)
  const start = position
  writeCount(list.length)
  for (const module of list) {
    reserve(0)
    writeString(module)
  }
  reserve(4)
  view.setUint32(position, position - start, true)
  position += 4
}

const write = (value: unknown): void => {
  inheritsKeys = false
  for (const _ in Object.prototype) inheritsKeys = true
  while (!writeWhole(value)) {
    // Everything about the first try is void but what reducers returned, handles included.
    forgetObjects()
    partial = null
    references = null
    pending = 0
    putOff = null
    modules = null
    buffers = null
    reducing = null
    flags = 0
    depth = 0
    shapeCount = 0
    message = nextMessage()
  }
  if (modules !== null) writeModules(modules)
  // Values are only held to the scratch's end, so the last bytes may lie beyond the limit.
  if (position - f.HEADROOM > limits.payload) grow(0)
  bytes[f.HEADROOM] = f.HEADER | flags
}

/** Writes the value; returns false when it has to be written once more. */
const writeWhole = (value: unknown): boolean => {
  position = f.HEADROOM + 1
  try {
    writeValue(value)
  } catch (error) {
    if (error === START_OVER) return false
    throw error
  }
  return partial === null || !missedSharing()
}

let messages = 0

const nextMessage = (): number => {
  // The number must stay a small integer; a wrap would need the same shape untouched all along.
  messages = messages === 0x3fffffff ? 1 : messages + 1
  return messages
}

const forgetObjects = (): void => {
  seenSet = NONE_SEEN
  numbers = null
  dates.clear()
  const count = Math.min(seenCount, SCANNED)
  for (let i = 0; i < count; i++) seen[i] = null
  seenCount = 0
}

const explain = (error: unknown, value: unknown, label: string): PicklingError => {
  const states = reduced ?? new Map<object, unknown>()
  if (error instanceof Refusal) {
    const deep = error.culprit === TOO_DEEP
    const found =
      error.culprit === NOTHING
        ? null
        : findCulprit(value, label, error.culprit, states, deep ? f.MAXIMUM_DEPTH : 0)
    return cannotSend(found, label, error.message, error.cause)
  }
  if (error instanceof RangeError && /call stack/i.test(error.message)) {
    return cannotSend(null, label, 'objects are nested too deep for the stack')
  }
  // Something in the graph threw, most likely a getter: look for it.
  const found = findCulprit(value, label, NOTHING, states)
  return cannotSend(found, label, `reading it threw: ${reasonOf(error)}`, error)
}

const cannotSend = (
  found: Culprit | null,
  label: string,
  reason: string,
  cause?: unknown,
): PicklingError => {
  const path = found?.path ?? label
  let why = reason
  if (found !== null && found.captures.length > 0) {
    const { by } = found.captures[0]!
    const way = found.captures.map(({ path: variable }) => `captures ${variable}`)
    const advice = reason.includes(';') ? '' : '; pass what it needs as an argument'
    why = `${by} ${way.join(', which ')}: ${reason}${advice}`
  }
  return new PicklingError(
    `cannot send ${path === '' ? 'it' : path}: ${why}`,
    path,
    cause === undefined ? undefined : { cause },
  )
}

const forgetMessage = (): void => {
  if (seenCount > SCANNED) expectsGraph = (flags & f.HAS_BACK_REFERENCES) !== 0
  forgetObjects()
  flags = 0
  depth = 0
  shapeCount = 0
  references = null
  pending = 0
  putOff = null
  withheld = null
  modules = null
  buffers = null
  handles = null
  owned = null
  reduced = null
  reducing = null
  partial = null
  sharedBuffers = null
}

const shrinkWhenIdle = (): void => {
  if (bytes.length === SMALLEST_SCRATCH) return
  if (position > bytes.length >>> 3) {
    idle = 0
    return
  }
  if (++idle < PATIENCE && bytes.length <= HUGE_SCRATCH) return
  idle = 0
  adopt(allocate(Math.max(SMALLEST_SCRATCH, (bytes.length >>> 3) & ~7)))
}

const encoded: Encoded = {
  bytes,
  start: f.HEADROOM,
  end: f.HEADROOM,
  buffers: null,
  handles: null,
  owned: null,
  modules: false,
}

const fill = (result: Encoded): void => {
  result.bytes = bytes
  result.end = position
  result.buffers = buffers
  result.handles = handles
  result.owned = owned === null ? null : [...owned.values()]
  result.modules = modules?.some(isImportable) ?? false
}

const encodeAside = (value: unknown, label: string): Encoded => {
  const outer = {
    bytes,
    view,
    limit,
    position,
    flags,
    depth,
    message,
    shapeCount,
    root,
    seen,
    seenCount,
    seenSet,
    numbers,
    dates,
    references,
    pending,
    putOff,
    withheld,
    modules,
    buffers,
    handles,
    owned,
    reduced,
    reducing,
    partial,
    sharedBuffers,
  }
  adopt(allocate(4096))
  seen = new Array(SCANNED).fill(null)
  seenCount = 0
  seenSet = new Set()
  numbers = null
  dates = new DateNumbers()
  forgetMessage()
  message = nextMessage()
  const result: Encoded = { ...encoded }
  try {
    write(value)
    fill(result)
    return result
  } catch (error) {
    closeOwned()
    throw explain(error, value, label)
  } finally {
    ;({ bytes, view, limit, position, flags, depth, message, shapeCount, root } = outer)
    ;({ seen, seenCount, seenSet, numbers, dates, references, modules, buffers, handles } = outer)
    ;({ reduced, reducing, partial, sharedBuffers, pending, putOff, withheld, owned } = outer)
  }
}

/**
 * Encodes an object graph. Does not block.
 *
 * @param value - What to encode.
 * @param rootLabel - What to call it in an error's path, such as `args`; with an empty one the path
 *   begins with what the value holds.
 * @returns The payload and what travels beside it, valid until the next call.
 * @throws PicklingError when a part of it cannot be sent; `path` leads there.
 */
export function encode(value: unknown, rootLabel = 'value'): Encoded {
  if (active) return encodeAside(value, rootLabel)
  active = true
  // The last message's size decides, now that its bytes are no longer needed.
  shrinkWhenIdle()
  root = shapeRoot()
  message = nextMessage()
  try {
    write(value)
    fill(encoded)
    return encoded
  } catch (error) {
    closeOwned()
    throw explain(error, value, rootLabel)
  } finally {
    forgetMessage()
    active = false
  }
}

/** How many bytes the encoder's buffer has now. */
export const scratchBytes = (): number => bytes.length
