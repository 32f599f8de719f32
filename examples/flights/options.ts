import { parseArgs } from 'node:util'
import { UsageError } from './errors.js'

/** With fewer, the ends of a 95 % interval would be a matter of two or three resamples. */
const FEWEST_RESAMPLES = 100
/** With more, the means of all hours would take gigabytes. */
const MOST_RESAMPLES = 1_000_000

export const USAGE = `usage: main.js [--resamples N] [--output FILE]

  --resamples N   bootstrap resamples of each hour, ${FEWEST_RESAMPLES} to ${MOST_RESAMPLES}; default 5000
  --output FILE   where to write the plot; default examples/flights/output/delays.svg
  --help          this text`

/** What the command line says. */
export interface Options {
  resamples: number
  /** Path of the plot; undefined for the default place. */
  output: string | undefined
  help: boolean
}

/**
 * Reads the command line.
 *
 * @param args  the arguments after the name of the program
 * @throws {UsageError} that names the argument that is wrong
 */
export function parseOptions(args: string[]): Options {
  const values = parse(args)
  const resamples = Number(values.resamples)
  if (!Number.isInteger(resamples) || resamples < FEWEST_RESAMPLES || resamples > MOST_RESAMPLES) {
    throw new UsageError(
      `--resamples must be a whole number from ${FEWEST_RESAMPLES} to ${MOST_RESAMPLES}, ` +
        `but is "${values.resamples}"`,
    )
  }
  return { resamples, output: values.output, help: values.help }
}

function parse(args: string[]) {
  try {
    return parseArgs({
      args,
      options: {
        resamples: { type: 'string', default: '5000' },
        output: { type: 'string' },
        help: { type: 'boolean', default: false },
      },
    }).values
  } catch (cause) {
    throw new UsageError((cause as Error).message, { cause })
  }
}
