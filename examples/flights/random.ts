/** How many words are thrown away after seeding, so that similar seeds give unlike sequences. */
const WARM_UP_ROUNDS = 15

/**
 * The random generator sfc32 ("small fast counting", by Chris Doty-Humphrey, part of PractRand):
 * 128 bits of state, of which 32 are a counter, so no sequence is shorter than 2³² words.
 *
 * It takes three seeds. The demo seeds one generator for every single resample, with (run, hour,
 * number of the resample). Which process draws a resample, and in which order, then cannot change
 * the numbers.
 */
export class Sfc32 {
  /** The words a, b, c of the chaotic part, then the counter. */
  private readonly state: Int32Array

  /**
   * @param first  first seed, taken modulo 2³², as are the others
   * @param second  second seed
   * @param third  third seed
   */
  constructor(first: number, second: number, third: number) {
    this.state = Int32Array.of(first, second, third, 1)
    for (let round = 0; round < WARM_UP_ROUNDS; round++) this.next()
  }

  /** The next word: an integer from 0 to 2³² - 1, each equally likely. */
  next(): number {
    const state = this.state
    const b = state[1]!
    const c = state[2]!
    const word = (state[0]! + b + state[3]!) | 0
    state[0] = b ^ (b >>> 9)
    state[1] = c + (c << 3)
    state[2] = ((c << 21) | (c >>> 11)) + word
    state[3]!++
    return word >>> 0
  }
}
