export const HOURS_PER_DAY = 24

/** A block of resamples of one hour. */
export interface Block {
  hour: number
  /** Number of the first resample. */
  first: number
  /** How many resamples. */
  count: number
}

/**
 * Cuts the work into blocks of about the same number of draws. An hour with many flights gets many
 * small blocks, an hour with few flights gets one.
 *
 * @param flights  flights of each hour; hours without any get no block
 * @param resamples  resamples of each hour
 * @param blocks  about how many blocks to make
 * @returns the blocks, by hour, each resample of each hour in exactly one
 */
export function divideWork(flights: number[], resamples: number, blocks: number): Block[] {
  const draws = flights.reduce((sum, count) => sum + count, 0) * resamples
  return flights.flatMap((count, hour) => {
    if (count === 0) return []
    const pieces = Math.min(resamples, Math.ceil((count * resamples * blocks) / draws))
    return Array.from({ length: pieces }, (_, piece) => {
      const first = Math.floor((piece * resamples) / pieces)
      return { hour, first, count: Math.floor(((piece + 1) * resamples) / pieces) - first }
    })
  })
}

/**
 * Deals the blocks out to rounds like cards, so that every round has some of every hour.
 *
 * @param blocks  all blocks
 * @param rounds  how many rounds, at least 1
 * @returns the blocks of each round
 */
export function dealRounds(blocks: Block[], rounds: number): Block[][] {
  return Array.from({ length: rounds }, (_, round) =>
    blocks.filter((_, index) => index % rounds === round),
  )
}
