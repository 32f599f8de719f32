/**
 * The way from the root of an object graph to the part that cannot be sent. Walked only after a failure,
 * so that success pays nothing for it.
 * @module
 */

interface Step {
  readonly value: unknown
  readonly parent: Step | null
  readonly segment: string
  readonly length: number
}

/** What the walk found. */
export interface Culprit {
  /** The way to it, such as `args[0].conn.socket`. */
  readonly path: string
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

const render = (step: Step, root: string): string => {
  const segments: string[] = []
  for (let at: Step | null = step; at !== null && at.parent !== null; at = at.parent) {
    segments.push(at.segment)
  }
  segments.reverse()
  // Without a name for the root the first name in the path begins it.
  if (root === '') segments[0] = segments[0]?.replace(/^\./, '') ?? ''
  if (segments.length <= LONGEST_PATH) return root + segments.join('')
  const shown = segments.slice(0, LONGEST_PATH).join('')
  return `${root}${shown}… (${segments.length - LONGEST_PATH} more)`
}

/**
 * Finds the shortest way to `culprit`, or to the first property whose getter throws.
 *
 * @param root - Where to start.
 * @param label - What the root is called in the path; empty to begin the path with what is in it.
 * @param culprit - What to find, by identity.
 * @param reduced - What reducers made of the objects they took apart.
 * @param byDepth - Find instead the first object nested this deep; 0 for none.
 */
export const findCulprit = (
  root: unknown,
  label: string,
  culprit: unknown,
  reduced: ReadonlyMap<object, unknown>,
  byDepth = 0,
): Culprit | null => {
  const seen = new Set<unknown>()
  const queue: Step[] = [{ value: root, parent: null, segment: '', length: 0 }]
  for (let head = 0; head < queue.length; head++) {
    const step = queue[head]!
    const value = step.value
    if (byDepth > 0 ? step.length >= byDepth : Object.is(value, culprit)) {
      return { path: render(step, label), thrown: null }
    }
    if (typeof value !== 'object' || value === null || seen.has(value)) continue
    seen.add(value)
    const add = (segment: string, child: unknown): void => {
      queue.push({ value: child, parent: step, segment, length: step.length + 1 })
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
        return { path: render({ ...step, parent: step, segment }, label), thrown: { error } }
      }
      add(segment, child)
    }
  }
  return null
}
