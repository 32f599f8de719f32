/**
 * Classes that travel by value stay the classes they are: each has an id, by which a process that has
 * it already knows it again.
 * @module
 */
import { createRequire } from 'node:module'

const ids = new WeakMap<Function, string>()
const classes = new Map<string, WeakRef<Function>>()
const collected = new FinalizationRegistry<string>((id) => {
  if (classes.get(id)?.deref() === undefined) classes.delete(id)
})

let unique: string | undefined
let count = 0

/** The id of a class; a new one the first time. */
export const idOf = (type: Function): string => {
  const known = ids.get(type)
  if (known !== undefined) return known
  const crypto = createRequire(import.meta.url)('node:crypto') as typeof import('node:crypto')
  unique ??= crypto.randomBytes(12).toString('base64url')
  const id = `${unique}.${++count}`
  identify(type, id)
  return id
}

/** Whether a function has an id. */
export const hasId = (type: Function): boolean => ids.has(type)

/** Says which class an id means in this process. */
export const identify = (type: Function, id: string): void => {
  ids.set(type, id)
  classes.set(id, new WeakRef(type))
  collected.register(type, id)
}

/** The class that an id means in this process, if it has it. */
export const classOf = (id: string): Function | undefined => classes.get(id)?.deref()
