/**
 * Taking functions and classes apart that are no exports: their source, and the values that they capture.
 * @module
 */
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { isNativeCode, runtimeReference } from './builtin-functions.js'
import { asModule, type Capture, isOwnGlobal, isSeen, valueOf } from './captures.js'
import { hasId, idOf } from './class-identity.js'
import {
  type CapturedVariable,
  type FunctionParts,
  functionTransport,
  ImportedValue,
  type Reference,
} from './codec/index.js'
import { describeFunction } from './codec/path.js'
import { type Definition, textOf } from './definition.js'
import { PicklingError } from './errors.js'
import { exportIn } from './exports.js'
import { portable } from './function-source.js'
import { boundParts, type Origin, type Script, withOrigin } from './inspection.js'
import { hasLoaders, moduleEntryOf } from './module-imports.js'
import { recordOf, standInParts } from './rebuild-function.js'
import { analyze, type FunctionAnalysis } from './source-analysis.js'

type AnyFunction = Function

/** What is the same for all functions made at a place of a source. */
interface Place {
  readonly definition: Definition
  readonly needed: readonly Capture[]
  readonly captured: readonly Capture[]
  /** The variable of those needed that holds the parent class. */
  readonly heritage: string | null
  readonly constant: boolean
}

/** What is known about a function that was sent. */
interface Recipe {
  /** Its parts, when they are always the same. */
  readonly parts: FunctionParts | null
  readonly definition: Definition | null
  /** What it captures, when that is always the same: else it would be kept alive here. */
  readonly variables: readonly CapturedVariable[] | null
}

const recipes = new WeakMap<AnyFunction, Recipe>()

/** The parts of a function, when they are known and cannot have changed. */
export const knownParts = (fn: AnyFunction, isClass: boolean): FunctionParts | undefined => {
  const recipe = recipes.get(fn)
  if (recipe === undefined || recipe.parts === null) return undefined
  if (isClass && !hasId(fn)) return undefined
  return recipe.definition === null || !hasExtras(fn, recipe.definition) ? recipe.parts : undefined
}

/** Collects what the function that is taken apart last captures; null while nobody asks. */
let collected: readonly CapturedVariable[] | null = null

/** The variables that a function by value captures; none for others. */
export const variablesOf = (fn: AnyFunction, evenNew: boolean): readonly CapturedVariable[] => {
  const known = recipes.get(fn)
  if (known?.variables) return known.variables
  if (known === undefined && !evenNew) return []
  collected = []
  try {
    functionTransport().refer(fn, false)
    return recipes.has(fn) ? collected : []
  } catch {
    // What is wrong with it is said when it is sent.
    return []
  } finally {
    collected = null
  }
}

const refuse = (fn: AnyFunction, why: string): PicklingError =>
  new PicklingError(`${describeFunction(fn)} ${why}`)

/**
 * Where a function is found, or what it is made of.
 *
 * @throws PicklingError when neither can be told, or it cannot do without what is around it.
 */
export const partsOrReference = (fn: AnyFunction, isClass: boolean): Reference | FunctionParts => {
  const entry = moduleEntryOf(fn)
  if (entry !== undefined) return { module: entry, path: [] }
  const record = recordOf(fn)
  if (record !== undefined) {
    const { definition, values } = record
    return remembered(fn, definition, definition, values(), isClass, false)
  }
  const standIn = standInParts(fn)
  if (standIn !== undefined) return partsOfBound(fn, standIn)
  if (isNativeCode(fn)) return nativeReference(fn)
  return withOrigin(fn, (origin) => {
    if (!origin) throw refuse(fn, 'has no source')
    if (origin.script.url.startsWith('node:')) {
      const reference = runtimeReference(fn)
      if (reference) return reference
      throw refuse(fn, 'is internal to node')
    }
    return exportIn(fn, origin) ?? partsByValue(fn, origin, isClass)
  })
}

