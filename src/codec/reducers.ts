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
  /**
   * Lets a descriptor travel that exists for this message only: it is closed once the message has been
   * sent, or could not be. Asked again with the same key in one message, gives what it gave.
   */
  own(key: string, make: () => OwnedHandle): TravellingHandle
}

/** A descriptor that belongs to a message. */
export interface OwnedHandle {
  readonly fd: number
  close(): void
}

/** A descriptor, and its index in the message. */
export interface TravellingHandle {
  readonly fd: number
  readonly index: number
}

/** What a reducer may do while it rebuilds an object. */
export interface DecodeContext {
  /**
   * The file descriptor that travelled under this index.
   *
   * @throws UnpicklingError when the message brought no such descriptor.
   */
  handle(index: number): number
  /**
   * The same, for looking at it only: it stays the message's, which closes it in the end.
   *
   * @throws UnpicklingError likewise.
   */
  borrow(index: number): number
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

/** Where a function, a class or another export is found again: a module and the way from its exports. */
export interface Reference {
  /**
   * The module's URL, such as `file:///a/b.js` or `node:os`; `global:` stands for the global object. See
   * `module-imports.ts` for what else it may be.
   */
  readonly module: string
  /**
   * The names from the module's exports to the value, such as `['Parser', 'parse']`; none for the
   * module itself.
   */
  readonly path: readonly string[]
}

/** A value that a function captures by importing it: it travels as its reference. */
export class ImportedValue {
  declare readonly reference: Reference

  constructor(reference: Reference) {
    this.reference = reference
  }
}

/** A function or class taken apart, to travel by value. */
export interface FunctionParts {
  /** What it is apart from the values: the same text for each function made at the same place. */
  readonly definition: string
  /** What it is called. */
  readonly name: string
  /** What has to be there before the function or class can be made; `ImportedValue`s among them. */
  readonly needed: readonly unknown[]
  /** What it uses only when it runs; `ImportedValue`s among them. */
  readonly captured: readonly unknown[]
}

/** A function or class by value that is being rebuilt. */
export interface Rebuilding {
  readonly name: string
  /** How many values it has of either kind. */
  readonly needed: number
  readonly captured: number
  /** Makes it, if it can be made from what is needed only. */
  define(needed: readonly unknown[]): void
  /** Gives it the rest. */
  complete(captured: readonly unknown[]): void
  /**
   * The function, or what stands in for it until it is complete.
   *
   * @throws UnpicklingError when it could not be made, or is not defined yet.
   */
  value(): unknown
}

/** A variable that a function captures, for saying where something is. */
export interface CapturedVariable {
  readonly name: string
  readonly value: unknown
}

// The signature does not matter here: classes, arrow functions and generators all travel alike.
export type AnyFunction = Function

/** How functions and classes travel. */
export interface FunctionTransport {
  /**
   * Says where the function is found, or what it is made of.
   *
   * @param isClass - Whether instances of it travel.
   * @throws Error, with the reason, when it cannot be sent.
   */
  refer(fn: AnyFunction, isClass: boolean): Reference | FunctionParts
  /**
   * Finds the function, or what else was imported, again, synchronously.
   *
   * @throws Error when it is not there.
   */
  resolve(reference: Reference, anything: boolean): unknown
  /**
   * Begins to rebuild a function from its definition.
   *
   * @throws UnpicklingError when that is malformed.
   */
  rebuild(definition: string): Rebuilding
  /**
   * The variables that a function by value captures; none for others.
   *
   * @param evenNew - Whether to find out for functions that were never sent.
   */
  capturedBy(fn: AnyFunction, evenNew: boolean): readonly CapturedVariable[]
  /** Says why instances of a class cannot be rebuilt without its constructor; null when they can. */
  refuseInstances(constructor: AnyFunction): string | null
}

/** Whether what a reference names is a module that has to be imported. */
export const isImportable = (module: string): boolean =>
  !/^(?:global|own|meta|require|importer):/.test(module)

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

/** ArrayBuffers that travel in their own way. */
export interface BufferTransport {
  /** The reducer's name; nothing of a class of its own travels by it. */
  readonly name: string
  /** Whether the ArrayBuffer is one of those. */
  has(buffer: ArrayBufferLike): boolean
  reduce(buffer: ArrayBufferLike, context: EncodeContext): unknown
  rebuild(state: unknown, context: DecodeContext): ArrayBufferLike
}

/** How some ArrayBuffers travel in their own way; null as long as there are none. */
export let bufferTransport: BufferTransport | null = null

/** Says how such ArrayBuffers are rebuilt. */
export const registerBufferTransport = ({ name, rebuild }: BufferTransport): void => {
  const reduce = (): never => {
    throw new TypeError('only ArrayBuffers travel so')
  }
  byName.set(name, { prototype: {}, reducer: { name, trustedOnly: false, reduce, rebuild } })
}

/** From now on there may be such ArrayBuffers, so the encoder asks for each. */
export const useBufferTransport = (transport: BufferTransport): void => {
  bufferTransport = transport
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

/** What brings the reducers whose names begin so, up to a dot. */
const onDemand = new Map<string, () => void>()

/** Calls a function when a name is met for the first time that begins so, and nobody has registered. */
export const bringReducers = (prefix: string, bring: () => void): void => {
  onDemand.set(prefix, bring)
}

/** The reducer with this name. */
export const reducerNamed = (name: string): AnyReducer | undefined => {
  const known = byName.get(name) ?? (registerDeferred() ? byName.get(name) : undefined)
  if (known) return known.reducer
  const prefix = name.slice(0, Math.max(0, name.indexOf('.')))
  const bring = onDemand.get(prefix)
  if (!bring) return undefined
  bring()
  onDemand.delete(prefix)
  return reducerNamed(name)
}

const without = (what: string) => (): never => {
  throw new Error(`functions and classes cannot be ${what} here`)
}

const withoutTransport: FunctionTransport = {
  refer: without('sent'),
  resolve: without('received'),
  rebuild: without('received'),
  capturedBy: () => [],
  refuseInstances: () => null,
}

let transport = withoutTransport

/** Sets how functions and classes travel, from now on; what is left out is not possible then. */
export function installFunctionTransport(installed: Partial<FunctionTransport>): void {
  transport = { ...withoutTransport, ...installed }
}

/** How functions and classes travel now. */
export const functionTransport = (): FunctionTransport => transport
