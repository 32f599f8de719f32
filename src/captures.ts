/**
 * The values of the variables that a function captures, as they travel: what was imported by where it
 * comes from, everything else as it is.
 * @module
 */
import { builtinModules, createRequire, Module } from 'node:module'
import { pathToFileURL } from 'node:url'
import { types } from 'node:util'
import { functionTransport, ImportedValue } from './codec/index.js'
import { PicklingError } from './errors.js'
import { exportNamesIn } from './exports.js'
import { type Origin, readVariable, type Scope, withOrigin } from './inspection.js'
import { entryOf, importedAs, moduleEntryOf } from './module-imports.js'

const require = createRequire(import.meta.url)

/** A variable that a function captures. */
export interface Capture {
  readonly name: string
  /** Whether it never changes once it has its value. */
  readonly constant: boolean
  /** The specifier and name, when an import declaration binds it; `*` stands for the namespace. */
  readonly importedFrom: string | null
  readonly importedName: string | null
}

const isGlobal = ({ description }: Scope): boolean => description.startsWith('Global')

/** Whether a variable is one of those around a function. */
export const isSeen = (scopes: readonly Scope[], name: string): boolean =>
  scopes.some((scope) => !isGlobal(scope) && has(scope.object, name))

const has = (scope: Record<string, unknown>, name: string): boolean => {
  try {
    return Object.hasOwn(scope, name)
  } catch {
    // It is there, and not initialized.
    return true
  }
}

/** What programs given on the command line, and the REPL, find among the globals. */
const PROVIDED: ReadonlySet<string> = new Set([
  'require',
  'module',
  'exports',
  '__filename',
  '__dirname',
])

/** Whether a global is one of the program and not of the runtime, so that others do not have it. */
export const isOwnGlobal = (name: string): boolean => {
  const descriptor = Object.getOwnPropertyDescriptor(globalThis, name)
  if (descriptor === undefined) return false
  if (PROVIDED.has(name) || builtinModules.includes(name)) return name !== 'process'
  // What a script declares cannot be deleted; of the language's own globals that is true of three.
  return !descriptor.configurable && !/^(?:undefined|NaN|Infinity)$/.test(name)
}

const NOT_INITIALIZED = 'which is not initialized yet'

/** The present value of a captured variable, as it travels. */
export const valueOf = (capture: Capture, origin: Origin): unknown => {
  const { name } = capture
  const scope = origin.scopes().find((each) => !isGlobal(each) && has(each.object, name))
  if (scope === undefined && !Object.hasOwn(globalThis, name)) {
    throw refusal(name, 'which can no longer be seen')
  }
  if (scope === undefined && builtinModules.includes(name)) {
    return new ImportedValue({ module: `node:${name}`, path: ['default'] })
  }
  const found = readVariable(scope?.object ?? (globalThis as Record<string, unknown>), name)
  if (found === undefined) throw refusal(name, NOT_INITIALIZED)
  if (capture.importedFrom !== null) {
    return importedValue(capture, capture.importedFrom, found.value, origin)
  }
  return asModule(found.value, name)
}

const refusal = (name: string, why: string): PicklingError =>
  new PicklingError(`captures ${name}, ${why}`)

