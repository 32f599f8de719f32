/**
 * Proxies for values, arrays and namespaces.
 * @module
 */
import { PythonArray } from '../pickle/values.js'
import type { Both, Spellings } from './calls.js'
import { itemsOf } from './items.js'
import type { Token } from './protocol.js'
import { BaseProxy, type ProxyOptions, SPELLINGS } from './proxy.js'
import { slice } from './slice.js'
import { exposed } from './types.js'

/** What can be done with a value: each in a Promise and a Sync form. */
export interface ValueCalls<T> {
  /** The value. */
  get(): T
  /** Replaces it. */
  set(value: T): void
}

export interface ValueProxy<T = any> extends Both<ValueCalls<T>> {}

/** A value in a manager's server. Mirrors `managers.ValueProxy`. */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: the methods are defined from the table.
export class ValueProxy<T = any> extends BaseProxy {
  static override readonly _exposed_: readonly string[] = exposed.Value
  /** @internal */
  static readonly [SPELLINGS]: Spellings = { get: 'get', set: 'set' }

  /** The value; reading and writing it block. */
  get value(): T {
    return this.getSync() as T
  }

  set value(value: T) {
    this.setSync(value)
  }
}

/** The values of an array of Python's; integers of any size are numbers where that is exact. */
const plain = ({ values }: PythonArray): unknown[] =>
  Array.from(values as unknown as Iterable<unknown>, (value) =>
    typeof value === 'bigint' && Number.isSafeInteger(Number(value)) ? Number(value) : value,
  )

/** What can be done with an array: each in a Promise and a Sync form. */
export interface ArrayCalls<T> {
  /** The value at an index, which counts from the end if it is negative. @throws IndexError. */
  get(index: number): T
  /** The same; undefined where there is none. */
  at(index: number): T | undefined
  /** Replaces the value at an index. @throws IndexError. */
  set(index: number, value: T): void
  /** A copy of a part. */
  slice(start?: number | null, stop?: number | null, step?: number | null): T[]
  /** How many values there are. */
  len(): number
  /** The same; as JavaScript calls it. */
  length(): number
}

export interface ArrayProxy<T = any> extends Both<ArrayCalls<T>> {}

/** An array of numbers of one type in a manager's server. Mirrors `managers.ArrayProxy`. */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: the methods are defined from the table.
export class ArrayProxy<T = any> extends BaseProxy {
  static override readonly _exposed_: readonly string[] = exposed.Array
  /** @internal */
  static readonly [SPELLINGS]: Spellings = {
    get: '__getitem__',
    at: {
      method: '__getitem__',
      args: ([index]) => [slice(index, index === -1 ? null : index + 1)],
      result: (part) => (part instanceof PythonArray ? plain(part) : part)[0],
    },
    set: '__setitem__',
    slice: {
      method: '__getitem__',
      args: ([start, stop, step]) => [slice(start, stop, step)],
      result: (part) => (part instanceof PythonArray ? plain(part) : part),
    },
    len: '__len__',
    length: '__len__',
  }

  /** Its values one by one, for `for await`. */
  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    for (let i = 0, length = (await this.len()) as number; i < length; i++) {
      yield (await this.get(i)) as T
    }
  }

  /** The same; blocks for each. */
  [Symbol.iterator](): Generator<T> {
    return itemsOf((index) => this.getSync(index) as T)
  }
}

/** What can be done with a namespace: each in a Promise and a Sync form. */
export interface NamespaceCalls {
  /** The value of an attribute. @throws TypeError when there is none. */
  get(name: string): any
  /** Gives an attribute a value. */
  set(name: string, value: unknown): void
  /** Takes out an attribute. @throws TypeError when there is none. */
  delete(name: string): void
}

export interface NamespaceProxy extends Both<NamespaceCalls> {
  /** An attribute of the namespace; reading and writing it block. */
  [attribute: string]: any
}

/**
 * A namespace in a manager's server: its attributes are read, written and deleted like those of any object,
 * which blocks, or by `get`, `set` and `delete` in both forms. Names that begin with `_`, and those of
 * these methods, are the proxy's own.
 *
 * Mirrors `managers.NamespaceProxy`.
 */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: the methods are defined from the table.
export class NamespaceProxy extends BaseProxy {
  static override readonly _exposed_: readonly string[] = exposed.Namespace
  /** @internal */
  static readonly [SPELLINGS]: Spellings = {
    get: '__getattribute__',
    set: '__setattr__',
    delete: '__delattr__',
  }

  constructor(token: Token, options?: ProxyOptions) {
    super(token, options)
    // biome-ignore lint/correctness/noConstructorReturn: its attributes are those of the namespace.
    return wrapped(this)
  }
}

const isOwn = (target: object, name: string | symbol): boolean =>
  typeof name === 'symbol' || name.startsWith('_') || name === 'then' || name in target

/** The object whose attributes are those of the namespace. */
const wrapped = (proxy: NamespaceProxy): NamespaceProxy => {
  return new Proxy(proxy, {
    get(target, name) {
      if (!isOwn(target, name)) return target._callmethodSync('__getattribute__', [name])
      const value = Reflect.get(target, name, target)
      return typeof value === 'function' && name !== 'constructor' ? value.bind(target) : value
    },
    set(target, name, value) {
      if (isOwn(target, name)) return Reflect.set(target, name, value, target)
      target._callmethodSync('__setattr__', [name, value])
      return true
    },
    deleteProperty(target, name) {
      if (isOwn(target, name)) return Reflect.deleteProperty(target, name)
      target._callmethodSync('__delattr__', [name])
      return true
    },
  })
}
