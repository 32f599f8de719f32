/** A task that costs nothing, so that only the pool is measured. @module */

/** The square of a number. */
export function square(x: number): number {
  return x * x
}
