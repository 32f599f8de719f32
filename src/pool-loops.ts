/**
 * How a worker calls a function for each of many items.
 * @module
 */
import { INTO, MANY, SPREAD } from './pool-wire.js'

type AnyFunction = (...args: any[]) => unknown

/** Where numbers go. */
export interface Numbers {
  [index: number]: unknown
}

/** What is to be called, and with what: see `pool-wire.ts`. */
export interface Calls {
  readonly flags: number
  readonly fn: AnyFunction
  readonly items: unknown
  readonly into: Numbers | null
}

/** Whether a value has to be waited for. */
export const isThenable = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === 'object' &&
  value !== null &&
  typeof (value as { then?: unknown }).then === 'function'

/** Calls the function: the value, or a promise of it. What has been done goes to `values`. */
export const perform = ({ flags, fn, items, into }: Calls, values: unknown[]): unknown => {
  if ((flags & MANY) === 0) return flags & SPREAD ? fn(...(items as unknown[])) : fn(items)
  if ((flags & SPREAD) !== 0) return callEach(fn, items as unknown[][], values)
  const list = items as ArrayLike<unknown>
  const { fill, map } = list.length < WORTHWHILE ? common : loopsOf(fn)
  return (flags & INTO) !== 0
    ? fill(fn, list, into!, isThenable, fillRest)
    : map(fn, list, values, isThenable, mapRest)
}

type Fill = (
  fn: AnyFunction,
  items: ArrayLike<unknown>,
  into: Numbers,
  isThenable: (value: unknown) => boolean,
  rest: typeof fillRest,
) => unknown

type MapAll = (
  fn: AnyFunction,
  items: ArrayLike<unknown>,
  values: unknown[],
  isThenable: (value: unknown) => boolean,
  rest: typeof mapRest,
) => unknown

interface Loops {
  readonly fill: Fill
  readonly map: MapAll
}

/** For fewer items than this a loop of one's own is not worth it. */
const WORTHWHILE = 1000

const FILL_ONE = `
  value = fn(items[i])
  if (typeof value !== 'number' && isThenable(value)) return rest(fn, items, into, i, value)
  into[i++] = value`

/** Four at a time: what V8 does in each round of a loop costs as much as a simple function. */
const FILL = `
const { length } = items
const end = length - 3
let i = 0
let value
while (i < end) {${FILL_ONE.repeat(4)}
}
while (i < length) {${FILL_ONE}
}`

const MAP = `
const { length } = items
for (let i = 0; i < length; i++) {
  const value = fn(items[i])
  if (typeof value !== 'number' && isThenable(value)) return rest(fn, items, values, value)
  values.push(value)
}
return values`

/**
 * Loops of which V8 does not know yet what they call. It compiles the function into a loop that calls
 * one only, and does not once it has seen several.
 */
const makeLoops = (): Loops => ({
  fill: new Function('fn', 'items', 'into', 'isThenable', 'rest', FILL) as Fill,
  map: new Function('fn', 'items', 'values', 'isThenable', 'rest', MAP) as MapAll,
})

const common: Loops = {
  fill(fn, items, into, isThenable, rest) {
    const { length } = items
    for (let i = 0; i < length; i++) {
      const value = fn(items[i])
      if (typeof value !== 'number' && isThenable(value)) return rest(fn, items, into, i, value)
      into[i] = value
    }
    return undefined
  },
  map(fn, items, values, isThenable, rest) {
    const { length } = items
    for (let i = 0; i < length; i++) {
      const value = fn(items[i])
      if (typeof value !== 'number' && isThenable(value)) return rest(fn, items, values, value)
      values.push(value)
    }
    return values
  },
}

const own = new WeakMap<AnyFunction, Loops>()

/** The loops of a function; the common ones where no code may be made from strings. */
const loopsOf = (fn: AnyFunction): Loops => {
  let loops = own.get(fn)
  if (loops === undefined) {
    try {
      loops = makeLoops()
    } catch {
      loops = common
    }
    own.set(fn, loops)
  }
  return loops
}

const callEach = (fn: AnyFunction, items: unknown[][], values: unknown[]): unknown => {
  for (const args of items) {
    const value = fn(...args)
    if (isThenable(value)) return callRest(fn, items, values, value)
    values.push(value)
  }
  return values
}

// The rest of the items, once one of them had to be waited for.

const callRest = async (
  fn: AnyFunction,
  items: unknown[][],
  values: unknown[],
  first: unknown,
): Promise<unknown[]> => {
  values.push(await first)
  while (values.length < items.length) values.push(await fn(...items[values.length]!))
  return values
}

const mapRest = async (
  fn: AnyFunction,
  items: ArrayLike<unknown>,
  values: unknown[],
  first: unknown,
): Promise<unknown[]> => {
  values.push(await first)
  while (values.length < items.length) values.push(await fn(items[values.length]))
  return values
}

const fillRest = async (
  fn: AnyFunction,
  items: ArrayLike<unknown>,
  into: Numbers,
  from: number,
  first: unknown,
): Promise<void> => {
  into[from] = await first
  for (let i = from + 1; i < items.length; i++) into[i] = await fn(items[i])
}
