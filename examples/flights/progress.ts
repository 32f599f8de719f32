import { SingleBar } from 'cli-progress'

/** Shows how much of the work is done, until it is disposed of. */
export interface Progress extends Disposable {
  /** So many more blocks are done. */
  advance(blocks: number): void
}

/**
 * Begins to show progress: a bar if the stream is a terminal, otherwise a line at each quarter.
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
  return stream.isTTY ? bar(label, total, stream) : quarters(label, total, stream)
}

function bar(label: string, total: number, stream: NodeJS.WriteStream): Progress {
  const single = new SingleBar({
    format: `${label}  {bar}  {percentage} %  {value}/{total} blocks  {duration_formatted}`,
    barCompleteChar: '█',
    barIncompleteChar: '░',
    barsize: 32,
    clearOnComplete: true,
    hideCursor: true,
    stream,
  })
  single.start(total, 0)
  return {
    advance: (blocks) => single.increment(blocks),
    [Symbol.dispose]: () => single.stop(),
  }
}

function quarters(label: string, total: number, stream: NodeJS.WritableStream): Progress {
  let done = 0
  return {
    advance(blocks) {
      const before = Math.floor((done * 4) / total)
      done += blocks
      const now = Math.floor((done * 4) / total)
      if (now > before) stream.write(`${label}: ${now * 25} %\n`)
    },
    [Symbol.dispose]() {},
  }
}
