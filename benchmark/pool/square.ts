/** Tasks that cost nothing, so that only the pool is measured. @module */

/** The square of a number. */
export function square(x: number): number {
  return x * x
}

/** Quicker computed than the number is fetched from memory. */
export function root(x: number): number {
  return Math.sqrt(x) * 0.5 + 1
}

/** Takes the processor longer. */
export function sine(x: number): number {
  return Math.sin(x)
}
