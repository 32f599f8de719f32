/** The command line of the benchmark. @module */
import { parseArgs } from 'node:util'

/** What the command line asked for. */
export interface Options {
  /** One round of small amounts: shows that everything runs, measures nothing worth quoting. */
  readonly quick: boolean
  /** A missed floor makes the exit code 1. */
  readonly check: boolean
  readonly help: boolean
  /** Names of the parts to run, or what several names begin with; empty for all. */
  readonly only: readonly string[]
}

/** What `--help` prints, given the names `--only` accepts. */
export const usage = (names: readonly string[]): string =>
  [
    'npm run bench -- [--quick] [--check] [--only NAME]...',
    '',
    '  --quick      one round of small amounts, to see that everything runs',
    '  --check      exit with 1 when a floor is missed',
    `  --only NAME  run this part alone (repeat for several): ${names.join(', ')};`,
    '               the part of a name before a hyphen stands for all that begin with it',
    '',
    'PYTHON names the interpreters to compare with, separated as PATH is; python3 without it.',
  ].join('\n')

/** Whether a part is one that `--only` named, by its name or by what its name begins with. */
export const isNamed = (part: string, only: readonly string[]): boolean =>
  only.some((name) => part === name || part.startsWith(`${name}-`))

/**
 * Reads the command line.
 * @param args what follows the script's name.
 * @param names the parts that `--only` may name.
 * @throws {TypeError} for an option that does not exist.
 * @throws {RangeError} for a part that does not exist, naming those that do.
 */
export const parseOptions = (args: readonly string[], names: readonly string[]): Options => {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: 'boolean', default: false },
      check: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
      only: { type: 'string', multiple: true, default: [] },
    },
  })
  const unknown = values.only.find((name) => !names.some((part) => isNamed(part, [name])))
  if (unknown !== undefined) {
    throw new RangeError(`--only ${unknown}: there is no such part; there are ${names.join(', ')}`)
  }
  return values
}
