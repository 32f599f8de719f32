/**
 * How functions and classes travel: by reference if they are exports, else by value; and how they are
 * found or made again.
 * @module
 */
import { type FunctionParts, installFunctionTransport, type Reference } from './codec/index.js'
import { UnpicklingError } from './errors.js'
import { exportSeenBy } from './exports.js'
import { knownParts, partsOrReference, variablesOf } from './function-values.js'
import {
  findWitness,
  importedAs,
  importedExport,
  importedModule,
  loadNow,
  OWN,
  specialOf,
  witnesses,
} from './module-imports.js'
import { managers } from './on-demand.js'
import { refuseInstances } from './private-fields.js'
import { rebuild } from './rebuild-function.js'

type AnyFunction = Function

/** What is known already; a function that is sent often costs one look-up. */
const references = new WeakMap<AnyFunction, Reference>()

/** The same the other way round, by {@link keyOf}. */
const resolved = new Map<string, AnyFunction>()

const keyOf = ({ module, path }: Reference): string => [module, ...path].join('\n')

const note = (fn: AnyFunction, reference: Reference): void => {
  references.set(fn, reference)
  resolved.set(keyOf(reference), fn)
}

const refer = (fn: AnyFunction, isClass: boolean): Reference | FunctionParts => {
  const known = references.get(fn) ?? exportOfImported(fn) ?? knownParts(fn, isClass)
  if (known) return known
  const found = partsOrReference(fn, isClass)
  if ('definition' in found) return found
  note(fn, found)
  if (!witnesses.has(found.module)) witnesses.set(found.module, fn)
  return found
}

/** Of modules that were imported for functions that came in, the exports are at hand. */
const exportOfImported = (fn: AnyFunction): Reference | undefined => {
  const reference = importedExport(fn)
  if (reference) note(fn, reference)
  return reference
}

const resolve = (reference: Reference, anything: boolean): unknown => {
  const { module, path } = reference
  const known = resolved.get(keyOf(reference)) ?? ownOnDemand(reference)
  if (known) return known
  const found = findIn(rootOf(reference), reference)
  if (typeof found === 'function') note(found, reference)
  else if (anything) {
    if (typeof found === 'object' && found !== null) importedAs.set(found, reference)
  } else {
    throw new UnpicklingError(`${module} exports ${path.join('.')}, which is no function or class`)
  }
  return found
}

/** What is our own and not known yet may be of managers, which note it down when they are loaded. */
const ownOnDemand = (reference: Reference): AnyFunction | undefined => {
  if (reference.module !== OWN) return undefined
  managers()
  return resolved.get(keyOf(reference))
}

/** What the path of a reference begins at. */
const rootOf = ({ module, path }: Reference): unknown => {
  const found = specialOf(module) ?? importedModule(module) ?? seenBy(witnesses.get(module), path)
  if (found) return found
  try {
    return loadNow(module)
  } catch (error) {
    const seen = seenBy(findWitness(module), path)
    if (seen === undefined) throw error
    return seen
  }
}

const seenBy = (witness: AnyFunction | undefined, [name]: readonly string[]): unknown => {
  const seen = witness && name !== undefined ? exportSeenBy(witness, name) : undefined
  return seen === undefined ? undefined : { [name!]: seen }
}

const findIn = (root: unknown, { module, path }: Reference): unknown => {
  let found = root
  for (const name of path) {
    const holder = Object(found)
    if (!(name in holder)) {
      throw new UnpicklingError(`${module} has no export ${path.join('.')}`)
    }
    found = holder[name]
  }
  return found
}

installFunctionTransport({ refer, resolve, rebuild, capturedBy: variablesOf, refuseInstances })

/** @internal What is found there has to be found again the next time. */
export const forgetFound = (reference: Reference): void => {
  resolved.delete(keyOf(reference))
}

/** Says where a function is found, which saves finding out. */
export const provideReference = (fn: AnyFunction, reference: Reference): void => note(fn, reference)

/** Has a function of this package found by its name, wherever the package is loaded. */
export const provideOwn = (fn: AnyFunction, name: string): void =>
  note(fn, { module: OWN, path: [name] })
