/**
 * Where other modules teach the codec about their objects: reducers for classes that travel in their own
 * way, and the transport of functions and classes.
 * @module
 */
import { ValueError } from '../errors.js'

/** What a reducer may do while it takes an object apart. */
export interface EncodeContext {
  /** Lets a file descriptor travel beside the message and returns its index. */
  handle(fd: number): number
}

/** What a reducer may do while it rebuilds an object. */
export interface DecodeContext {
  /**
   * The file descriptor that travelled under this index.
   *
   * @throws UnpicklingError when the message brought no such descriptor.
   */
  handle(index: number): number
  /** Whether the message comes over a trusted connection. */
  readonly trusted: boolean
}

/** How the objects of a class travel. */
export interface Reducer<T extends object> {
  /** What the wire calls it: the same in both processes, and unique. */
  readonly name: string
  /** Whether messages over connections that are not trusted may not contain such an object. */
  readonly trustedOnly: boolean
  /** Returns what is needed to rebuild the object, itself encodable. It must not contain the object. */
  reduce(value: T, context: EncodeContext): unknown
  /** Makes the object from what `reduce` returned. */
  rebuild(state: unknown, context: DecodeContext): T
}

/** Where a function or class is found again: a module and the way from its exports. */
export interface Reference {
  /** The module's URL, such as `file:///a/b.js` or `node:os`; `global:` stands for the global object. */
  module: string
  /** The names from the module's exports to the function, such as `['Parser', 'parse']`. */
  path: readonly string[]
}

// The signature does not matter here: classes, arrow functions and generators all travel alike.
export type AnyFunction = Function

/** How functions and classes travel. */
export interface FunctionTransport {
  /**
   * Says where the function is found.
   *
   * @throws Error, with the reason, when it cannot be sent.
   */
  refer(fn: AnyFunction): Reference
  /**
   * Finds it again, synchronously.
   *
   * @throws Error when it is not there.
   */
  resolve(reference: Reference): unknown
}

type AnyReducer = Reducer<object>

const byPrototype = new Map<object, AnyReducer>()
const byName = new Map<string, { prototype: object; reducer: AnyReducer }>()

/** Called when a class gains a reducer, because what was known about its objects is then void. */
export const onRegister: (() => void)[] = []

/**
 * Makes the instances of a class travel through a reducer: those of subclasses too, unless a subclass
 * has its own.
 *
 * Registering a class again replaces its reducer.
 *
 * @param constructor - The class. Plain objects, arrays and Dates never go through a reducer.
 * @param reducer - How to take apart and rebuild.
 * @throws ValueError when the name belongs to another class already, or for Object, Array, Date and
 *   Function.
 */
export function registerReducer<T extends object>(
  constructor: abstract new (...args: any) => T,
  reducer: Reducer<T>,
): void {
  const prototype = constructor.prototype as object
  if (
    prototype === Object.prototype ||
    prototype === Array.prototype ||
    prototype === Date.prototype ||
    prototype === Function.prototype
  ) {
    throw new ValueError(`${constructor.name} cannot have a reducer`)
  }
  const known = byName.get(reducer.name)
  if (known !== undefined && known.prototype !== prototype) {
    throw new ValueError(`the reducer name '${reducer.name}' is taken by another class`)
  }
  const previous = byPrototype.get(prototype)
  if (previous !== undefined) byName.delete(previous.name)
  byPrototype.set(prototype, reducer as unknown as AnyReducer)
  byName.set(reducer.name, { prototype, reducer: reducer as unknown as AnyReducer })
  for (const listener of onRegister) listener()
}

let deferred: (() => void)[] = []

/**
 * Registers reducers only when an instance of an unknown class, or a name nobody registered, is met for
 * the first time: their classes cost time to load.
 */
export const deferReducers = (register: () => void): void => {
  deferred.push(register)
}

/** Registers what was deferred; whether there was anything. */
const registerDeferred = (): boolean => {
  const registering = deferred
  deferred = []
  for (const register of registering) register()
  return registering.length > 0
}

/** The reducer for objects with this prototype, the nearest up the chain. */
export const reducerOf = (prototype: object): AnyReducer | undefined => {
  // Further up the chain one of those deferred may be nearer.
  if (!byPrototype.has(prototype)) registerDeferred()
  return registeredFor(prototype)
}

/** The same among the reducers that are registered by now. */
export const registeredFor = (prototype: object): AnyReducer | undefined => {
  for (let at: object | null = prototype; at !== null; at = Object.getPrototypeOf(at)) {
    const reducer = byPrototype.get(at)
    if (reducer !== undefined) return reducer
  }
  return undefined
}

/** The reducer with this name. */
export const reducerNamed = (name: string): AnyReducer | undefined =>
  (byName.get(name) ?? (registerDeferred() ? byName.get(name) : undefined))?.reducer

const withoutTransport: FunctionTransport = {
  refer: () => {
    throw new Error('functions and classes cannot be sent here')
  },
  resolve: () => {
    throw new Error('functions and classes cannot be received here')
  },
}

let transport = withoutTransport

/** Sets how functions and classes travel, from now on. */
export function installFunctionTransport(installed: FunctionTransport): void {
  transport = installed
}

/** How functions and classes travel now. */
export const functionTransport = (): FunctionTransport => transport
