/** What a batch's acknowledgement must be. @module */

/**
 * Checks the sum of the identifiers 0 to `count` - 1.
 * @throws {Error} when messages were lost or repeated.
 */
export const verifySum = (sum: unknown, count: number): void => {
  const expected = (count * (count - 1)) / 2
  if (sum !== expected) throw new Error(`the identifiers add up to ${sum}, not to ${expected}`)
}
