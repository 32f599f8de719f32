/** Tells how much of the work is done, until it is disposed of. */
export interface Progress extends Disposable {
  /** So many more blocks are done. */
  advance(blocks: number): void
}

/**
 * Begins to tell of progress, by a line at each quarter. Not on a terminal: there the pool shows a bar for
 * each of its turns.
 *
 * @param label  what is being done
 * @param total  how many blocks there are, at least one
 * @param stream  where to write
 */
export function startProgress(
  label: string,
  total: number,
  stream: NodeJS.WriteStream = process.stderr,
): Progress {
  let done = 0
  return {
    advance(blocks) {
      const before = Math.floor((done * 4) / total)
      done += blocks
      const now = Math.floor((done * 4) / total)
      if (now > before && !stream.isTTY) stream.write(`${label}: ${now * 25} %\n`)
    },
    [Symbol.dispose]() {},
  }
}