const nativeReference = (fn: AnyFunction): Reference | FunctionParts => {
  const isNamedBound = fn.name.startsWith('bound ')
  const reference = isNamedBound ? undefined : runtimeReference(fn)
  if (reference) return reference
  const parts = boundParts(fn)
  if (parts) return partsOfBound(fn, [parts.target, parts.thisValue, ...parts.args])
  const late = isNamedBound ? runtimeReference(fn) : undefined
  if (late) return late
  throw refuse(fn, 'is native, and no function of the runtime')
}

const partsOfBound = (fn: AnyFunction, values: readonly unknown[]): FunctionParts => {
  const name = String(fn.name)
  const definition = textOf({ form: 'bound', name, args: values.length - 2 })
  const [target, thisValue, ...args] = values
  const variables = [
    { name: 'its function', value: target },
    { name: 'its this', value: thisValue },
    ...args.map((value, i) => ({ name: `its argument ${i}`, value })),
  ]
  const parts = { definition, name, needed: [], captured: values }
  if (collected !== null) collected = variables
  recipes.set(fn, { parts, definition: null, variables })
  return parts
}

const placesOf = new WeakMap<Script, Map<number, Place>>()

const partsByValue = (fn: AnyFunction, origin: Origin, isClass: boolean): FunctionParts => {
  const place = placeOf(fn, origin)
  const values: unknown[] = []
  try {
    for (const capture of place.needed) {
      const isParent = capture.name === place.heritage
      values.push(isParent ? Object.getPrototypeOf(fn) : valueOf(capture, origin))
    }
    for (const capture of place.captured) values.push(valueOf(capture, origin))
  } catch (error) {
    if (error instanceof PicklingError) throw refuse(fn, error.message)
    throw error
  }
  return withoutItself(fn, place, values, isClass)
}

/** A function that is declared has its own name in it anyway, unless that came to mean something else. */
const withoutItself = (
  fn: AnyFunction,
  { definition, needed, captured, constant }: Place,
  values: readonly unknown[],
  isClass: boolean,
): FunctionParts => {
  const own = ownName(definition.source)
  const index = captured.findIndex(({ name }) => name === own)
  if (definition.form !== 'function' || index < 0) {
    return remembered(fn, definition, definition, values, isClass, constant)
  }
  const at = needed.length + index
  const isItself = captured[index]!.constant && values[at] === fn
  const names = definition.captured.filter((name) => !isItself || name !== own)
  const changed: Definition = {
    ...definition,
    captured: names,
    ...(isItself ? {} : { form: 'declaration', name: own ?? null }),
  }
  const rest = isItself ? values.filter((_, i) => i !== at) : values
  return remembered(fn, changed, changed, rest, isClass, constant)
}

const ownName = (source: string): string | undefined =>
  /^(?:async\s+)?function\s*\*?\s*([\p{ID_Start}$_][\p{ID_Continue}$]*)/u.exec(source)?.[1]

/** The parts of a function with these values; kept when they are always the same. */
const remembered = (
  fn: AnyFunction,
  base: Definition,
  { needed, captured }: Definition,
  values: readonly unknown[],
  isClass: boolean,
  constant: boolean,
): FunctionParts => {
  const isType = base.form === 'class'
  const extras = extrasOf(fn, base)
  const named = base.form === 'declaration' ? base.name : nameOf(fn)
  const identified = isType || isClass || extras.isType || hasId(fn)
  const definition: Definition = {
    ...base,
    name: named,
    id: identified ? idOf(fn) : null,
    fields: extras.fields,
    prototype: extras.prototype,
    inherits: extras.inherits,
  }
  const travelling = values.map((value, i) =>
    value instanceof ImportedValue ? value : asModule(value, [...needed, ...captured][i]!),
  )
  const parts: FunctionParts = {
    definition: textOf(definition),
    name: named ?? '',
    needed: travelling.slice(0, needed.length),
    captured: [...travelling.slice(needed.length), ...extras.values],
  }
  const variables = [...needed, ...captured].map((name, i) => ({ name, value: travelling[i] }))
  const fields = [...extras.fields, ...extras.prototype.map((name) => `prototype.${name}`)]
  if (extras.inherits) fields.push('its parent')
  for (const [i, name] of fields.entries()) variables.push({ name, value: extras.values[i] })
  const isFixed = constant && extras.values.length === 0
  if (collected !== null) collected = variables
  recipes.set(
    fn,
    isFixed ? { parts, definition, variables } : { parts: null, definition, variables: null },
  )
  return parts
}

