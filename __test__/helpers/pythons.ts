import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { ExecutionContext } from 'ava'

const versionOf = (python: string): string | undefined => {
  const script = 'import sys; print("%d.%d" % sys.version_info[:2])'
  const { status, stdout } = spawnSync(python, ['-c', script], {
    encoding: 'utf8',
    timeout: 30_000,
  })
  return status === 0 ? stdout.trim() : undefined
}

const named = (): string[] => {
  if (process.env.PYTHON !== undefined) return process.env.PYTHON.split(':')
  const script = 'ls -d "$HOME"/.pyenv/versions/3.1[1-9]*/bin/python3'
  const { stdout } = spawnSync('sh', ['-c', script], { encoding: 'utf8' })
  const onPath = ['3.11', '3.12', '3.13', '3.14'].map((version) => `python${version}`)
  return ['python3', ...onPath, ...stdout.split('\n').filter(Boolean)]
}

/** Every Python that there is here, by its version; pyenv has more than one. */
export const pythons = new Map<string, string>()
for (const python of named()) {
  const version = versionOf(python)
  if (version !== undefined && !pythons.has(version)) pythons.set(version, python)
}

const cache = fileURLToPath(
  new URL('../../../node_modules/.cache/node-multiprocessing', import.meta.url),
)

const runs = async (command: string, args: readonly string[]): Promise<boolean> => {
  const child = spawn(command, args, { stdio: 'ignore', timeout: 120_000 })
  child.on('error', () => {})
  const [code] = await once(child, 'close')
  return code === 0
}

/**
 * A Python of a version that has numpy: in a virtual environment, which is made once. Nothing where that
 * cannot be, as without a network.
 */
export const withNumpy = async (
  t: ExecutionContext,
  version: string,
): Promise<string | undefined> => {
  const python = pythons.get(version)
  if (python === undefined) return undefined
  const place = `${cache}/python-${version}`
  const made = `${place}/bin/python3`
  if (existsSync(made) && (await runs(made, ['-c', 'import numpy']))) return made
  const draft = `${place}.${process.pid}`
  mkdirSync(cache, { recursive: true })
  const done =
    (await runs(python, ['-m', 'venv', draft])) &&
    (await runs(`${draft}/bin/python3`, ['-m', 'pip', 'install', '--quiet', 'numpy']))
  if (!done) {
    rmSync(draft, { recursive: true, force: true })
    t.log(`numpy cannot be installed for Python ${version} here: what needs it is not tested`)
    return undefined
  }
  rmSync(place, { recursive: true, force: true })
  renameSync(draft, place)
  return made
}

/** Where Python's modules of the tests are. */
export const modules = fileURLToPath(new URL('../../../__test__/fixtures/pickles', import.meta.url))

/** Runs Python beside a test, and asserts that it ends well: what it has printed. */
export const beside = async (
  t: ExecutionContext,
  python: string,
  script: string,
  args: readonly string[],
  run: (firstLine: Promise<string>) => Promise<void>,
): Promise<string> => {
  const child = spawn(python, ['-c', script, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, PYTHONPATH: modules, PYTHONDONTWRITEBYTECODE: '1' },
  })
  t.teardown(() => child.kill('SIGKILL'))
  let said = ''
  let complained = ''
  const closed = once(child, 'close')
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complained += text
  })
  const firstLine = new Promise<string>((resolve, reject) => {
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      said += text
      if (said.includes('\n')) resolve(said.slice(0, said.indexOf('\n')))
    })
    void closed.then(() => reject(new Error(`Python said nothing: ${complained}`)))
  })
  firstLine.catch(() => {})
  try {
    await run(firstLine)
  } catch (error) {
    child.kill('SIGKILL')
    await closed
    t.log(complained)
    throw error
  }
  await closed
  t.is(complained, '')
  t.is(child.exitCode, 0)
  return said
}
