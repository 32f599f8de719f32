/** Repeats something for a while. @module */

/** How often the clock is looked at. */
const PIECE = 256

/** Repeats an operation for so many milliseconds, and returns how many times it was done. */
export const repeatFor = (milliseconds: number, operation: () => void): number => {
  const end = performance.now() + milliseconds
  let count = 0
  do {
    for (let i = 0; i < PIECE; i++) operation()
    count += PIECE
  } while (performance.now() < end)
  return count
}

/** What was counted, and in how many milliseconds. */
export interface Counted {
  readonly total: number
  readonly time: number
}

/** What two parties did a second, in millions, if the counter they share is right. */
export const millionsPerSecond = ({ total, time }: Counted, counter: number): number => {
  if (counter !== total) throw new Error(`${total} were added, but there are ${counter}`)
  return total / time / 1e3
}
