/**
 * An object with nothing but attributes. Mirrors `multiprocessing.managers.Namespace`.
 * @module
 */
import { inspect } from 'node:util'

/**
 * Holds what is assigned to its properties, and shows it.
 *
 * Mirrors `multiprocessing.managers.Namespace`.
 */
export class Namespace {
  [name: string]: unknown

  /** @param attributes - What it has from the beginning. */
  constructor(attributes: Readonly<Record<string, unknown>> = {}) {
    Object.assign(this, attributes)
  }

  /** As the reference prints it: `Namespace(x=1)`; what begins with an underscore is left out. */
  toString(): string {
    const shown = Object.entries(this)
      .filter(([name]) => !name.startsWith('_'))
      .map(([name, value]) => `${name}=${inspect(value)}`)
    return `${this.constructor.name}(${shown.sort().join(', ')})`
  }

  /** How it looks in the console. */
  [inspect.custom](): string {
    return this.toString()
  }
}