const nameOf = (fn: AnyFunction): string | null => {
  const name: unknown = Object.getOwnPropertyDescriptor(fn, 'name')?.value
  return typeof name === 'string' ? name : null
}

interface Extras {
  readonly fields: readonly string[]
  readonly prototype: readonly string[]
  readonly inherits: boolean
  readonly values: readonly unknown[]
  /** Whether it is a class, as they were written before there were any. */
  readonly isType: boolean
}

const NO_EXTRAS: Extras = { fields: [], prototype: [], inherits: false, values: [], isType: false }

const hasOwnPrototype = (fn: AnyFunction, form: string): boolean => {
  if (form !== 'function' && form !== 'declaration') return false
  const prototype: unknown = fn.prototype
  if (typeof prototype !== 'object' || prototype === null) return false
  const parent = Object.getPrototypeOf(prototype) as object | null
  // That of a generator inherits from something of the language's own.
  if (parent !== Object.prototype && typeof parent?.constructor !== 'function') return false
  return parent !== Object.prototype || Object.keys(prototype).length > 0
}

const hasExtras = (fn: AnyFunction, { form }: Definition): boolean =>
  form !== 'class' && (Object.keys(fn).length > 0 || hasOwnPrototype(fn, form))

/** What a function has beside its source and variables. */
const extrasOf = (fn: AnyFunction, definition: Definition): Extras => {
  if (!hasExtras(fn, definition)) return NO_EXTRAS
  const fields = Object.keys(fn)
  const values: unknown[] = fields.map((name) => (fn as unknown as Record<string, unknown>)[name])
  if (!hasOwnPrototype(fn, definition.form)) return { ...NO_EXTRAS, fields, values }
  const holder = fn.prototype as Record<string, unknown>
  const prototype = Object.keys(holder).filter((name) => name !== 'constructor')
  for (const name of prototype) values.push(holder[name])
  const parent = Object.getPrototypeOf(holder) as object
  const inherits = parent !== Object.prototype
  if (inherits) values.push(parent.constructor)
  return { fields, prototype, inherits, values, isType: true }
}

const placeOf = (fn: AnyFunction, origin: Origin): Place => {
  const { script, place } = origin
  let places = placesOf.get(script)
  let found = places?.get(place)
  if (found) return found
  const analysis = analyzed(fn, origin)
  found = placeFrom(fn, origin, analysis)
  // What a program sees of others that are no modules changes as they run.
  const isLasting = script.isModule || script.url.startsWith('file:')
  if (isLasting) {
    places ??= new Map()
    placesOf.set(script, places)
    places.set(place, found)
  }
  return found
}

const analyzed = (fn: AnyFunction, { script, place }: Origin): FunctionAnalysis => {
  let analysis: FunctionAnalysis | null
  try {
    analysis = analyze(script, place)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw refuse(fn, `cannot be read: ${reason}`)
  }
  if (analysis === null) throw refuse(fn, 'is not found in its source')
  const reason = unmovable(analysis)
  if (reason !== null) throw refuse(fn, reason)
  return analysis
}

const AS_ARGUMENT = 'pass what it needs as an argument'