const importedValue = (
  { importedName }: Capture,
  specifier: string,
  value: unknown,
  { script }: Origin,
): unknown => {
  // A file of data is imported in a way of its own; what it holds can be sent.
  if (/\.(?:json|wasm)(?:[?#]|$)/.test(specifier)) return value
  const module = entryOf(specifier, script.url)
  if (typeof value === 'function' && !module.startsWith('node:') && isReferable(value)) return value
  return new ImportedValue({
    module,
    path: importedName === '*' ? [] : [importedName ?? 'default'],
  })
}

const isReferable = (fn: Function): boolean => {
  try {
    return 'module' in functionTransport().refer(fn, false)
  } catch {
    return false
  }
}

/** A value; or, if it is what a module exports, that module. */
export const asModule = (value: unknown, name: string): unknown => {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return value
  const entry = moduleEntryOf(value)
  if (entry !== undefined) return new ImportedValue({ module: entry, path: [] })
  if (typeof value === 'function') return value
  if (value instanceof Module) {
    throw refusal(name, 'the record of a module; capture what it exports instead')
  }
  const reference = globalAs(value) ?? importedAs.get(value) ?? exportsOf(value)
  return reference ? new ImportedValue(reference) : value
}

/** Objects that every process has of its own, and that are more than what they hold. */
const NAMESPACES = [
  'Atomics',
  'Intl',
  'JSON',
  'Math',
  'Reflect',
  'Temporal',
  'WebAssembly',
  'console',
  'crypto',
  'navigator',
  'performance',
  'process',
]

let globalObjects: Map<unknown, ModuleReference> | undefined

const globalAs = (value: object): ModuleReference | undefined => {
  if (globalObjects === undefined) {
    globalObjects = new Map([[globalThis, { module: 'global:', path: [] }]])
    for (const name of NAMESPACES) {
      // Reading some of the others loads what they stand for.
      const object: unknown = Object.getOwnPropertyDescriptor(globalThis, name)?.value
      if (object !== undefined) globalObjects.set(object, { module: 'global:', path: [name] })
    }
  }
  return globalObjects.get(value)
}

interface ModuleReference {
  readonly module: string
  readonly path: readonly string[]
}

const exporting = new WeakMap<object, ModuleReference>()

/** The module whose exports an object is. */
const exportsOf = (value: object): ModuleReference | undefined => {
  if (!couldBeExports(value)) return undefined
  const known = exporting.get(value)
  if (known) return known
  const found = builtinExporting(value) ?? loadedExporting(value) ?? namespaceAt(value)
  if (found) exporting.set(value, found)
  return found
}

/** Most values are not: this keeps the search for those that have functions or are namespaces. */
const couldBeExports = (value: object): boolean => {
  if (types.isModuleNamespaceObject(value)) return true
  if (Array.isArray(value) || types.isProxy(value)) return false
  for (const name of Object.getOwnPropertyNames(value)) {
    const descriptor = Object.getOwnPropertyDescriptor(value, name)
    if (descriptor?.get !== undefined || typeof descriptor?.value === 'function') return true
  }
  return false
}

const builtinExporting = (value: object): ModuleReference | undefined => {
  for (const loaded of loadedBuiltins()) {
    if (require(loaded) === value) return { module: loaded, path: ['default'] }
  }
  return undefined
}

/** Node's own modules that somebody has imported: asking for others would load them. */
const loadedBuiltins = (): string[] => {
  const { moduleLoadList = [] } = process as { moduleLoadList?: readonly string[] }
  return moduleLoadList
    .map((entry) => /^NativeModule (\S+)$/.exec(entry)?.[1] ?? '')
    .filter((name) => PUBLIC.has(name))
    .map((name) => `node:${name}`)
}

const PUBLIC: ReadonlySet<string> = new Set(
  builtinModules.filter((name) => !/^(?:_|node:)|^(?:punycode|sys|wasi)$/.test(name)),
)

const loadedExporting = (value: object): ModuleReference | undefined => {
  for (const [path, module] of Object.entries(require.cache)) {
    if (module?.exports !== value || /\.json$/.test(path)) continue
    const isNamespace = types.isModuleNamespaceObject(value)
    return { module: pathToFileURL(path).href, path: isNamespace ? [] : ['default'] }
  }
  return undefined
}

/** A namespace does not say whose it is, but a function in it may, if that exports the same names. */
const namespaceAt = (value: object): ModuleReference | undefined => {
  if (!types.isModuleNamespaceObject(value)) return undefined
  const names = Object.keys(value).sort().join('\n')
  for (const name of Object.keys(value)) {
    const member = readVariable(value as Record<string, unknown>, name)?.value
    if (typeof member !== 'function') continue
    const module = withOrigin(member, (origin) =>
      origin?.script.isModule && exportNamesIn(origin.script).sort().join('\n') === names
        ? origin.script.url
        : undefined,
    )
    if (module !== undefined) return { module, path: [] }
  }
  return undefined
}
