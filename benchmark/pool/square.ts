/** Tasks that cost nothing, so that only the pool is measured. @module */

/** The square of a number. */
export function square(x: number): number {
  return x * x
}

/** Of a number, something to be computed. */
export function root(x: number): number {
  return Math.sqrt(x) * 0.5 + 1
}
