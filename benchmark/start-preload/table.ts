/** A module that takes a while to import, and much memory. @module */

/** One row of the table. */
export interface Row {
  readonly id: number
  readonly name: string
  readonly score: number
}

/** How many rows there are: some 50 MB of them. */
export const ROWS = 400_000

/** The table: an object for each row, and a text in it. */
export const table: readonly Row[] = Array.from({ length: ROWS }, (_, id) => ({
  id,
  name: `row number ${id}`,
  score: id / 7,
}))

/** What a child does: it looks one row up. */
export function lookUp(id: number): void {
  if (table[id]?.name !== `row number ${id}`) throw new Error(`the table has no row ${id}`)
}
