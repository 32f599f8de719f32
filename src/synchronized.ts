/**
 * Objects with a C type whose every use takes a lock.
 * @module
 */
import { inspect } from 'node:util'
import { registerReducer } from './codec/index.js'
import { ArrayData, CharArray, type ElementOf, type SliceOf } from './ctypes/array.js'
import { ATOMIC } from './ctypes/atomics.js'
import { CData, type DataType, typeOf } from './ctypes/data.js'
import { allFields } from './ctypes/fields.js'
import type { c_char } from './ctypes/fundamental.js'
import { addIndexing } from './ctypes/indexing.js'
import { SimpleData } from './ctypes/simple.js'
import { AssertionError } from './errors.js'
import { type AcquireOptions, type AcquireSyncOptions, type Held, RLock } from './synchronize.js'
import { show, type TimeoutOptions, type WaitOptions } from './waiting.js'

/** What can keep others away: a Lock, an RLock, or what has their methods. */
export interface AnyLock {
  acquire(options?: AcquireOptions): Promise<boolean>
  acquireSync(options?: AcquireSyncOptions): boolean
  release(): void
  hold(options?: WaitOptions): Promise<Held>
  holdSync(options?: TimeoutOptions): Held
  runExclusive<R>(run: () => R | Promise<R>, options?: WaitOptions): Promise<R>
}

// Symbols, as the names of fields are the program's.
const OBJECT: unique symbol = Symbol('object')
const LOCK: unique symbol = Symbol('lock')

/** Does something while the lock is held. */
const locked = <R>(lock: AnyLock, use: () => R): R => {
  lock.acquireSync()
  try {
    return use()
  } finally {
    lock.release()
  }
}

/**
 * An object with a C type, and the lock that each use of it takes. That is one use: what reads and then
 * writes, as `v.value += 1`, holds the lock around both:
 *
 * ```ts
 * await v.runExclusive(() => { v.value += 1 })
 * ```
 *
 * With an RLock, as is the default, the uses within take it again; with a Lock they would wait for
 * themselves, and have to go to `v.getObj()` instead. Waiting for the lock blocks the thread.
 *
 * Mirrors `multiprocessing.sharedctypes.SynchronizedBase`.
 */
export abstract class SynchronizedBase<T extends CData = CData> {
  /** @internal */
  readonly [OBJECT]: T
  /** @internal */
  readonly [LOCK]: AnyLock

  /** @internal */
  constructor(object: T, lock: AnyLock) {
    this[OBJECT] = object
    this[LOCK] = lock
  }

  /** The object itself; using it takes no lock. */
  getObj(): T {
    return this[OBJECT]
  }

  /** The lock. */
  getLock(): AnyLock {
    return this[LOCK]
  }

  /** As the lock's. */
  acquire(options?: AcquireOptions): Promise<boolean> {
    return this[LOCK].acquire(options)
  }

  /** As the lock's. */
  acquireSync(options?: AcquireSyncOptions): boolean {
    return this[LOCK].acquireSync(options)
  }

  /** As the lock's. */
  release(): void {
    this[LOCK].release()
  }

  /** As the lock's. */
  hold(options?: WaitOptions): Promise<Held> {
    return this[LOCK].hold(options)
  }

  /** As the lock's. */
  holdSync(options?: TimeoutOptions): Held {
    return this[LOCK].holdSync(options)
  }

  /** As the lock's. */
  runExclusive<R>(run: () => R | Promise<R>, options?: WaitOptions): Promise<R> {
    return this[LOCK].runExclusive(run, options)
  }

  /** As the reference shows it: `<Synchronized wrapper for c_int(5)>`. */
  toString(): string {
    return this[inspect.custom]()
  }

  /** @internal */
  [inspect.custom](): string {
    return `<${this.constructor.name} wrapper for ${inspect(this[OBJECT])}>`
  }
}

/** What a value reads as, and what it may be set to. */
type ValueOf<T> = T extends SimpleData<infer V, any> ? V : never
type GivenTo<T> = T extends SimpleData<any, infer G> ? G : never

/**
 * A value and its lock.
 *
 * Mirrors `multiprocessing.sharedctypes.Synchronized`.
 */
