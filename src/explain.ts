/**
 * Saying how a function would travel, before it does.
 * @module
 */
import { inspect } from 'node:util'
import { encode, functionTransport, ImportedValue, type Reference } from './codec/index.js'
import { describeFunction } from './codec/path.js'
import { parseDefinition } from './definition.js'
import { closeOwned } from './objects.js'
import { show } from './waiting.js'

/** How something that a function captures travels with it. */
export interface CaptureExplanation {
  /** The variable. */
  readonly name: string
  /**
   * `imported`: the other side imports it from its module; `by reference`, `by value` and `bound`: as a
   * function itself may travel; other values travel by value.
   */
  readonly travels: 'imported' | 'by reference' | 'by value' | 'bound' | 'not at all'
  /** How many bytes it takes when it travels alone; null when it cannot. */
  readonly bytes: number | null
  /** The module it is imported from; null for others. */
  readonly module: string | null
  /** The name of the export; null when there is none, `*` for the whole module. */
  readonly export: string | null
  /** Why it cannot travel; null when it can. */
  readonly reason: string | null
}

/** How a function travels. */
export interface FunctionExplanation {
  readonly travels: 'by reference' | 'by value' | 'bound' | 'not at all'
  /** The URL of the module that it is an export of; null for others. */
  readonly module: string | null
  /** The name of the export, with dots for what is a member of one; null for others. */
  readonly export: string | null
  /** The text that travels; null when none does. */
  readonly source: string | null
  /** What it captures; empty when it travels by reference. */
  readonly captures: readonly CaptureExplanation[]
  /** How many bytes a message with nothing but the function has; null when it cannot travel. */
  readonly bytes: number | null
  /** Why it cannot travel; null when it can. */
  readonly reason: string | null
}

/**
 * Says how a function or class travels to another process: by reference or by value, what it captures, and
 * how many bytes that takes; or why it cannot. It sends nothing and does not block.
 *
 * @param fn - A function or class.
 * @returns A plain object; `console.log` shows it readably.
 * @throws TypeError when `fn` is no function.
 */
export const explainFunction = (fn: Function): FunctionExplanation => {
  if (typeof fn !== 'function') throw new TypeError(`a function is wanted, not ${show(fn)}`)
  const explanation = explain(fn)
  const text = (): string => describe(describeFunction(fn), explanation)
  return Object.defineProperty(explanation, inspect.custom, { value: text })
}

const NOT_AT_ALL = { travels: 'not at all', bytes: null, module: null, export: null } as const

const explain = (fn: Function): FunctionExplanation => {
  const outcome = sizeOf(fn)
  let found: ReturnType<typeof refer>
  try {
    found = refer(fn)
  } catch {
    return { ...NOT_AT_ALL, source: null, captures: [], ...outcome }
  }
  if ('module' in found) {
    const { module, name } = placeOf(found)
    const travels = outcome.reason === null ? 'by reference' : 'not at all'
    return { travels, module, export: name, source: null, captures: [], ...outcome }
  }
  const definition = parseDefinition(found.definition)
  const form = definition.form === 'bound' ? 'bound' : 'by value'
  return {
    travels: outcome.reason === null ? form : 'not at all',
    module: null,
    export: null,
    source: definition.form === 'bound' ? null : definition.source,
    captures: functionTransport()
      .capturedBy(fn, false)
      .map(({ name, value }) => explainCapture(name, value)),
    ...outcome,
  }
}

const refer = (fn: Function): ReturnType<ReturnType<typeof functionTransport>['refer']> =>
  functionTransport().refer(fn, false)

const placeOf = ({ module, path }: Reference): { module: string; name: string } => ({
  module,
  name: path.length === 0 ? '*' : path.join('.'),
})

/** How many bytes something takes, or why it cannot travel. */
const sizeOf = (value: unknown): { bytes: number | null; reason: string | null } => {
  try {
    const encoded = encode(value, '')
    closeOwned(encoded)
    const { start, end, buffers } = encoded
    const beside = (buffers ?? []).reduce((sum, { byteLength }) => sum + byteLength, 0)
    return { bytes: end - start + beside, reason: null }
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    return { bytes: null, reason: message.replace(/^cannot send (?:it: )?/, '') }
  }
}

const explainCapture = (name: string, value: unknown): CaptureExplanation => {
  if (value instanceof ImportedValue) {
    const place = placeOf(value.reference)
    const bytes = place.module.length + place.name.length
    const module = place.module.replace(/\n.*$/s, '')
    return { name, travels: 'imported', bytes, module, export: place.name, reason: null }
  }
  const { bytes, reason } = sizeOf(value)
  if (reason !== null) return { name, ...NOT_AT_ALL, reason }
  const plain = { name, bytes, module: null, export: null, reason }
  if (typeof value !== 'function') return { ...plain, travels: 'by value' }
  const found = refer(value)
  if ('module' in found) {
    const place = placeOf(found)
    return { ...plain, travels: 'by reference', module: place.module, export: place.name }
  }
  return {
    ...plain,
    travels: parseDefinition(found.definition).form === 'bound' ? 'bound' : 'by value',
  }
}

const describe = (what: string, explanation: FunctionExplanation): string => {
  const lines = [`${what} travels ${wayOf(explanation)}`]
  for (const capture of explanation.captures) lines.push(`  ${capture.name} ${wayOf(capture)}`)
  return lines.join('\n')
}

const wayOf = (part: CaptureExplanation | FunctionExplanation): string => {
  const place =
    part.export === null || part.module === null ? '' : `: ${part.export} of ${part.module}`
  const size = part.bytes === null ? '' : `, ${part.bytes} bytes`
  const reason = part.reason === null ? '' : `: ${part.reason}`
  return `${part.travels}${place}${size}${reason}`
}