/** Why a function cannot do without what is around it; null when it can. */
const unmovable = (analysis: FunctionAnalysis): string | null => {
  if (analysis.usesThis) return `uses the \`this\` of the code around it; ${AS_ARGUMENT}`
  if (analysis.usesArguments)
    return `uses the \`arguments\` of the function around it; ${AS_ARGUMENT}`
  if (analysis.usesSuper) return 'uses `super`, which belongs to the object it is a method of'
  if (analysis.usesNewTarget)
    return `uses the \`new.target\` of the function around it; ${AS_ARGUMENT}`
  const [privateName] = analysis.usesPrivateNames
  if (privateName !== undefined)
    return `uses ${privateName}, which is private to the class around it`
  if (analysis.usesDirectEval) return 'uses eval or with, so what it captures cannot be told'
  return null
}

const placeFrom = (fn: AnyFunction, origin: Origin, analysis: FunctionAnalysis): Place => {
  const { script, place } = origin
  let source: ReturnType<typeof portable>
  try {
    source = portable(script.source, analysis, place)
  } catch (error) {
    if (error instanceof TypeError) throw refuse(fn, error.message)
    throw error
  }
  const { text, meta, importer, heritage } = source
  const isType = analysis.form === 'class'
  const scopes = origin.scopes()
  const isMember = /^(?:method|getter|setter)$/.test(analysis.form)
  const captures = analysis.captures.filter(({ name, atDefinition }) => {
    if (isType) return name !== classNameIn(text) && isNamedIn(text, name)
    // The key of a method is not evaluated again.
    return !isMember || !atDefinition || isNamedIn(text, name)
  })
  const needed: Capture[] = captures.filter(
    ({ name, atDefinition }) => isType && (atDefinition || name === heritage),
  )
  if (heritage !== null && !needed.some(({ name }) => name === heritage)) {
    if (!analysis.globals.includes(heritage)) needed.push(variable(heritage, true))
  }
  const captured: Capture[] = captures.filter((capture) => !needed.includes(capture))
  for (const name of analysis.globals) {
    if (isSeen(scopes, name) || isOwnGlobal(name)) captured.push(variable(name, false))
  }
  const line = script.startLine + analysis.line
  const column = analysis.column + (analysis.line === 0 ? script.startColumn : 0)
  const definition: Definition = {
    form: analysis.form,
    source: text,
    name: null,
    url: script.url,
    line,
    column,
    strict: analysis.strict,
    id: null,
    sourceMap: sourceMapOf(script),
    meta,
    importer,
    base: meta === null && importer === null ? null : baseOf(script),
    needed: needed.map(({ name }) => name),
    captured: captured.map(({ name }) => name),
    fields: [],
    prototype: [],
    inherits: false,
  }
  const constant = [...needed, ...captured].every((each) => each.constant || each.name === heritage)
  return { definition, needed, captured, heritage, constant }
}

const variable = (name: string, constant: boolean): Capture => ({
  name,
  constant,
  importedFrom: null,
  importedName: null,
})

const classNameIn = (text: string): string | undefined =>
  /^class\s+(?!extends\b)([\p{ID_Start}$_][\p{ID_Continue}$]*)/u.exec(text)?.[1]

/** Whether a name occurs in a text: it may be gone with what was replaced in it. */
const isNamedIn = (text: string, name: string): boolean => {
  const escaped = name.replaceAll('$', '\\$')
  return new RegExp(`(?<![\\p{ID_Continue}$])${escaped}(?![\\p{ID_Continue}$])`, 'u').test(text)
}

/** What a script that is no file imports is relative to the current directory. */
const baseOf = ({ url }: Script): string =>
  /^[a-z][a-z\d+.-]+:/i.test(url) ? url : pathToFileURL(join(process.cwd(), '[eval]')).href

/** Where a script's source map is, when stacks are to be shown by it. */
const sourceMapOf = ({ url, sourceMapUrl }: Script): string | null => {
  const { sourceMapsEnabled } = process as { sourceMapsEnabled?: boolean }
  if (sourceMapUrl === '' || (sourceMapsEnabled !== true && !hasLoaders())) return null
  return /^[a-z][a-z\d+.-]+:/i.test(url) ? sourceMapUrl : null
}
