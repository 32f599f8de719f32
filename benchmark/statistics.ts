/** The few statistics the tables need. @module */

/**
 * The middle of the values, or the mean of the two in the middle.
 * @param values at least one number, in any order.
 * @throws {RangeError} when there is none.
 */
export const median = (values: readonly number[]): number => {
  if (values.length === 0) throw new RangeError('the median of no values is not defined')
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}
