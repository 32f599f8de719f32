/**
 * How process objects find the start method that starts them.
 * @module
 */
import type { Child } from './children.js'
import type { Process } from './process.js'

/** Starts the process of an object: what a start method is. */
export type Start = (process: Process) => Child

/** Under which a context's own Process classes keep how they are started. */
export const startMethod: unique symbol = Symbol('startMethod')

let startByDefault: Start

/** Says how a Process of no particular context is started. */
export const setDefaultStart = (start: Start): void => {
  startByDefault = start
}

/** What starts this object: its class's own method, or the program's. */
export const starterOf = (process: Process): Start =>
  (process.constructor as { [startMethod]?: Start })[startMethod] ?? startByDefault