export class Synchronized<T extends SimpleData<any, any>> extends SynchronizedBase<T> {
  /**
   * The value; reading and writing hold the lock.
   *
   * @throws TypeError when it is set to a value of a wrong type.
   */
  get value(): ValueOf<T> {
    const lock = this[LOCK]
    lock.acquireSync()
    try {
      return this[OBJECT].value
    } finally {
      lock.release()
    }
  }

  set value(value: GivenTo<T>) {
    const lock = this[LOCK]
    lock.acquireSync()
    try {
      this[OBJECT].value = value
    } finally {
      lock.release()
    }
  }

  /**
   * Reads the value in one step, without the lock, as the operations that follow: they are as of the object
   * itself, and return what was there before.
   */
  load(): ValueOf<T> {
    return this[OBJECT][ATOMIC].load(this[OBJECT])
  }

  /** Writes a value in one step, without the lock. */
  store(value: GivenTo<T>): void {
    this[OBJECT][ATOMIC].store(this[OBJECT], value)
  }

  /** Adds in one step, without the lock. Integers lose what does not fit. */
  add(value: GivenTo<T>): ValueOf<T> {
    return this[OBJECT][ATOMIC].add(this[OBJECT], value)
  }

  /** Subtracts in one step, without the lock. */
  sub(value: GivenTo<T>): ValueOf<T> {
    return this[OBJECT][ATOMIC].sub(this[OBJECT], value)
  }

  /** Clears the bits of an integer that `value` does not have, in one step, without the lock. */
  and(value: GivenTo<T>): ValueOf<T> {
    return this[OBJECT][ATOMIC].and(this[OBJECT], value)
  }

  /** Sets the bits of an integer that `value` has, in one step, without the lock. */
  or(value: GivenTo<T>): ValueOf<T> {
    return this[OBJECT][ATOMIC].or(this[OBJECT], value)
  }

  /** Turns over the bits of an integer that `value` has, in one step, without the lock. */
  xor(value: GivenTo<T>): ValueOf<T> {
    return this[OBJECT][ATOMIC].xor(this[OBJECT], value)
  }

  /** Writes a value in one step, without the lock. */
  exchange(value: GivenTo<T>): ValueOf<T> {
    return this[OBJECT][ATOMIC].exchange(this[OBJECT], value)
  }

  /** Writes `replacement` if `expected` is there, in one step, without the lock. */
  compareExchange(expected: GivenTo<T>, replacement: GivenTo<T>): ValueOf<T> {
    return this[OBJECT][ATOMIC].compareExchange(this[OBJECT], expected, replacement)
  }
}

/**
 * An array and its lock. Each call holds the lock once, so one `slice()` or `set(values)` is better than many
 * elements one by one; faster still is to hold the lock and use `getObj().typedArray()`.
 *
 * Mirrors `multiprocessing.sharedctypes.SynchronizedArray`.
 */
export class SynchronizedArray<T extends CData> extends SynchronizedBase<ArrayData<T>> {
  /** An element, as `get(i)` and `set(i, value)`. */
  [index: number]: ElementOf<T>

  /** How many elements there are. */
  get length(): number {
    return this[OBJECT].length
  }

  /** As the array's. An element that is a structure is an object without a lock. */
  get(index: number): ElementOf<T> {
    const lock = this[LOCK]
    lock.acquireSync()
    try {
      return this[OBJECT].get(index)
    } finally {
      lock.release()
    }
  }

  /** As the array's. */
  set(index: number, value: unknown): void
  set(values: Iterable<unknown> | ArrayLike<unknown>, start?: number): void
  set(index: any, value?: any): void {
    const lock = this[LOCK]
    lock.acquireSync()
    try {
      this[OBJECT].set(index, value)
    } finally {
      lock.release()
    }
  }

  /** As the array's. */
  at(index: number): ElementOf<T> | undefined {
    return locked(this[LOCK], () => this[OBJECT].at(index))
  }

  /** As the array's. */
  slice(start?: number, end?: number): SliceOf<T> {
    return locked(this[LOCK], () => this[OBJECT].slice(start, end))
  }

  /** As the array's. */
  fill(value: unknown, start?: number, end?: number): this {
    locked(this[LOCK], () => this[OBJECT].fill(value, start, end))
    return this
  }

  /** The elements, one after the other; the lock is held for each, and not in between. */
  *[Symbol.iterator](): IterableIterator<ElementOf<T>> {
    for (let i = 0; i < this.length; i++) yield this.get(i)
  }
}

