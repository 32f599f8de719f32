/**
 * The classes and functions of Python that are known here, by name. Nothing else is ever made of what a
 * pickle names.
 * @module
 */
import { ValueError } from '../errors.js'
import { show } from '../waiting.js'

/** What is made of a global, and what becomes one. */
export interface GlobalHandler<T = any> {
  /**
   * Makes a value of what the class or function is called with. Arguments may still be incomplete when
   * they contain the value itself.
   */
  load?(args: any[], kwargs: Record<string, any>): T
  /**
   * Sets the state that Python's `__setstate__` would get. If not given, the entries of a dict become
   * properties. What is returned, if anything, replaces the value.
   */
  setState?(value: T, state: any): T | void
  /** Appends items, of what has `append` in Python. */
  append?(value: T, items: any[]): void
  /** Sets items, of what has `__setitem__` in Python. */
  setItems?(value: T, entries: [any, any][]): void
  /** Instances of this class are written with `dump`. */
  type?: Function
  /** What the class or function is to be called with, when an instance of `type` is written. */
  dump?(value: T): any[] | Reduced
  /** What the name itself stands for, such as a function; when written, it is the name. */
  value?: any
}

/** What an object is made with, as Python's `__reduce__` returns it. */
export interface Reduced {
  args?: any[]
  /** What its `__setstate__` gets; nothing if undefined. */
  state?: any
  /** What is appended. */
  items?: Iterable<any>
  /** What is set. */
  entries?: Iterable<[any, any]>
  /** `new` when `__new__` is to be called, and not the class. */
  how?: 'call' | 'new'
}

/** A registration. */
export interface Registered extends GlobalHandler {
  readonly module: string
  readonly name: string
}

const byName = new Map<string, Registered>()
const byType = new Map<Function, Registered>()
const byValue = new Map<unknown, Registered>()

const keyOf = (module: string, name: string): string => `${module}\0${name}`

/**
 * Says what a class or function of Python is here. Without that, what is made by it arrives as a
 * `PythonObject`.
 *
 * @param module - Python's module, such as `fractions`.
 * @param name - The name in it, such as `Fraction`.
 * @param handler - What is made of it; a second registration replaces the first.
 * @throws TypeError for names that are no text, and for what is no function.
 */
export const registerGlobal = <T = any>(
  module: string,
  name: string,
  handler: GlobalHandler<T>,
): void => {
  if (typeof module !== 'string' || typeof name !== 'string') {
    throw new TypeError(`a module and a name are wanted, not ${show(module)} and ${show(name)}`)
  }
  if (module.includes('\n') || name.includes('\n')) throw new ValueError('a name has one line')
  for (const key of ['load', 'setState', 'append', 'setItems', 'type', 'dump'] as const) {
    if (handler[key] !== undefined && typeof handler[key] !== 'function') {
      throw new TypeError(`${key} must be a function, not ${show(handler[key])}`)
    }
  }
  const key = keyOf(module, name)
  const before = byName.get(key)
  if (before?.type !== undefined && byType.get(before.type) === before) byType.delete(before.type)
  if (before !== undefined && 'value' in before) byValue.delete(before.value)
  const registered: Registered = Object.assign(Object.create(null), handler, { module, name })
  byName.set(key, registered)
  if (handler.type !== undefined) byType.set(handler.type, registered)
  if ('value' in handler) byValue.set(handler.value, registered)
}

/** What a program has said about a global. */
export const registeredName = (module: string, name: string): Registered | undefined =>
  byName.size === 0 ? undefined : byName.get(keyOf(module, name))

/** What a program has said about the class of an object, or about one that it extends. */
export const registeredType = (value: object): Registered | undefined => {
  if (byType.size === 0) return undefined
  for (let at = Object.getPrototypeOf(value); at !== null; at = Object.getPrototypeOf(at)) {
    const own = Object.getOwnPropertyDescriptor(at, 'constructor')?.value
    const found = byType.get(own)
    if (found?.dump !== undefined) return found
  }
  return undefined
}

/** The global that a value is. */
export const registeredValue = (value: unknown): Registered | undefined =>
  byValue.size === 0 ? undefined : byValue.get(value)
