/**
 * Importing the modules that what came in needs, and what functions by value need of their own module:
 * its `import()`, `import.meta` and `require`.
 *
 * What stands for a module on the wire is its URL, or one of these:
 *
 * | | |
 * |---|---|
 * | `global:` | the global object |
 * | `own:` | the functions of this package that are found without importing anything |
 * | specifier, newline, URL | what importing the specifier gives in the module at that URL |
 * | `meta:` URL | the `import.meta` of that module |
 * | `importer:` URL | a function that does what `import()` does in that module |
 * | `require:` URL | a function that does what `require()` does there |
 * @module
 */
import { realpathSync } from 'node:fs'
import { createRequire, Module } from 'node:module'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { types } from 'node:util'
import type { Reference } from './codec/index.js'
import { RuntimeError, UnpicklingError } from './errors.js'
import type * as ImportModule from './import-module.js'
import { isMainProcess, whileImporting } from './process-state.js'

type AnyFunction = Function

/** What stands for this package. */
export const OWN = 'own:'

/** For each module that functions were sent from, one of them: through it the others are found. */
export const witnesses = new Map<string, AnyFunction>()

let functionOf: ((url: string) => AnyFunction | undefined) | undefined

/** @internal Says how a function is found of a module that is loaded and that nobody has sent one from. */
export const setFunctionFinder = (find: typeof functionOf): void => {
  functionOf = find
}

/** Looks for a function of a module, where it may be loaded and never come to the end of its evaluation. */
export const findWitness = (url: string): AnyFunction | undefined => {
  const witness = witnesses.get(url) ?? (url.startsWith('file:') ? functionOf?.(url) : undefined)
  if (witness) witnesses.set(url, witness)
  return witness
}

/** Modules this environment has imported for functions that came in. */
const modules = new Map<string, Record<string, unknown>>()

const require = createRequire(import.meta.url)

const isBuiltin = (module: string): boolean => module.startsWith('node:')

/** Where a function is exported from, if it is from a module that was imported here. */
export const importedExport = (fn: unknown): Reference | undefined => {
  for (const [module, namespace] of modules) {
    for (const name of Object.keys(namespace)) {
      const value = exportIn(namespace, name)
      if (value === fn) return { module, path: [name] }
      if (name !== 'default' || typeof value !== 'object' || value === null) continue
      for (const [member, { value: own }] of Object.entries(
        Object.getOwnPropertyDescriptors(value),
      )) {
        if (own === fn) return { module, path: [name, member] }
      }
    }
  }
  return undefined
}

/** It may not be initialized yet. */
const exportIn = (namespace: Record<string, unknown>, name: string): unknown => {
  try {
    return namespace[name]
  } catch {
    return undefined
  }
}

/** A module that this environment has imported for something that came in. */
export const importedModule = (url: string): Record<string, unknown> | undefined => modules.get(url)

/**
 * Imports modules that are not loaded yet, one after the other. Returns nothing when there are none,
 * so that what follows can go on at once.
 */
export const importModules = (urls: readonly string[]): Promise<void> | undefined => {
  const missing = urls.filter((url) => !modules.has(url))
  return missing.length === 0 ? undefined : whileImporting(() => importAll(missing))
}

const importAll = async (urls: readonly string[]): Promise<void> => {
  try {
    for (const url of urls) {
      if (witnesses.has(url)) {
        await importAtOnce(url)
        continue
      }
      if (isInCopy(url)) continue
      const failure = isQuick(url) ? loadQuickly(url) : undefined
      if (modules.has(url)) continue
      if (findWitness(url)) {
        await importAtOnce(url)
        continue
      }
      if (failure) throw failure.error
      modules.set(url, await importInTime(url))
    }
  } catch (cause) {
    throw cannotImport(urls.join(', '), cause)
  }
}

/**
 * Whether a module is here because this process is a copy, and `import()` or `require` would not give it:
 * they would ask a loader that only the parent has, or evaluate it again.
 */
const isInCopy = (url: string): boolean => {
  if (functionOf === undefined || !url.startsWith('file:')) return false
  const exports: unknown = require.cache[fileURLToPath(url)]?.exports
  if (isCommonJs(exports)) {
    loadNow(url)
    return true
  }
  return !isPlain(url) && findWitness(url) !== undefined
}

