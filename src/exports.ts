/**
 * Finding the export that a function or class of the program is.
 * @module
 */
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { types } from 'node:util'
import type { Reference } from './codec/index.js'
import { type Origin, readVariable, type Script, withOrigin } from './inspection.js'
import { isRebuilt } from './rebuild-function.js'

type AnyFunction = Function

const require = createRequire(import.meta.url)

/** The module and export that a function with a source is; nothing when it is none. */
export const exportIn = (fn: AnyFunction, origin: Origin): Reference | undefined => {
  const { url } = origin.script
  if (!isFile(url) || isRebuilt(origin.script)) return undefined
  const path = isCommonJs(origin.script)
    ? pathInCommonJs(fn, url)
    : pathInModule(fn, origin.moduleVariables() ?? {}, origin)
  return path && { module: url, path }
}

/** Code given on the command line has a URL too, but no file. */
const isFile = (url: string): boolean =>
  url.includes(':') && !/\/\[(?:eval\d*|stdin)\]$/.test(decoded(url))

const decoded = (url: string): string => {
  try {
    return decodeURI(url)
  } catch {
    return url
  }
}

const fileOf = (url: string): string => (url.startsWith('file:') ? fileURLToPath(url) : url)

/** `require` keeps the ES modules it has loaded in the same place. */
const isCommonJs = ({ url, isModule }: Script): boolean => {
  if (isModule) return false
  const loaded = require.cache[fileOf(url)]
  return loaded !== undefined && !types.isModuleNamespaceObject(loaded.exports)
}

/** What a variable holds; nothing when it is not initialized yet. */
const valueOf = (variables: Record<string, unknown>, name: string): unknown =>
  readVariable(variables, name)?.value

interface ExportEntry {
  /** Where in the source the word `export` begins. */
  exportStart: number
  name?: string
  localName?: string
}

/**
 * The names of the module's variables are known even while it is still being evaluated, which the main
 * module is as a rule; under which names they are exported, its source says.
 */
const pathInModule = (
  fn: AnyFunction,
  variables: Record<string, unknown>,
  origin: Origin,
): string[] | undefined => {
  if (!couldBeExport(fn, variables, origin.script)) return undefined
  const entries = exportEntries(origin)
  for (const { name, localName } of entries) {
    if (name !== undefined && localName !== undefined && valueOf(variables, localName) === fn)
      return [name]
  }
  // A default export without a name of its own has no variable.
  const unnamed = entries.find(({ name, localName }) => name === 'default' && !localName)
  if (unnamed && isDefault(fn, variables, origin, unnamed.exportStart)) return ['default']
  for (const { name, localName } of entries) {
    const member = localName === undefined ? undefined : memberOf(valueOf(variables, localName), fn)
    if (name !== undefined && member !== undefined) return [name, member]
  }
  return undefined
}

/** Most closures are not: this saves looking at the exports, which takes some 5 ms the first time. */
const couldBeExport = (
  fn: AnyFunction,
  variables: Record<string, unknown>,
  { source }: Script,
): boolean =>
  /\bexport\s+default\b/.test(source) ||
  Object.keys(variables).some((name) => {
    const value = valueOf(variables, name)
    return value === fn || mayHold(value, fn)
  })

/** Whether a function is a member of something, as far as can be told without running code. */
const mayHold = (holder: unknown, fn: AnyFunction): boolean => {
  if (holder === null || (typeof holder !== 'object' && typeof holder !== 'function')) return false
  if (types.isProxy(holder)) return true
  if (Array.isArray(holder)) return holder.includes(fn)
  if (ArrayBuffer.isView(holder)) return false
  return Object.getOwnPropertyNames(holder).some((name) => {
    const descriptor = Object.getOwnPropertyDescriptor(holder, name)
    return descriptor?.value === fn || descriptor?.get !== undefined
  })
}

