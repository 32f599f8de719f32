/** The Pythons that there are here. */
import { spawnSync } from 'node:child_process'

const versionOf = (python: string): string | undefined => {
  const { status, stdout } = spawnSync(python, ['-c', 'import sys; print(*sys.version_info[:2])'], {
    encoding: 'utf8',
    timeout: 30_000,
  })
  return status === 0 ? stdout.trim().replace(' ', '.') : undefined
}

const inPyenv = (): string[] =>
  spawnSync('sh', ['-c', 'ls -d "$HOME"/.pyenv/versions/3.1[1-9]*/bin/python3'], {
    encoding: 'utf8',
  })
    .stdout.split('\n')
    .filter(Boolean)

/** Each by its version; `PYTHON` says which, if not these. */
export const pythons: ReadonlyMap<string, string> = (() => {
  const found = new Map<string, string>()
  for (const python of process.env.PYTHON?.split(':') ?? ['python3', ...inPyenv()]) {
    const version = versionOf(python)
    if (version !== undefined && !found.has(version)) found.set(version, python)
  }
  return found
})()
