/** How many tasks a second a pool does that is given many at once. @module */

/** Gives `count` tasks twice, and measures the second time. */
export const tasksPerSecond = async (
  count: number,
  square: (x: number) => PromiseLike<number>,
): Promise<number> => {
  let seconds = 0
  for (let round = 0; round < 2; round++) {
    const begin = performance.now()
    const results = await Promise.all(Array.from({ length: count }, (_, x) => square(x)))
    seconds = (performance.now() - begin) / 1e3
    const wrong = results.findIndex((result, x) => result !== x * x)
    if (wrong !== -1) throw new Error(`the square of ${wrong} came back as ${results[wrong]}`)
  }
  return count / seconds
}