/** Whether a function is what a name stands for; variables that no function uses are not to be seen. */
const isDeclaredAs = (name: string, text: string, source: string, place: number): boolean => {
  const start = source.lastIndexOf(text, place)
  const before = source.slice(0, Math.max(0, start)).trimEnd()
  const declared = /(?:const|let|var)\s+([\p{ID_Start}$_][\p{ID_Continue}$]*)\s*=$/u.exec(
    before,
  )?.[1]
  const itself =
    /^(?:async\s+)?(?:function\s*\*?|class)\s+([\p{ID_Start}$_][\p{ID_Continue}$]*)/u.exec(
      text,
    )?.[1]
  return start >= 0 && (declared === name || itself === name)
}

/** Whether what stands behind `export default` is this function, or a variable that holds it. */
const isDefault = (
  fn: AnyFunction,
  variables: Record<string, unknown>,
  origin: Origin,
  exportStart: number,
): boolean => {
  const source = origin.script.source
  const name = /^export\s+default\s+([\p{ID_Start}$_][\p{ID_Continue}$]*)\s*(?:;|$|\n)/u.exec(
    source.slice(exportStart),
  )?.[1]
  const text = Function.prototype.toString.call(fn)
  if (name !== undefined)
    return valueOf(variables, name) === fn || isDeclaredAs(name, text, source, origin.place)
  const start = source.indexOf(text, exportStart)
  const { place } = origin
  const here = place >= start && place < start + text.length
  return here && /^export\s+default[\s(]*$/.test(source.slice(exportStart, start))
}

/**
 * What a module exports under a name, as one of its functions sees it: while the module is still being
 * evaluated, importing it would wait for what may be waiting for us. Nothing when it cannot be told.
 */
export const exportSeenBy = (fn: AnyFunction, exported: string): unknown =>
  withOrigin(fn, (origin) => {
    const variables = origin?.moduleVariables()
    if (!origin || !variables) return undefined
    const entry = exportEntries(origin).find(({ name }) => name === exported)
    return entry?.localName === undefined ? undefined : valueOf(variables, entry.localName)
  })

/** The names that a module's source says it exports. */
export const exportNamesIn = (script: Script): string[] =>
  entriesOf(script).flatMap(({ name }) => name ?? [])

const exportEntries = ({ script }: Origin): readonly ExportEntry[] => entriesOf(script)

const entriesOf = (script: Script): readonly ExportEntry[] => {
  let entries = exportsOf.get(script)
  if (!entries) {
    entries = /\bexport\b/.test(script.source) ? lexed(script.source)[1] : []
    exportsOf.set(script, entries)
  }
  return entries
}

const exportsOf = new WeakMap<Script, readonly ExportEntry[]>()

interface ImportEntry {
  type: string
  /** Where the word `import` begins. */
  importStart: number
}

type Lexer = { parse(source: string): [ImportEntry[], ExportEntry[]] }

/** The imports and exports of a source. */
const lexed = (source: string): [readonly ImportEntry[], readonly ExportEntry[]] => {
  // Its build without WebAssembly takes ten times as long to begin.
  const build = 'WebAssembly' in globalThis ? 'es-module-lexer' : 'es-module-lexer/js'
  return (require(build) as Lexer).parse(source)
}

/** Where in a source each `import()` begins. */
export const dynamicImportsIn = (source: string): number[] =>
  lexed(source)[0]
    .filter(({ type }) => type === 'dynamic')
    .map(({ importStart }) => importStart)

/** `import()` of such a module has what it exports as its default. */
const pathInCommonJs = (fn: AnyFunction, url: string): string[] | undefined => {
  const exports: unknown = require.cache[fileOf(url)]?.exports
  if (exports === fn) return ['default']
  const member = memberOf(exports, fn)
  return member === undefined ? undefined : ['default', member]
}

/** The name under which an object or class has a function as its own. */
const memberOf = (holder: unknown, fn: AnyFunction): string | undefined => {
  if (holder === null || (typeof holder !== 'object' && typeof holder !== 'function'))
    return undefined
  return Object.getOwnPropertyNames(holder).find((name) => {
    const descriptor = Object.getOwnPropertyDescriptor(holder, name)
    return (descriptor?.get ? safely(descriptor.get, holder) : descriptor?.value) === fn
  })
}

/** Compiled modules export through getters. */
const safely = (get: () => unknown, holder: object): unknown => {
  try {
    return get.call(holder)
  } catch {
    return undefined
  }
}
