/**
 * Objects with a C type in shared memory. Mirrors `multiprocessing.sharedctypes`.
 * @module
 */
import { type ArrayData, type ArrayOf, arrayOf, listOf } from './ctypes/array.js'
import { wideCharacters } from './ctypes/conversions.js'
import { CData, constructAt, copyTo, type DataType, infoOf, typeOf } from './ctypes/data.js'
import {
  c_char,
  type Typecode,
  type TypecodeObjects,
  typecodeToType,
} from './ctypes/fundamental.js'
import { type Memory, memoryOf } from './ctypes/memory.js'
import type { SimpleData } from './ctypes/simple.js'
import './ctypes/travel.js'
import { allocate } from './heap.js'
import { type AnyLock, checkLock, type SynchronizedOf, synchronized } from './synchronized.js'
import { show } from './waiting.js'

export { type Typecode, typecodeToType } from './ctypes/fundamental.js'
export {
  type AnyLock,
  Synchronized,
  SynchronizedArray,
  SynchronizedBase,
  type SynchronizedOf,
  SynchronizedRecord,
  SynchronizedString,
  synchronized,
} from './synchronized.js'

/** A C type, or the letter that stands for it. */
export type TypeOrCode = Typecode | DataType<any>

/** The objects of a type, or of a letter's. */
export type ObjectOf<A extends TypeOrCode> = A extends Typecode
  ? TypecodeObjects[A]
  : A extends DataType<infer T>
    ? T
    : never

/** What an object may be made of: a value; for a structure its fields' values, as a list or by name. */
export type InitialOf<A extends TypeOrCode> =
  ObjectOf<A> extends SimpleData<any, infer Given> ? Given : any

/** The lock of an object. */
export interface LockOptions {
  /** A lock; true or null for a new RLock, which is the default; false for none. */
  readonly lock?: AnyLock | boolean | null
}

/** Wants no lock. */
interface WithoutLock {
  readonly lock: false
}

const typeFor = (typeOrCode: TypeOrCode): DataType => {
  if (typeof typeOrCode === 'string' && Object.hasOwn(typecodeToType, typeOrCode)) {
    return typecodeToType[typeOrCode]
  }
  return infoOf(typeOrCode as DataType).type
}

const sharedMemory = (type: DataType): Memory => memoryOf(allocate(infoOf(type).size).buffer)

/**
 * An object with a C type in shared memory, without a lock. Sent to another process, it is the same object
 * there.
 *
 * @param type - The type, or its letter.
 * @param args - What its constructor takes: its value, zero if not given; the values of a structure's fields.
 * @throws TypeError for what is no C type, and for a value of a wrong type; OSError when there is no memory.
 *
 * Mirrors `multiprocessing.sharedctypes.RawValue`.
 */
export function RawValue<A extends TypeOrCode>(type: A, value?: InitialOf<A>): ObjectOf<A>
export function RawValue<A extends TypeOrCode>(type: A, ...args: any[]): ObjectOf<A>
export function RawValue(type: TypeOrCode, ...args: any[]): unknown {
  const found = typeFor(type)
  return constructAt(found, sharedMemory(found), args)
}

/** How many elements an array has, or what they are. */
export type SizeOrValues = number | Iterable<unknown> | ArrayLike<unknown>

/**
 * An array in shared memory, without a lock. Sent to another process, it is the same array there.
 *
 * @param type - The type of its elements, or its letter.
 * @param sizeOrValues - How many elements, which are zero; or their values.
 * @throws ValueError for a negative size; TypeError for what is no C type, no size and no sequence, and for a
 * value of a wrong type; OSError when there is no memory.
 *
 * Mirrors `multiprocessing.sharedctypes.RawArray`.
 */
export const RawArray = <A extends TypeOrCode>(
  type: A,
  sizeOrValues: SizeOrValues,
): ArrayOf<ObjectOf<A>> => {
  const element = typeFor(type)
  if (typeof sizeOrValues === 'number') return zeroed(element, sizeOrValues) as never
  const values = valuesFor(element, sizeOrValues)
  const array = zeroed(element, values.length)
  array.set(values)
  return array as never
}

const zeroed = (element: DataType, length: number): ArrayData => {
  const type: DataType = arrayOf(element, length)
  return infoOf(type).place(sharedMemory(type), 0) as ArrayData
}