/**
 * An array of characters and its lock.
 *
 * Mirrors `multiprocessing.sharedctypes.SynchronizedString`.
 */
export class SynchronizedString extends SynchronizedArray<c_char> {
  /** As the array's. */
  get value(): Buffer {
    return locked(this[LOCK], () => (this[OBJECT] as CharArray).value)
  }

  set value(value: Uint8Array | string) {
    locked(this[LOCK], () => {
      ;(this[OBJECT] as CharArray).value = value
    })
  }

  /** As the array's. */
  get raw(): Buffer {
    return locked(this[LOCK], () => (this[OBJECT] as CharArray).raw)
  }

  set raw(value: Uint8Array | string) {
    locked(this[LOCK], () => {
      ;(this[OBJECT] as CharArray).raw = value
    })
  }
}

addIndexing(SynchronizedArray)

/** A structure or union and its lock: it has the same fields. */
export class SynchronizedRecord<T extends CData> extends SynchronizedBase<T> {}

type RecordWrapper = new (object: CData, lock: AnyLock) => SynchronizedRecord<CData>

const wrappers = new WeakMap<DataType, RecordWrapper>()

/** The class of the wrappers of a class of structures. */
const wrapperOf = (type: DataType): RecordWrapper => {
  const made = wrappers.get(type)
  if (made !== undefined) return made
  const wrapper: RecordWrapper = class extends SynchronizedRecord<CData> {}
  Object.defineProperty(wrapper, 'name', { value: `Synchronized${type.name}` })
  for (const name of allFields(type).keys()) {
    Object.defineProperty(wrapper.prototype, name, {
      get(this: SynchronizedRecord<any>) {
        return locked(this[LOCK], () => this[OBJECT][name])
      },
      set(this: SynchronizedRecord<any>, value: unknown) {
        locked(this[LOCK], () => {
          this[OBJECT][name] = value
        })
      },
      enumerable: true,
      configurable: true,
    })
  }
  wrappers.set(type, wrapper)
  return wrapper
}

/** The names of an object's fields: what is not the same for all objects. */
type FieldNames<T> = Exclude<keyof T, keyof CData>

/** The wrapper of an object. */
export type SynchronizedOf<T extends CData> = T extends CharArray
  ? SynchronizedString
  : T extends ArrayData<infer E>
    ? SynchronizedArray<E>
    : T extends SimpleData<any, any>
      ? Synchronized<T>
      : SynchronizedRecord<T> & Pick<T, FieldNames<T>>

/**
 * An object with a lock that each use of it takes.
 *
 * @param object - An object with a C type; one in shared memory if other processes are to use it.
 * @param lock - The lock; a new RLock if not given.
 * @throws AssertionError for what has a lock already; TypeError for what has no C type, or is no lock.
 *
 * Mirrors `multiprocessing.sharedctypes.synchronized`.
 */
export const synchronized = <T extends CData>(
  object: T,
  lock?: AnyLock | null,
): SynchronizedOf<T> => {
  if (object instanceof SynchronizedBase) throw new AssertionError('object already synchronized')
  if (!(object instanceof CData)) {
    throw new TypeError(`an object with a C type is wanted, not ${show(object)}`)
  }
  const kept = lock ?? new RLock()
  checkLock(kept)
  return wrapped(object, kept) as SynchronizedOf<T>
}

const wrapped = (object: CData, lock: AnyLock): SynchronizedBase => {
  if (object instanceof SimpleData) return new Synchronized(object, lock)
  if (object instanceof CharArray) return new SynchronizedString(object, lock)
  if (object instanceof ArrayData) return new SynchronizedArray(object, lock)
  return new (wrapperOf(typeOf(object)))(object, lock)
}

/** Only what has the methods of a lock is one. */
export const checkLock = (lock: unknown): void => {
  for (const name of ['acquire', 'acquireSync', 'release']) {
    if (typeof (lock as Record<string, unknown> | null)?.[name] !== 'function') {
      throw new TypeError(`${show(lock)} has no method '${name}'`)
    }
  }
}

registerReducer(SynchronizedBase, {
  name: 'sharedctypes.SynchronizedBase',
  trustedOnly: true,
  reduce: (wrapper) => [wrapper[OBJECT], wrapper[LOCK]],
  rebuild(state) {
    const [object, lock] = state as [CData, AnyLock]
    return synchronized(object, lock) as unknown as SynchronizedBase
  },
})
