/**
 * What a function or class by value is, apart from the values it captures: a text, so that both sides
 * know it again quickly.
 *
 * It is a JSON array. That of a bound function has three elements: `"bound"`, its name, and how many
 * arguments are bound; what is bound is the function, `this` and these. Others have one for each property
 * of {@link Definition}, in that order, and as values: those of the variables `needed`, then those of the
 * variables `captured`, those of `fields`, those of `prototype`, and the parent class when it `inherits`.
 * @module
 */
import { UnpicklingError } from './errors.js'

/** How a function is written. */
export type Form = 'function' | 'declaration' | 'arrow' | 'method' | 'getter' | 'setter' | 'class'

const FORMS: ReadonlySet<unknown> = new Set<Form>([
  'function',
  'declaration',
  'arrow',
  'method',
  'getter',
  'setter',
  'class',
])

/** A function or class that has a source. */
export interface Definition {
  readonly form: Form
  /** Its text; its own name in it, when it is a declaration, is `name`. */
  readonly source: string
  /** Its name; null when a static member hides it. */
  readonly name: string | null
  /** The script it was compiled from, and where in it the source begins: line and column from 0. */
  readonly url: string
  readonly line: number
  readonly column: number
  readonly strict: boolean
  /** By what a class is known again; null for functions. */
  readonly id: string | null
  /** Where the script's source map is; null when nobody asks for it. */
  readonly sourceMap: string | null
  /** The names that stand for `import.meta` and for `import` in the source; null where there is none. */
  readonly meta: string | null
  readonly importer: string | null
  /** The module that these two are relative to. */
  readonly base: string | null
  /** The variables that must have their values before it can be made. */
  readonly needed: readonly string[]
  /** The variables that it uses when it runs. */
  readonly captured: readonly string[]
  /** Its own properties. */
  readonly fields: readonly string[]
  /** What its `prototype` has. */
  readonly prototype: readonly string[]
  /** Whether its `prototype` inherits from that of another function. */
  readonly inherits: boolean
}

/** A bound function. */
export interface BoundDefinition {
  readonly form: 'bound'
  readonly name: string
  /** How many arguments are bound. */
  readonly args: number
}

/** The text of a definition. */
export const textOf = (definition: Definition | BoundDefinition): string => {
  if (definition.form === 'bound')
    return JSON.stringify(['bound', definition.name, definition.args])
  const d = definition
  return JSON.stringify([
    d.form,
    d.source,
    d.name,
    d.url,
    d.line,
    d.column,
    d.strict,
    d.id,
    d.sourceMap,
    d.meta,
    d.importer,
    d.base,
    d.needed,
    d.captured,
    d.fields,
    d.prototype,
    d.inherits,
  ])
}

/** How many bound arguments, or other values, are believed. */
const MOST = 0x10000

const isText = (value: unknown): value is string => typeof value === 'string'
const isTextOrNull = (value: unknown): value is string | null => value === null || isText(value)
const isCount = (value: unknown): value is number =>
  typeof value === 'number' && Number.isInteger(value) && Math.abs(value) < 0x40000000
const isBoolean = (value: unknown): value is boolean => typeof value === 'boolean'
const isTexts = (value: unknown): value is string[] =>
  Array.isArray(value) && value.length <= MOST && value.every(isText)

/** Only what can be the name of a variable becomes part of a program. */
const isVariable = (value: unknown): boolean =>
  isText(value) && /^[\p{ID_Start}$_][\p{ID_Continue}$\u200c\u200d]*$/u.test(value)
const isVariables = (value: unknown): value is string[] =>
  isTexts(value) && value.every(isVariable) && new Set(value).size === value.length
const isVariableOrNull = (value: unknown): value is string | null =>
  value === null || isVariable(value)

const CHECKS: readonly ((value: unknown) => boolean)[] = [
  (form) => FORMS.has(form),
  isText,
  isTextOrNull,
  isText,
  isCount,
  isCount,
  isBoolean,
  isTextOrNull,
  isTextOrNull,
  isVariableOrNull,
  isVariableOrNull,
  isTextOrNull,
  isVariables,
  isVariables,
  isTexts,
  isTexts,
  isBoolean,
]

const malformed = (cause?: unknown): UnpicklingError =>
  new UnpicklingError('the definition of a function is malformed', { cause })

/**
 * Reads the text of a definition.
 *
 * @throws UnpicklingError when it is not one.
 */
export const parseDefinition = (text: string): Definition | BoundDefinition => {
  let parts: unknown
  try {
    parts = JSON.parse(text)
  } catch (cause) {
    throw malformed(cause)
  }
  if (!Array.isArray(parts)) throw malformed()
  if (parts[0] === 'bound') {
    const [, name, args] = parts as [unknown, unknown, unknown]
    if (parts.length !== 3 || !isText(name) || !isCount(args) || args < 0 || args > MOST) {
      throw malformed()
    }
    return { form: 'bound', name, args }
  }
  if (parts.length !== CHECKS.length || !CHECKS.every((check, i) => check(parts[i]))) {
    throw malformed()
  }
  const [form, source, name, url, line, column, strict, id, sourceMap, meta, importer, base] = parts
  const [needed, captured, fields, prototype, inherits] = parts.slice(12)
  const definition: Definition = {
    form,
    source,
    name,
    url,
    line,
    column,
    strict,
    id,
    sourceMap,
    meta,
    importer,
    base,
    needed,
    captured,
    fields,
    prototype,
    inherits,
  }
  if (definition.form === 'declaration' && !isVariable(name)) throw malformed()
  const given = [...needed, ...captured, ...[meta, importer].filter((each) => each !== null)]
  if (new Set(given).size !== given.length) throw malformed()
  return definition
}
