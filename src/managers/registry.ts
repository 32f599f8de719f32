/**
 * What a class of managers knows of its types.
 * @module
 */
import { exposed, factories, referentOf, returned } from './types.js'

/** What a type is, as its manager's class was told. */
export interface Registered {
  /** What makes its referents; null where only the server knows. */
  readonly callable: ((...args: any[]) => unknown) | null
  /** The methods that may be called; null for all public ones. */
  readonly exposed: readonly string[] | null
  /** Which of them return something to be shared, and of which type. */
  readonly methodToTypeid: Readonly<Record<string, string>> | null
}

/** The types of a class of managers, by name; `builtin` is one of the package's. */
export type RegisteredTypes = Readonly<Record<string, Registered | 'builtin'>>

const acquirers = new Set(['Lock', 'RLock', 'Semaphore', 'BoundedSemaphore'])

/** What the package knows of one of its own types. */
const builtin = (typeid: string): Registered => {
  const name = acquirers.has(typeid) ? 'Acquirer' : typeid === 'JoinableQueue' ? 'Queue' : typeid
  return {
    callable: factories[typeid] ?? null,
    exposed: exposed[name as keyof typeof exposed],
    methodToTypeid: returned[typeid] ?? null,
  }
}

/** What is known of a type. */
export const registered = (types: RegisteredTypes, typeid: string): Registered | undefined => {
  if (!Object.hasOwn(types, typeid)) return undefined
  const found = types[typeid]
  return found === 'builtin' ? builtin(typeid) : found
}

/** The names of an object's methods. Mirrors `managers.all_methods`. */
export const allMethods = (object: unknown): string[] => {
  const names = new Set<string>()
  const own = (typeof object === 'object' && object !== null) || typeof object === 'function'
  for (
    let at = own ? object : null;
    at && at !== Object.prototype;
    at = Object.getPrototypeOf(at)
  ) {
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(at))) {
      if (typeof value === 'function' && name !== 'constructor') names.add(name)
    }
  }
  return [...names]
}

/**
 * The names of an object's methods that do not begin with `_`. Mirrors `managers.public_methods`.
 */
export const publicMethods = (object: unknown): string[] =>
  allMethods(object).filter((name) => !name.startsWith('_'))

/** A new referent, and which of its methods may be called. */
export const prepared = (
  object: unknown,
  methods: readonly string[] | null,
): [object: unknown, exposed: readonly string[]] => {
  const allowed = methods ?? publicMethods(object)
  return [referentOf(object, allowed), allowed]
}
