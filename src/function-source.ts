/**
 * The text of a function as it can stand anywhere: what only has a meaning where it was written is
 * replaced by names, each as long as what it replaces, so that positions stay what they are.
 * @module
 */
import { Script } from 'node:vm'
import { dynamicImportsIn } from './exports.js'
import type { FunctionAnalysis } from './source-analysis.js'

/** A text and the names in it. */
export interface Portable {
  readonly text: string
  /** What stands for `import.meta`, for `import` and for the parent class; null where there is none. */
  readonly meta: string | null
  readonly importer: string | null
  readonly heritage: string | null
}

const NAME = '[\\p{ID_Start}$_][\\p{ID_Continue}$]*'
const META = 'import.meta'

/** The first of these names that does not occur in a text. */
const unused = (text: string, names: readonly string[]): string => {
  const found = names.find((name) => !text.includes(name))
  if (found === undefined) throw new TypeError('uses all the names that could stand for others')
  return found
}

const replaceAt = (text: string, offset: number, length: number, by: string): string =>
  text.slice(0, offset) + by + text.slice(offset + length)

/** Blanks, as long as a text and with its line breaks. */
const blank = (text: string): string => text.replace(/[^\r\n\u2028\u2029]/g, ' ')

/**
 * Makes the text of a function portable.
 *
 * @param source - The whole source.
 * @param analysis - What is known about the function in it.
 * @param place - Where in the source its parameters begin.
 */
export const portable = (source: string, analysis: FunctionAnalysis, place: number): Portable => {
  const { start, end, form, importMetas, usesDynamicImport } = analysis
  let text = source.slice(start, end)
  let meta: string | null = null
  if (importMetas.length > 0) {
    meta = unused(text, ['import_meta', 'import$meta', '_mport_meta', '$mport$meta'])
    for (const offset of importMetas) {
      if (!text.startsWith(META, offset)) throw new TypeError('has spaces in its import.meta')
      text = replaceAt(text, offset, META.length, meta)
    }
  }
  let importer: string | null = null
  if (usesDynamicImport) {
    importer = unused(text, ['Import', 'iMport', 'imPort', '_mport', '$mport'])
    for (const offset of dynamicImportsIn(text)) text = replaceAt(text, offset, 6, importer)
  }
  if (form === 'method' || form === 'getter' || form === 'setter') {
    text = withPlainKey(text, place - start)
  }
  if (form !== 'class') return { text, meta, importer, heritage: null }
  const { text: whole, heritage } = withNamedHeritage(text)
  return { text: whole, meta, importer, heritage }
}

/** A computed or private key is of no use to a method that stands alone; its name is set afterwards. */
const withPlainKey = (text: string, parameters: number): string => {
  const key = /^(?:(?:static|async|get|set)(?![\p{ID_Continue}$]|\s*\()\s*)*(?:\*\s*)?/u.exec(
    text,
  )![0].length
  if (text[key] !== '[' && text[key] !== '#') return text
  return replaceAt(text, key, parameters - key, `a${blank(text.slice(key + 1, parameters))}`)
}

/** The parent class is known, however it was come by; evaluating its expression again could make another. */
const withNamedHeritage = (text: string): { text: string; heritage: string | null } => {
  const head = new RegExp(`^class(?:\\s+(?!extends\\b)${NAME})?\\s+extends\\s+`, 'u').exec(
    text,
  )?.[0]
  if (head === undefined) return { text, heritage: null }
  const simple = new RegExp(`^(${NAME})\\s*\\{`, 'u').exec(text.slice(head.length))?.[1]
  if (simple !== undefined) return { text, heritage: simple === 'null' ? null : simple }
  const end = endOfHeritage(text, head.length)
  if (end === undefined) return { text, heritage: null }
  const expression = text.slice(head.length, end)
  const name = unused(text, ['_', '$', '__', '$$', '_$', '$_'])
  const rest = blank(expression.slice(name.length))
  return { text: replaceAt(text, head.length, expression.length, name + rest), heritage: name }
}

/** The first brace before which all is one expression begins the body. */
const endOfHeritage = (text: string, from: number): number | undefined => {
  for (let brace = text.indexOf('{', from); brace >= 0; brace = text.indexOf('{', brace + 1)) {
    try {
      new Script(`(class extends ${text.slice(from, brace)} {})`)
      return brace
    } catch {
      // It is a brace within the expression.
    }
  }
  return undefined
}
