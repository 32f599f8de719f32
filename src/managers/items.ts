/**
 * What is got by its place, one after the other.
 * @module
 */
import { IndexError } from '../errors.js'

/** The items at 0, 1, 2 …, each as it is when its turn comes, until there is none. */
export function* itemsOf<T>(get: (index: number) => T): Generator<T> {
  for (let i = 0; ; i++) {
    let item: T
    try {
      item = get(i)
    } catch (error) {
      if (error instanceof IndexError) return
      throw error
    }
    yield item
  }
}
