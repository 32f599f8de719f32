/**
 * Tells apart the Dates of one message. They come in numbers, and looking one up by its time in a table
 * of our own takes a third of what a Set takes to look it up by its identity.
 * @module
 */

const SMALLEST_TABLE = 256
/** So many Dates with the same place in the table are looked at before a Map takes over. */
const MAXIMUM_PROBES = 8

/** The Dates of a message, each with a number. */
export class DateNumbers {
  /** How many Dates there are. */
  count = 0
  #dates: (Date | null)[] = []
  // One plus the number of the Date in each place, 0 where there is none.
  #table = new Int32Array(SMALLEST_TABLE)
  // Those that found no place near theirs: many Dates may have the same time.
  #crowded: Map<Date, number> | null = null

  /**
   * Gives the Date a number.
   *
   * @returns The number it has already, or -1 when it is new.
   */
  identify(date: Date, time: number): number {
    if (this.count * 2 >= this.#table.length) this.#grow()
    const table = this.#table
    const mask = table.length - 1
    const dates = this.#dates
    let place = placeOf(time, mask)
    for (let probe = 0; probe < MAXIMUM_PROBES; probe++) {
      const entry = table[place]!
      if (entry === 0) {
        // Places that were full when it came may be free since the table grew.
        if (this.#crowded?.has(date)) return this.#crowded.get(date)!
        dates[this.count++] = date
        table[place] = this.count
        return -1
      }
      if (dates[entry - 1] === date) return entry - 1
      place = (place + 1) & mask
    }
    return this.#identifyCrowded(date)
  }

  #identifyCrowded(date: Date): number {
    this.#crowded ??= new Map()
    const known = this.#crowded.get(date)
    if (known !== undefined) return known
    this.#crowded.set(date, this.count)
    this.#dates[this.count++] = date
    return -1
  }

  #grow(): void {
    const table = new Int32Array(this.#table.length * 2)
    const mask = table.length - 1
    for (let number = 0; number < this.count; number++) {
      const date = this.#dates[number]!
      if (this.#crowded?.has(date)) continue
      let place = placeOf(date.getTime(), mask)
      let probe = 0
      while (table[place] !== 0 && probe < MAXIMUM_PROBES) {
        place = (place + 1) & mask
        probe++
      }
      if (probe === MAXIMUM_PROBES) {
        this.#crowded ??= new Map()
        this.#crowded.set(date, number)
      } else table[place] = number + 1
    }
    this.#table = table
  }

  /** Forgets all Dates. */
  clear(): void {
    if (this.count === 0) return
    if (this.#table.length > SMALLEST_TABLE * 16) {
      this.#table = new Int32Array(SMALLEST_TABLE)
      this.#dates = []
    } else {
      this.#table.fill(0)
      this.#dates.fill(null, 0, this.count)
    }
    this.#crowded = null
    this.count = 0
  }
}

const placeOf = (time: number, mask: number): number => {
  const mixed = Math.imul(time | 0, 0x9e3779b1)
  return (mixed ^ (mixed >>> 15)) & mask
}
