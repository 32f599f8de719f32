/**
 * Our side of a pair: a child started by spawn that holds one end of a Pipe.
 * @module
 */
import * as mp from 'node-multiprocessing'

/** A child and the end of the Pipe that this process kept. */
export interface Pair {
  readonly connection: mp.Connection
  /** Waits for the child, whose function has returned or is about to. */
  readonly end: () => Promise<void>
}

/** Starts `target(connection, ...rest)` in a child. */
export const startPair = <Rest extends readonly unknown[]>(
  target: (connection: mp.Connection, ...rest: Rest) => unknown,
  ...rest: Rest
): Pair => {
  const { Pipe, Process } = mp.getContext('spawn')
  const [mine, theirs] = Pipe()
  const child = new Process({ target, args: [theirs, ...rest] })
  child.start()
  theirs.close()
  return {
    connection: mine,
    end: async () => {
      await child.join()
      mine.close()
      if (child.exitcode !== 0) throw new Error(`the child ended with ${child.exitcode}`)
    },
  }
}