/** Node begins some ES modules as CommonJS, with nothing that they export. */
const isCommonJs = (exports: unknown): boolean =>
  typeof exports === 'function' ||
  (!types.isModuleNamespaceObject(exports) && Object.keys(Object(exports)).length > 0)

/** Whether a module is loaded by the runtime alone, and from where its URL says. */
const isPlain = (url: string): boolean => {
  try {
    const path = fileURLToPath(url)
    return !hasLoaders() && realpathSync(path) === path
  } catch {
    return false
  }
}

/** What was wrong, with what it was wrong with. A module that starts processes unguarded is told so plainly. */
const cannotImport = (what: string, cause: unknown, advice = ''): unknown =>
  cause instanceof RuntimeError ||
  (cause instanceof UnpicklingError && cause.message.startsWith('cannot import'))
    ? cause
    : new UnpicklingError(`cannot import ${what}: ${messageOf(cause)}${advice}`, { cause })

/**
 * A module that functions were sent from is loaded, and imported in no time; unless it is still being
 * evaluated, at a top-level await for what we are to bring perhaps. Then its functions are looked for
 * through the one we know.
 */
const importAtOnce = async (url: string): Promise<void> => {
  if (underWay.has(url) || (functionOf && !isPlain(url))) return
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
  const [specifier, parent] = partsOf(url)
  if (parent !== undefined) return importerOf(parent)(specifier)
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
  error instanceof Error ? error.message.replace(BY_US, '') : String(error)

/** What `require` adds where it was only this package that asked. */
const BY_US = /\nRequire stack:\n- [^\n]*\bmultiprocessing\.cjs$/

/**
 * Whether a module can be tried with `require`, which spares the start of the loader of ES modules, some
 * 4 ms: plain JavaScript, and nobody between it and the runtime.
 */
const isQuick = (url: string): boolean => /^file:[^?#]*\.[cm]?js$/.test(url) && !hasLoaders()

let loaders: boolean | undefined

/** Whether something stands between modules and the runtime. */
export const hasLoaders = (): boolean => {
  loaders ??= [...process.execArgv, process.env.NODE_OPTIONS ?? ''].some((option) =>
    /(?:^|\s)(?:--(?:import|require|loader|experimental-loader|experimental-default-type)|-r)\b/.test(
      option,
    ),
  )
  return loaders
}

/** One with a top-level await cannot be had this way; nothing of it has run then, and it is no failure. */
const loadQuickly = (url: string): { error: unknown } | undefined => {
  try {
    // What `require` gives is not always what the module exports: an ES module may say otherwise.
    if (!types.isModuleNamespaceObject(loadNow(url)) && !url.endsWith('.cjs')) modules.delete(url)
    return undefined
  } catch (error) {
    return isAsync(error) ? undefined : { error }
  }
}

const isAsync = (error: unknown): boolean =>
  error instanceof UnpicklingError &&
  /^ERR_REQUIRE_(?:ASYNC_MODULE|ESM)$/.test((error.cause as { code?: string })?.code ?? '')

/** A module that is needed by somebody who cannot wait. */
export const loadNow = (url: string): Record<string, unknown> => {
  try {
    const [specifier, parent] = partsOf(url)
    const loaded =
      parent === undefined
        ? require(isBuiltin(url) ? url : fileURLToPath(url))
        : createRequire(parent)(specifier)
    const namespace = types.isModuleNamespaceObject(loaded) ? loaded : namespaceOf(loaded)
    modules.set(url, namespace)
    return namespace
  } catch (cause) {
    const how = (cause as { code?: string } | null)?.code === 'ERR_REQUIRE_ASYNC_MODULE'
    const advice = how ? '; it has a top-level await: receive with the Promise form' : ''
    throw cannotImport(url, cause, advice)
  }
}

/** What `import()` would give of a module that is none, more or less. */
const namespaceOf = (exports: unknown): Record<string, unknown> => {
  const holder = typeof exports === 'object' || typeof exports === 'function' ? exports : null
  return Object.create(holder, { default: { value: exports, enumerable: true } })
}

/** What objects that were imported for functions by value are the export of. */
export const importedAs = new WeakMap<object, Reference>()

/** What stands for what a specifier means in a module. */
export const entryOf = (specifier: string, parent: string): string => {
  if (specifier.startsWith('node:') || Module.isBuiltin(specifier)) {
    return `node:${specifier.replace(/^node:/, '')}`
  }
  // A loader may see in a relative specifier what the URL alone does not say.
  const plain = /^(?:\.{0,2}\/|[a-z][a-z\d+.-]+:)/i.test(specifier) && !hasLoaders()
  return plain ? new URL(specifier, parent).href : `${specifier}\n${parent}`
}

const partsOf = (entry: string): [specifier: string, parent: string | undefined] => {
  const [specifier, parent] = entry.split('\n', 2) as [string, string?]
  return [specifier, parent]
}

/** Does what `import()` does in a module. */
export type Importer = (specifier: unknown, options?: unknown) => Promise<Record<string, unknown>>

const importers = new Map<string, Importer>()
/** The other way round, for what is made here and sent on. */
const basesOf = new WeakMap<object, string>()

/** The `import()` of the module at this URL. */
export const importerOf = (base: string): Importer => {
  let importer = importers.get(base)
  if (importer) return importer
  // Code compiled as a module's own is the one kind whose `import()` needs no flag and gives no warning.
  const path = base.startsWith('file:') ? fileURLToPath(base) : base
  const module = new Module(path) as Module & { _compile(code: string, path: string): unknown }
  module.filename = path
  module._compile('exports.importer = (specifier, options) => import(specifier, options)', path)
  importer = (module.exports as { importer: Importer }).importer
  importers.set(base, importer)
  basesOf.set(importer, `importer:${base}`)
  return importer
}

const metas = new Map<string, object>()

/** The `import.meta` of the module at this URL. */
export const importMetaOf = (url: string): object => {
  let meta = metas.get(url)
  if (meta) return meta
  meta = Object.assign(Object.create(null) as object, {
    ...(url.startsWith('file:') && {
      dirname: fileURLToPath(new URL('.', url)).replace(/(?<=.)[\\/]$/, ''),
      filename: fileURLToPath(url),
    }),
    resolve: (specifier: string): string => resolveFrom(specifier, url),
    url,
  })
  metas.set(url, meta)
  basesOf.set(meta, `meta:${url}`)
  return meta
}

const resolveFrom = (specifier: string, parent: string): string => {
  if (/^(?:\.{0,2}\/|[a-z][a-z\d+.-]+:)/i.test(specifier)) return new URL(specifier, parent).href
  const found = createRequire(parent).resolve(specifier)
  return Module.isBuiltin(found) ? `node:${found.replace(/^node:/, '')}` : pathToFileURL(found).href
}

const requires = new Map<string, NodeJS.Require>()

const requireOf = (base: string): NodeJS.Require => {
  let made = requires.get(base)
  if (made) return made
  made = createRequire(base)
  requires.set(base, made)
  basesOf.set(made, `require:${base}`)
  return made
}

/** What a function or object that belongs to a module stands for on the wire, if it is one. */
export const moduleEntryOf = (value: object): string | undefined =>
  basesOf.get(value) ?? (typeof value === 'function' ? requireEntry(value) : undefined)

/** A `require` does not say whose it is, but where it looks first. */
const requireEntry = (value: Function): string | undefined => {
  if (value.name !== 'require') return undefined
  const { cache, resolve } = value as NodeJS.Require
  if (cache !== require.cache || typeof resolve?.paths !== 'function') return undefined
  const first = resolve.paths('a')?.[0]
  if (first === undefined) return undefined
  const entry = `require:${pathToFileURL(first.replace(/node_modules$/, '_')).href}`
  basesOf.set(value, entry)
  return entry
}

/** What an entry that is no module stands for; nothing for modules. */
export const specialOf = (entry: string): unknown => {
  const [, kind, base] = /^(global|meta|importer|require):(.*)$/s.exec(entry) ?? []
  if (kind === undefined) return undefined
  if (kind === 'global') return globalThis
  if (kind === 'meta') return importMetaOf(base!)
  return kind === 'importer' ? importerOf(base!) : requireOf(base!)
}
