/** Reading every element of a typed array. @module */
import { type Duration, meanTimeSync } from '../timing.js'

const sum = (values: Float64Array): number => {
  let total = 0
  for (let i = 0; i < values.length; i++) total += values[i]!
  return total
}

/** Fills an array and reads it over and over, in nanoseconds an element. */
export const readAll = (duration: Duration, values: Float64Array): number => {
  const count = values.length
  for (let i = 0; i < count; i++) values[i] = i
  const expected = (count * (count - 1)) / 2
  const time = meanTimeSync(duration, () => {
    if (sum(values) !== expected) throw new Error('the elements are others')
  })
  return (time * 1e6) / count
}
