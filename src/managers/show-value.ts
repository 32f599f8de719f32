/**
 * How referents look: as Python shows them, with the values as JavaScript shows its own.
 * @module
 */
import { inspect, isDeepStrictEqual } from 'node:util'
import { KeyError } from '../errors.js'
import { Tuple } from '../pickle/values.js'
import { Float } from '../shareable-list.js'
import { behind } from './local.js'

/** What shows itself. */
interface Shown {
  toString(): string
}

const isPlain = (value: object): boolean => {
  const prototype = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

const pairs = (entries: Iterable<readonly [unknown, unknown]>): string =>
  Array.from(entries, ([key, value]) => `${showValue(key)}: ${showValue(value)}`).join(', ')

const OPTIONS = { breakLength: Number.POSITIVE_INFINITY, depth: 6, compact: 100 }

/** A value inside a referent. */
export const showValue = (value: unknown): string => {
  if (typeof value !== 'object' || value === null) return inspect(value, OPTIONS)
  if (value instanceof Tuple) {
    return `(${Array.from(value, showValue).join(', ')}${value.length === 1 ? ',' : ''})`
  }
  if (value instanceof Float)
    return Number.isInteger(value.value) ? value.value.toFixed(1) : `${value.value}`
  if (Array.isArray(value)) return `[${value.map(showValue).join(', ')}]`
  if (value instanceof Map) return `{${pairs(value)}}`
  if (value instanceof Set) return showSet(value)
  if (isPlain(value)) return `{${pairs(Object.entries(value))}}`
  return inspect(value, OPTIONS)
}

/** A set, as Python shows it. */
export const showSet = (set: ReadonlySet<unknown>): string =>
  set.size === 0 ? 'set()' : `{${Array.from(set, showValue).join(', ')}}`

/** A referent. */
export const showReferent = (referent: unknown): string => {
  const own = typeof referent === 'object' && referent !== null
  if (!own || Array.isArray(referent) || referent instanceof Map || referent instanceof Set) {
    return showValue(referent)
  }
  const { toString } = referent as Shown
  return toString === Object.prototype.toString || typeof toString !== 'function'
    ? inspect(referent, OPTIONS)
    : String((referent as Shown).toString())
}

/** Whether two values are equal, as values that came from other processes can be. */
export const equal = (one: unknown, other: unknown): boolean =>
  one === other ||
  (typeof one === 'object'
    ? isDeepStrictEqual(behind(one), behind(other))
    : Number.isNaN(one) && Number.isNaN(other))

/** There is no such key, which Python's error has as its argument. */
export const missing = (key: unknown): KeyError => {
  const error = new KeyError(showValue(key))
  Object.defineProperty(error, 'args', { value: [key], configurable: true, writable: true })
  return error
}
