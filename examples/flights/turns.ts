import type { Progress } from './progress.js'
import type { Block } from './work.js'

/** A way to compute blocks: their resampled means, in the order of the blocks. */
export type Compute = (blocks: Block[]) => Float64Array[] | Promise<Float64Array[]>

/** What one way of computing came to, and how long it took. */
export interface Outcome {
  /** The means of each block in minutes, in the order of the blocks. */
  means: Float64Array[]
  /** Wall-clock time. */
  seconds: number
}

/**
 * Computes all blocks in two ways. They take turns, round by round, and change who is first: a
 * machine that is slower for a while is then slower for both.
 *
 * @param rounds  the blocks of each round
 * @param ways  the two ways
 * @param progress  told of each turn
 * @returns the outcome of each way
 * @throws what a way throws
 */
export async function takeTurns(
  rounds: Block[][],
  ways: [Compute, Compute],
  progress: Progress,
): Promise<[Outcome, Outcome]> {
  const outcomes: [Outcome, Outcome] = [
    { means: [], seconds: 0 },
    { means: [], seconds: 0 },
  ]
  for (const [round, blocks] of rounds.entries()) {
    for (const way of round % 2 === 0 ? ([0, 1] as const) : ([1, 0] as const)) {
      const start = performance.now()
      const means = await ways[way](blocks)
      outcomes[way].seconds += seconds(start)
      outcomes[way].means.push(...means)
      progress.advance(blocks.length)
    }
  }
  return outcomes
}

/** Seconds since a time that `performance.now` gave. */
export function seconds(start: number): number {
  return (performance.now() - start) / 1000
}
