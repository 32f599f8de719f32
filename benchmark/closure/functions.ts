/** What is encoded: a closure, one whose variable changes, and an export. @module */

/** A function that captures a constant and another function. */
export const makeClosure = (): ((x: number) => number) => {
  const factor = 3
  const offset = (x: number): number => x + 1
  return (x) => offset(x) * factor
}

/** A function that captures a variable which is assigned to. */
export const makeCounter = (): ((x: number) => number) => {
  let count = 0
  return (x) => {
    count += x
    return count
  }
}

/** A function that travels by reference. */
export function exported(x: number): number {
  return (x + 1) * 3
}
