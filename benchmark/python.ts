/** Finds the Python interpreters to compare with. @module */
import { delimiter } from 'node:path'
import { runCommand } from './command.js'

/** An interpreter that ran and has `multiprocessing`. */
export interface Interpreter {
  /** The program itself, not the shim that PATH may lead to. */
  readonly path: string
  /** For example `CPython 3.11.7`. */
  readonly version: string
}

const introduction = [
  'import json, multiprocessing, platform, sys',
  'name = platform.python_implementation() + " " + platform.python_version()',
  'print(json.dumps({"path": sys.executable, "version": name}))',
].join('\n')

const introduce = async (file: string): Promise<Interpreter | null> => {
  const outcome = await runCommand({ file, args: ['-c', introduction], limit: 20_000 })
  return outcome.failure === null ? (JSON.parse(outcome.stdout) as Interpreter) : null
}

/**
 * The interpreters that `PYTHON` names (separated as PATH is), else the python3 on PATH, else the
 * system's; none when there is none.
 * @param environment where to look for `PYTHON`.
 * @throws {Error} when `PYTHON` names one that does not run.
 */
export const findInterpreters = async (
  environment: NodeJS.ProcessEnv,
): Promise<readonly Interpreter[]> => {
  if (environment.PYTHON) {
    const found: Interpreter[] = []
    for (const file of environment.PYTHON.split(delimiter)) {
      const interpreter = await introduce(file)
      if (interpreter === null) throw new Error(`PYTHON: ${file} does not run`)
      found.push(interpreter)
    }
    return found
  }
  for (const file of ['python3', '/usr/bin/python3']) {
    const interpreter = await introduce(file)
    if (interpreter !== null) return [interpreter]
  }
  return []
}
