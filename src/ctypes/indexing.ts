/**
 * Elements by index: `array[i]`.
 *
 * A class cannot say what an index means; a Proxy can, but everything that goes through one is slow. So the
 * Proxy stands at the end of the prototypes: only what is found nowhere before, as an index, comes to it,
 * and methods and the length never do.
 * @module
 */
import { show } from '../waiting.js'

/** What is found in it by index. */
export interface Indexed {
  readonly length: number
  get(index: number): unknown
  set(index: number, value: unknown): void
}

/** The number that a property's name is, if it is a whole one. */
const indexOf = (name: string | symbol): number | undefined => {
  if (typeof name === 'symbol') return undefined
  const first = name.charCodeAt(0)
  if (first !== 45 && !(first >= 48 && first <= 57)) return undefined
  const index = Number(name)
  return Number.isInteger(index) ? index : undefined
}

const handler: ProxyHandler<object> = {
  get(target, name, receiver) {
    const index = indexOf(name)
    return index === undefined
      ? Reflect.get(target, name, receiver)
      : (receiver as Indexed).get(index)
  },
  set(target, name, value, receiver) {
    const index = indexOf(name)
    if (index === undefined) return Reflect.set(target, name, value, receiver)
    ;(receiver as Indexed).set(index, value)
    return true
  },
}

/** Makes `instance[i]` mean `instance.get(i)`, and `instance[i] = v` mean `instance.set(i, v)`. */
export const addIndexing = (type: Function): void => {
  const parent: object = Object.getPrototypeOf(type.prototype)
  Object.setPrototypeOf(type.prototype, new Proxy(Object.create(parent), handler))
}

/** The whole number that is wanted; any other value is a TypeError. */
export const wholeNumber = (value: unknown, what: string): number => {
  if (typeof value === 'number' && Number.isInteger(value)) return value
  throw new TypeError(`${what} is a whole number, not ${show(value)}`)
}

/** Where a slice begins and ends: counted from the end if negative, and never outside. */
export const sliceBounds = (length: number, start = 0, end = length): [number, number] => {
  const within = (index: number): number =>
    index < 0 ? Math.max(0, length + index) : Math.min(index, length)
  const from = within(wholeNumber(start, 'where a slice begins'))
  return [from, Math.max(from, within(wholeNumber(end, 'where a slice ends')))]
}
