/**
 * What kind of object something is, judged by its prototype and remembered for it.
 * @module
 */
import { types } from 'node:util'
import { ERROR_CLASSES, VIEW_CLASSES } from './builtins.js'
import { onRegister, type Reducer, reducerOf, registeredFor } from './reducers.js'

export const PLAIN = 0
export const ARRAY_KIND = 1
export const MAP_KIND = 2
export const SET_KIND = 3
export const DATE_KIND = 4
export const REGEXP_KIND = 5
export const VIEW_KIND = 6
export const ARRAY_BUFFER_KIND = 7
export const ERROR_KIND = 8
export const BOXED_KIND = 9
export const URL_KIND = 10
export const URL_SEARCH_PARAMS_KIND = 11
export const DOM_EXCEPTION_KIND = 12
export const INSTANCE_KIND = 13
export const REDUCED_KIND = 14
export const REFUSED_KIND = 15

/** What the encoder has to know about objects with one prototype. */
export interface Kind {
  /** One of the constants above. */
  readonly code: number
  /** For views and errors, the number of the class on the wire. */
  readonly number: number
  /** For `INSTANCE_KIND`, the built-in underneath. */
  readonly base: Kind | null
  readonly reducer: Reducer<object> | null
  /** For `REFUSED_KIND`, why. */
  readonly reason: string
}

const kind = (code: number, details: Partial<Kind> = {}): Kind => ({
  code,
  number: details.number ?? 0,
  base: details.base ?? null,
  reducer: details.reducer ?? null,
  reason: details.reason ?? '',
})

const refused = (reason: string): Kind => kind(REFUSED_KIND, { reason })

const PLAIN_BASE = kind(PLAIN)

const builtins = new Map<object, Kind>([
  [Object.prototype, PLAIN_BASE],
  [Array.prototype, kind(ARRAY_KIND)],
  [Map.prototype, kind(MAP_KIND)],
  [Set.prototype, kind(SET_KIND)],
  [Date.prototype, kind(DATE_KIND)],
  [RegExp.prototype, kind(REGEXP_KIND)],
  [ArrayBuffer.prototype, kind(ARRAY_BUFFER_KIND)],
  [Number.prototype, kind(BOXED_KIND)],
  [String.prototype, kind(BOXED_KIND)],
  [Boolean.prototype, kind(BOXED_KIND)],
  [BigInt.prototype, kind(BOXED_KIND)],
  [Symbol.prototype, kind(BOXED_KIND)],
  [URL.prototype, kind(URL_KIND)],
  [URLSearchParams.prototype, kind(URL_SEARCH_PARAMS_KIND)],
])
VIEW_CLASSES.forEach((view, number) => {
  if (view !== null) builtins.set(view.prototype, kind(VIEW_KIND, { number }))
})
ERROR_CLASSES.forEach((constructor, number) => {
  builtins.set(constructor.prototype, kind(ERROR_KIND, { number }))
})

const prototypeOf = (value: object): object => Object.getPrototypeOf(value) as object
const state = 'its state belongs to the process it is in'
const shared =
  'a SharedArrayBuffer cannot be shared with another process; send a copy of what it holds'
builtins.set(SharedArrayBuffer.prototype, refused(shared))
builtins.set(Promise.prototype, refused(`a Promise cannot be sent: ${state}; await it first`))
for (const constructor of [WeakMap, WeakSet, WeakRef, FinalizationRegistry]) {
  builtins.set(constructor.prototype, refused(`a ${constructor.name} cannot be sent: ${state}`))
}
// Generators and the iterators of the language inherit from these two.
builtins.set(
  prototypeOf(prototypeOf([][Symbol.iterator]())),
  refused(`an iterator or generator cannot be sent: ${state}; send an array of what it yields`),
)
builtins.set(
  prototypeOf(prototypeOf(prototypeOf((async function* () {})()))),
  refused(`an async generator cannot be sent: ${state}`),
)

const nameOf = (prototype: object): unknown => {
  const constructor: unknown = Object.getOwnPropertyDescriptor(prototype, 'constructor')?.value
  return typeof constructor === 'function' ? constructor.name : undefined
}

/** Finds the local twin of a built-in that comes from another realm, such as a `vm` context. */
const twin = (prototype: object, value: object): Kind | undefined => {
  const name = nameOf(prototype)
  if (
    name === 'Object' &&
    Object.getPrototypeOf(prototype) === null &&
    Object.hasOwn(prototype, 'isPrototypeOf')
  ) {
    return PLAIN_BASE
  }
  const genuine =
    Array.isArray(value) ||
    types.isMap(value) ||
    types.isSet(value) ||
    types.isDate(value) ||
    types.isRegExp(value) ||
    types.isAnyArrayBuffer(value) ||
    ArrayBuffer.isView(value) ||
    types.isBoxedPrimitive(value) ||
    types.isNativeError(value) ||
    types.isPromise(value) ||
    types.isWeakMap(value) ||
    types.isWeakSet(value)
  if (!genuine) return undefined
  for (const [local, found] of builtins) {
    if (nameOf(local) === name && local !== Object.prototype) return found
  }
  return undefined
}

const isLocal = (prototype: object): boolean => {
  let at: object | null = prototype
  while (at !== null && at !== Object.prototype) at = Object.getPrototypeOf(at) as object | null
  return at !== null
}

const builtin = (prototype: object): Kind | undefined => {
  // Looked up by name first: Node loads the class when the global is touched.
  if (nameOf(prototype) === 'DOMException' && prototype === DOMException.prototype) {
    return kind(DOM_EXCEPTION_KIND)
  }
  return builtins.get(prototype)
}

const judge = (prototype: object, value: object): Kind => {
  if (types.isModuleNamespaceObject(value)) return refused('a module namespace cannot be sent')
  if (types.isExternal(value)) return refused('a native pointer cannot be sent')
  // Deferred reducers are for classes that are unknown so far, so a built-in must not bring them in.
  const exact = registeredFor(prototype) === undefined ? builtin(prototype) : undefined
  if (exact !== undefined) return exact
  const reducer = reducerOf(prototype)
  if (reducer !== undefined) return kind(REDUCED_KIND, { reducer })
  const foreign = !isLocal(prototype)
  for (let at: object | null = prototype; at !== null; at = Object.getPrototypeOf(at)) {
    const base = builtins.get(at) ?? (foreign ? twin(at, value) : undefined)
    if (base === undefined) continue
    if (base.code === REFUSED_KIND || (foreign && at === prototype)) return base
    return kind(INSTANCE_KIND, { base })
  }
  return kind(INSTANCE_KIND, { base: PLAIN_BASE })
}

let known = new WeakMap<object, Kind>()
let lastPrototype: object | null = null
let lastKind: Kind = PLAIN_BASE

onRegister.push(() => {
  known = new WeakMap()
  lastPrototype = null
})

/** The kind of an object with this prototype. */
export const kindOf = (prototype: object, value: object): Kind => {
  if (prototype === lastPrototype) return lastKind
  let found = known.get(prototype)
  if (found === undefined) {
    found = judge(prototype, value)
    known.set(prototype, found)
  }
  lastPrototype = prototype
  lastKind = found
  return found
}
