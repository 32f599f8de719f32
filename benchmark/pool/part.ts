/** A part of a shared array, computed by a process that is told when. @module */
import type { Connection } from 'node-multiprocessing'
import { root } from './square.js'

/** What is computed, and where. */
export interface Part {
  readonly input: Float64Array<ArrayBuffer>
  readonly output: Float64Array<ArrayBuffer>
  readonly from: number
  readonly to: number
}

/** Computes all of a part. */
export const compute = ({ input, output, from, to }: Part): void => {
  for (let i = from; i < to; i++) output[i] = root(input[i]!)
}

/** Computes a part as often as it is told to. */
export const computeWhenTold = (connection: Connection, part: Part): void => {
  while (connection.recvSync()) {
    compute(part)
    connection.sendSync(true)
  }
}
