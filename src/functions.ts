/**
 * Functions and classes by reference: where one is exported from, and how to find it again there.
 * @module
 */
import { createRequire } from 'node:module'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { types } from 'node:util'
import { installFunctionTransport, type Reference } from './codec/index.js'
import { UnpicklingError } from './errors.js'
import { exportOf, exportSeenBy } from './exports.js'
import type * as ImportModule from './import-module.js'
import { isMainProcess, whileImporting } from './process-state.js'

type AnyFunction = Function

/** What is known already; a function that is sent often costs one look-up. */
const references = new WeakMap<AnyFunction, Reference>()

/** The same the other way round, by {@link keyOf}. */
const resolved = new Map<string, AnyFunction>()

/** For each module that functions were sent from, one of them: through it the others are found. */
const witnesses = new Map<string, AnyFunction>()

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
  return missing.length === 0 ? undefined : whileImporting(() => importAll(missing))
}

const importAll = async (urls: readonly string[]): Promise<void> => {
  try {
    for (const url of urls) {
      if (witnesses.has(url)) {
        await importAtOnce(url)
        continue
      }
      if (isQuick(url)) loadQuickly(url)
      if (!modules.has(url)) modules.set(url, await importInTime(url))
    }
  } catch (cause) {
    throw new UnpicklingError(`cannot import ${urls.join(', ')}: ${messageOf(cause)}`, { cause })
  }
}

/**
 * A module that functions were sent from is loaded, and imported in no time; unless it is still being
 * evaluated, at a top-level await for what we are to bring perhaps. Then its functions are looked for
 * through the one we know.
 */
const importAtOnce = async (url: string): Promise<void> => {
  if (underWay.has(url)) return
  underWay.add(url)
  const { importModule } = require('./import-module.cjs') as typeof ImportModule
  let timer: NodeJS.Timeout | undefined
  const imported = importModule(url).then(
    (namespace) => void modules.set(url, namespace),
    () => {},
  )
  const patience = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, SHORT_PATIENCE)
  })
  await Promise.race([imported, patience])
  clearTimeout(timer)
}

/** Modules whose import has begun and may be waiting for their evaluation. */
const underWay = new Set<string>()

/** How long such an import is waited for, once, in milliseconds. */
const SHORT_PATIENCE = 50

/** How long a module that is loaded already may take to be imported, in milliseconds. */
const PATIENCE = 1000

/**
 * The main module is loaded. If it is still being evaluated, at a top-level await for something that we
 * are to bring, importing it would never end.
 */
const importInTime = async (url: string): Promise<Record<string, unknown>> => {
  const main = process.argv[1]
  const { importModule } = require('./import-module.cjs') as typeof ImportModule
  if (!isMainProcess || main === undefined || url !== pathToFileURL(main).href)
    return importModule(url)
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    const why =
      'it is the main module, which is waiting at a top-level await; export this from another one'
    timer = setTimeout(() => reject(new UnpicklingError(why)), PATIENCE)
  })
  return Promise.race([importModule(url), late]).finally(() => clearTimeout(timer))
}

const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error)

/**
 * Whether a module can be tried with `require`, which spares the start of the loader of ES modules, some
 * 4 ms: plain JavaScript, and nobody between it and the runtime.
 */
const isQuick = (url: string): boolean => /^file:[^?#]*\.[cm]?js$/.test(url) && !hasLoaders()

let loaders: boolean | undefined

const hasLoaders = (): boolean => {
  loaders ??= [...process.execArgv, process.env.NODE_OPTIONS ?? ''].some((option) =>
    /(?:^|\s)(?:--(?:import|require|loader|experimental-loader|experimental-default-type)|-r)\b/.test(
      option,
    ),
  )
  return loaders
}

/** One with a top-level await cannot be had this way; nothing of it has run then. */
const loadQuickly = (url: string): void => {
  try {
    // What `require` gives is not always what the module exports: an ES module may say otherwise.
    if (!types.isModuleNamespaceObject(loadNow(url)) && !url.endsWith('.cjs')) modules.delete(url)
  } catch (error) {
    if (!isAsync(error)) throw error
  }
}

const isAsync = (error: unknown): boolean =>
  error instanceof UnpicklingError &&
  /^ERR_REQUIRE_(?:ASYNC_MODULE|ESM)$/.test((error.cause as { code?: string })?.code ?? '')

/** A module that is needed by somebody who cannot wait. */
const loadNow = (url: string): Record<string, unknown> => {
  try {
    const loaded = require(isBuiltin(url) ? url : fileURLToPath(url))
    const namespace = types.isModuleNamespaceObject(loaded) ? loaded : { default: loaded }
    modules.set(url, namespace)
    return namespace
  } catch (cause) {
    const how = (cause as { code?: string }).code === 'ERR_REQUIRE_ASYNC_MODULE'
    const advice = how ? '; it has a top-level await: receive with the Promise form' : ''
    throw new UnpicklingError(`cannot import ${url}: ${messageOf(cause)}${advice}`, { cause })
  }
}

const keyOf = ({ module, path }: Reference): string => [module, ...path].join('\n')

const note = (fn: AnyFunction, reference: Reference): void => {
  references.set(fn, reference)
  resolved.set(keyOf(reference), fn)
}

const refer = (fn: AnyFunction): Reference => {
  const known = references.get(fn)
  if (known) return known
  const reference = exportOf(fn)
  note(fn, reference)
  if (!witnesses.has(reference.module)) witnesses.set(reference.module, fn)
  return reference
}

const resolve = (reference: Reference): unknown => {
  const known = resolved.get(keyOf(reference))
  if (known) return known
  const { module, path } = reference
  const found = findIn(rootOf(reference), reference)
  if (typeof found !== 'function') {
    throw new UnpicklingError(`${module} exports ${path.join('.')}, which is no function or class`)
  }
  note(found, reference)
  return found
}

/** What the path of a reference begins at. */
const rootOf = ({ module, path }: Reference): unknown => {
  if (isGlobal(module)) return globalThis
  const imported = modules.get(module)
  if (imported) return imported
  const witness = witnesses.get(module)
  const seen = witness && exportSeenBy(witness, path[0]!)
  return seen === undefined ? loadNow(module) : { [path[0]!]: seen }
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

installFunctionTransport({ refer, resolve })

/** Says where a function of this package is found, which saves finding out. */
export const provideReference = (fn: AnyFunction, reference: Reference): void => note(fn, reference)
