/**
 * Functions and classes by reference: where one is exported from, and how to find it again there.
 * @module
 */
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { types } from 'node:util'
import { installFunctionTransport, type Reference } from './codec/index.js'
import { PicklingError, UnpicklingError } from './errors.js'
import { exportOf } from './exports.js'

type AnyFunction = Function

/** What is known already; a function that is sent often costs one look-up. */
const references = new WeakMap<AnyFunction, Reference>()

/** Modules this environment has imported for functions that came in. */
const modules = new Map<string, Record<string, unknown>>()

const require = createRequire(import.meta.url)

const isGlobal = (module: string): boolean => module === 'global:'
const isBuiltin = (module: string): boolean => module.startsWith('node:')

/**
 * Imports modules that are not loaded yet, one after the other. Returns nothing when there are none,
 * so that what follows can go on at once.
 */
export const importModules = (urls: readonly string[]): Promise<void> | undefined => {
  const missing = urls.filter((url) => !modules.has(url) && !isGlobal(url))
  return missing.length === 0 ? undefined : importAll(missing)
}

const importAll = async (urls: readonly string[]): Promise<void> => {
  try {
    for (const url of urls) {
      if (isCommonJs(url)) loadNow(url)
      else modules.set(url, await import(url))
    }
  } catch (cause) {
    throw new UnpicklingError(`cannot import ${urls.join(', ')}: ${messageOf(cause)}`, { cause })
  }
}

const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error)

/** Surely CommonJS, which is loaded without starting the loader of ES modules. */
const isCommonJs = (url: string): boolean => url.startsWith('file:') && url.endsWith('.cjs')

/** A module that is needed by somebody who cannot wait. */
const loadNow = (url: string): Record<string, unknown> => {
  try {
    const loaded = require(isBuiltin(url) ? url : fileURLToPath(url))
    const namespace = types.isModuleNamespaceObject(loaded)
      ? loaded
      : { ...loaded, default: loaded }
    modules.set(url, namespace)
    return namespace
  } catch (cause) {
    const how = (cause as { code?: string }).code === 'ERR_REQUIRE_ASYNC_MODULE'
    const advice = how ? '; it has a top-level await: receive with the Promise form' : ''
    throw new UnpicklingError(`cannot import ${url}: ${messageOf(cause)}${advice}`, { cause })
  }
}

const refer = (fn: AnyFunction): Reference => {
  const known = references.get(fn)
  if (known) return known
  const reference = exportOf(fn)
  references.set(fn, reference)
  return reference
}

const resolve = ({ module, path }: Reference): unknown => {
  let found: unknown = isGlobal(module) ? globalThis : (modules.get(module) ?? loadNow(module))
  for (const name of path) {
    const holder = Object(found)
    if (!(name in holder)) {
      throw new UnpicklingError(`${module} has no export ${path.join('.')}`)
    }
    found = holder[name]
  }
  if (typeof found !== 'function') {
    throw new UnpicklingError(`${module} exports ${path.join('.')}, which is no function or class`)
  }
  references.set(found, { module, path })
  return found
}

installFunctionTransport({ refer, resolve })

/** Says where a function of this package is found, which saves finding out. */
export const provideReference = (fn: AnyFunction, reference: Reference): void => {
  references.set(fn, reference)
}

/** Where a function or class is exported from; {@link PicklingError} when it is not. */
export const referenceOf = (fn: AnyFunction): Reference => {
  if (typeof fn !== 'function') throw new PicklingError(`${String(fn)} is no function`)
  return refer(fn)
}
