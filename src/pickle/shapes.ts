/**
 * Objects of the same keys, made by a function for just these, once there are enough of them.
 * @module
 */
import { setOwn } from './values.js'

/** Makes an object of the values from a place of the stack on. */
export type Maker = (stack: readonly unknown[], at: number) => object

/** After this many objects a function made for them pays for itself. */
const USES_BEFORE_FUNCTION = 24
const KEPT = 512

/** Makers by their keys, from earlier pickles. */
const makers = new Map<string, Maker>()
// Making a function costs tens of microseconds: who invents shapes must not get one for each.
let functionsLeft = 4096

/** A list of keys, and how its objects are made. */
export class Shape {
  readonly keys: readonly string[]
  #uses = 0
  #maker: Maker | undefined

  constructor(keys: readonly string[]) {
    this.keys = keys
  }

  make(stack: readonly unknown[], at: number): object {
    if (this.#maker !== undefined) return this.#maker(stack, at)
    if (++this.#uses === USES_BEFORE_FUNCTION) this.#maker = makerOf(this.keys)
    const made: Record<string, unknown> = {}
    for (const [index, key] of this.keys.entries()) {
      if (key === '__proto__') setOwn(made, key, stack[at + index])
      else made[key] = stack[at + index]
    }
    return made
  }

  map(stack: readonly unknown[], at: number): Map<string, unknown> {
    const made = new Map<string, unknown>()
    for (const [index, key] of this.keys.entries()) made.set(key, stack[at + index])
    return made
  }
}

const makerOf = (keys: readonly string[]): Maker | undefined => {
  // In a literal this key would set the prototype.
  if (keys.includes('__proto__')) return undefined
  const name = JSON.stringify(keys)
  const known = makers.get(name)
  if (known !== undefined || functionsLeft === 0) return known
  functionsLeft--
  const fields = keys.map((key, index) => `${JSON.stringify(key)}: stack[at + ${index}]`)
  try {
    const maker = new Function('stack', 'at', `return { ${fields.join(', ')} }`) as Maker
    if (makers.size === KEPT) makers.clear()
    makers.set(name, maker)
    return maker
  } catch {
    // The process forbids making code from strings; objects are then filled field by field.
    functionsLeft = 0
    return undefined
  }
}
