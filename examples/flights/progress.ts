import { SingleBar } from 'cli-progress'

/** Shows how much of the work is done. */
export interface Progress {
  /** One more block is done. */
  advance(): void
  /** Stops showing; the terminal is as it was. */
  stop(): void
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
  return { advance: () => single.increment(), stop: () => single.stop() }
}

function quarters(label: string, total: number, stream: NodeJS.WritableStream): Progress {
  let done = 0
  return {
    advance() {
      const before = Math.floor((done * 4) / total)
      const now = Math.floor((++done * 4) / total)
      if (now > before) stream.write(`${label}: ${now * 25} %\n`)
    },
    stop() {},
  }
}
