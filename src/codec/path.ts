/**
 * The way from the root of an object graph to the part that cannot be sent. Walked only after a failure,
 * so that success pays nothing for it.
 * @module
 */
import { functionTransport, ImportedValue } from './reducers.js'

interface Step {
  readonly value: unknown
  readonly parent: Step | null
  readonly segment: string
  readonly length: number
  /** Whether it is a variable that its parent, a function, captures. */
  readonly captured: boolean
}

/** What the walk found. */
export interface Culprit {
  /** The way to it, such as `args[0].conn.socket`, or to the first function that leads to it. */
  readonly path: string
  /** The functions that lead to it, and the ways from each through a variable that it captures. */
  readonly captures: readonly { readonly by: string; readonly path: string }[]
  /** What reading it threw, when that was the trouble. */
  readonly thrown: { readonly error: unknown } | null
}

const IDENTIFIER = /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u
const LONGEST_PATH = 12
const LONGEST_TEXT = 40

const quote = (text: string): string =>
  JSON.stringify(text.length > LONGEST_TEXT ? `${text.slice(0, LONGEST_TEXT)}…` : text)

const property = (key: string): string => (IDENTIFIER.test(key) ? `.${key}` : `[${quote(key)}]`)

const describeKey = (key: unknown, position: number): string => {
  if (typeof key === 'string') return quote(key)
  if (typeof key === 'bigint') return `${key}n`
  if (typeof key === 'object' && key !== null) return `<key ${position}>`
  if (typeof key === 'function') return `<key ${position}>`
  return String(key)
}

/** Joins the segments of a way. */
const join = (segments: readonly string[], root: string): string => {
  const shown = segments.slice(0, LONGEST_PATH)
  // Without a name for the root the first name in the path begins it.
  if (root === '') shown[0] = shown[0]?.replace(/^\./, '') ?? ''
  const left = segments.length - LONGEST_PATH
  return root + shown.join('') + (left > 0 ? `… (${left} more)` : '')
}

const render = (step: Step, root: string, thrown: Culprit['thrown'] = null): Culprit => {
  const captures: { by: string; path: string }[] = []
  let segments: string[] = []
  for (let at: Step | null = step; at !== null && at.parent !== null; at = at.parent) {
    segments.unshift(at.segment)
    if (!at.captured) continue
    captures.unshift({
      by: describeFunction(at.parent.value as Function),
      path: join(segments, ''),
    })
    segments = []
  }
  return { path: join(segments, root), captures, thrown }
}

/** What a function is called in an error. */
export const describeFunction = (fn: Function): string => {
  const kind = /^class\b/.test(Function.prototype.toString.call(fn)) ? 'class' : 'function'
  return `${kind} ${typeof fn.name === 'string' && fn.name !== '' ? fn.name : '(anonymous)'}`
}

/**
 * Finds the shortest way to `culprit`, or to the first property whose getter throws.
 *
 * @param root - Where to start.
 * @param label - What the root is called in the path; empty to begin the path with what is in it.
 * @param culprit - What to find, by identity.
 * @param reduced - What reducers made of the objects they took apart.
 * @param byDepth - Find instead the first object nested this deep; 0 for none.
 * @param evenNew - Whether to look into functions that were never sent, too.
 */
export const findCulprit = (
  root: unknown,
  label: string,
  culprit: unknown,
  reduced: ReadonlyMap<object, unknown>,
  byDepth = 0,
  evenNew = false,
): Culprit | null => {
  const seen = new Set<unknown>()
  const queue: Step[] = [{ value: root, parent: null, segment: '', length: 0, captured: false }]
  for (let head = 0; head < queue.length; head++) {
    const step = queue[head]!
    const value = step.value
    if (byDepth > 0 ? step.length >= byDepth : Object.is(value, culprit)) return render(step, label)
    if ((typeof value !== 'object' && typeof value !== 'function') || value === null) continue
    if (seen.has(value)) continue
    seen.add(value)
    const add = (segment: string, child: unknown, captured = false): void => {
      queue.push({ value: child, parent: step, segment, length: step.length + 1, captured })
    }
    if (typeof value === 'function') {
      for (const { name, value: child } of functionTransport().capturedBy(value, evenNew)) {
        add(name, child, true)
      }
      continue
    }
    if (reduced.has(value)) {
      // What a reducer returned stands in the object's place and adds nothing to the path.
      queue.push({ ...step, value: reduced.get(value) })
      continue
    }
    if (ArrayBuffer.isView(value)) continue
    if (value instanceof Map) {
      let position = 0
      for (const [key, item] of value) {
        add(`.<key ${position}>`, key)
        add(`.get(${describeKey(key, position)})`, item)
        position++
      }
    } else if (value instanceof Set) {
      let position = 0
      for (const item of value) add(`.<member ${position++}>`, item)
    }
    const keys = value instanceof Error ? Object.getOwnPropertyNames(value) : Object.keys(value)
    for (const key of keys) {
      const segment = Array.isArray(value) ? `[${key}]` : property(key)
      let child: unknown
      try {
        child = (value as Record<string, unknown>)[key]
      } catch (error) {
        return render({ ...step, parent: step, segment, captured: false }, label, { error })
      }
      add(segment, child)
    }
    const constructor = byDepth > 0 ? undefined : classOf(value)
    if (constructor !== undefined) add('.constructor', constructor)
  }
  return null
}

/** The class of an instance, which travels with it. */
const classOf = (value: object): Function | undefined => {
  const prototype = Object.getPrototypeOf(value) as object | null
  if (prototype === null || prototype === Object.prototype || prototype === Array.prototype) {
    return undefined
  }
  const constructor: unknown = Object.getOwnPropertyDescriptor(prototype, 'constructor')?.value
  return typeof constructor === 'function' ? constructor : undefined
}

const NONE: ReadonlyMap<object, unknown> = new Map()

/** Whether a class, or an instance of it, can be reached from these values. */
export const leadsTo = (
  values: readonly unknown[],
  type: unknown,
  reduced: ReadonlyMap<object, unknown> | null,
): boolean => {
  const own = values.filter((value) => !(value instanceof ImportedValue))
  const found = findCulprit(own, '', type, reduced ?? NONE, 0, true)
  return found !== null && found.thrown === null
}