/** Text stands for its bytes, or its characters. */
const valuesFor = (element: DataType, given: unknown): ArrayLike<unknown> => {
  if (typeof given !== 'string') return listOf(given)
  return element === c_char ? Buffer.from(given) : wideCharacters(given, infoOf(element).size)
}

const isOptions = (value: unknown): value is LockOptions => {
  if (typeof value !== 'object' || value === null) return false
  if (Object.getPrototypeOf(value) !== Object.prototype) return false
  const names = Object.keys(value)
  return names.length === 1 && names[0] === 'lock'
}

const withLock = (object: CData, { lock = true }: LockOptions): unknown => {
  if (lock === false) return object
  return synchronized(object, lock === true ? null : lock)
}

/** A lock that is none is an error before there is anything. */
const checkOptions = (options: unknown): void => {
  if (typeof options !== 'object' || options === null) {
    throw new TypeError(`options are an object, not ${show(options)}`)
  }
  const { lock = true } = options as LockOptions
  if (lock !== null && typeof lock !== 'boolean') checkLock(lock)
}

/** Makes a value: see {@link Value}. */
export interface ValueConstructor {
  new <A extends TypeOrCode>(
    type: A,
    value: InitialOf<A> | undefined,
    options: WithoutLock,
  ): ObjectOf<A>
  new <A extends TypeOrCode>(
    type: A,
    value?: InitialOf<A>,
    options?: LockOptions,
  ): SynchronizedOf<ObjectOf<A>>
  /** The values of a structure's fields one by one; the options come last. */
  new <A extends TypeOrCode>(type: A, ...args: any[]): SynchronizedOf<ObjectOf<A>>
}

/**
 * An object with a C type in shared memory, with a lock that each use of it takes. Sent to another process, it
 * is the same object there, and has the same lock.
 *
 * @param type - The type, or its letter.
 * @param args - What its constructor takes, as for {@link RawValue}. Last, if anything is to be said of the
 * lock, an object that has `lock` and nothing else.
 * @returns The object with its lock; the object itself when `lock` is false.
 * @throws TypeError for what is no C type, for a value of a wrong type, and for what is no lock; OSError when
 * there is no memory.
 *
 * Mirrors `multiprocessing.Value`.
 */
export const Value: ValueConstructor = function Value(type: TypeOrCode, ...args: unknown[]) {
  const options = isOptions(args.at(-1)) ? (args.pop() as LockOptions) : {}
  checkOptions(options)
  while (args.length > 0 && args.at(-1) === undefined) args.pop()
  return withLock(RawValue(type, ...args), options)
} as unknown as ValueConstructor

/** Makes an array: see {@link Array}. */
export interface ArrayConstructor {
  new <A extends TypeOrCode>(
    type: A,
    sizeOrValues: SizeOrValues,
    options: WithoutLock,
  ): ArrayOf<ObjectOf<A>>
  new <A extends TypeOrCode>(
    type: A,
    sizeOrValues: SizeOrValues,
    options?: LockOptions,
  ): SynchronizedOf<ArrayOf<ObjectOf<A>>>
}

/**
 * An array in shared memory, with a lock that each use of it takes. Sent to another process, it is the same
 * array there, and has the same lock.
 *
 * @param type - The type of its elements, or its letter.
 * @param sizeOrValues - How many elements, which are zero; or their values.
 * @param options - The lock.
 * @returns The array with its lock; the array itself when `lock` is false.
 * @throws As {@link RawArray}; TypeError for what is no lock.
 *
 * Mirrors `multiprocessing.Array`.
 */
export const SharedArray: ArrayConstructor = function SharedArray(
  type: TypeOrCode,
  sizeOrValues: SizeOrValues,
  options: LockOptions = {},
) {
  checkOptions(options)
  return withLock(RawArray(type, sizeOrValues), options)
} as unknown as ArrayConstructor

/** {@link Value}, under a name that says what it is. */
export const SharedValue: ValueConstructor = Value

export { SharedArray as Array }

/**
 * A copy of an object in shared memory of its own, without a lock.
 *
 * @throws TypeError for what has no C type; OSError when there is no memory.
 *
 * Mirrors `multiprocessing.sharedctypes.copy`.
 */
export const copy = <T extends CData>(object: T): T => {
  if (!(object instanceof CData)) {
    throw new TypeError(`an object with a C type is wanted, not ${show(object)}`)
  }
  const type = typeOf(object)
  const made = infoOf(type).place(sharedMemory(type), 0)
  copyTo(object, made)
  return made as T
}
