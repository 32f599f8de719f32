// Makes what is not there yet, or older than what it is made from: the packages, the addon, the facade,
// the compiled tests. `--all` makes everything anew.
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const all = process.argv.includes('--all')

/** When the newest file below a path was changed. */
const newest = (path) => {
  const full = join(root, path)
  if (!existsSync(full)) return 0
  const stat = statSync(full)
  if (!stat.isDirectory()) return stat.mtimeMs
  return Math.max(0, ...readdirSync(full).map((name) => newest(join(path, name))))
}

const run = (command, args) => {
  console.error(`> ${command} ${args.join(' ')}`)
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: ['ignore', 2, 2] })
  if (error) console.error(`${command} cannot be run: ${error.message}`)
  if (status !== 0) process.exit(status ?? 1)
}

const addon = () => {
  const native = join(root, 'native')
  const files = existsSync(native)
    ? readdirSync(native).filter((name) => name.endsWith('.node'))
    : []
  return files.length === 0 ? 0 : Math.min(...files.map((name) => newest(join('native', name))))
}

// Not `npm ci`: it insists on the packages of every platform, which the lock file of one need not name.
const install = ['install', '--no-save', '--no-audit', '--no-fund']

const rust = ['crates', 'Cargo.toml', 'Cargo.lock', 'build.rs']
const steps = [
  {
    made: () => newest('node_modules/.package-lock.json'),
    from: ['package-lock.json'],
    make: install,
  },
  { made: addon, from: rust, make: ['run', 'build:native'] },
  {
    made: () => newest('dist'),
    from: ['src', 'tsconfig.base.json', 'tsconfig.json', 'rolldown.config.mjs'],
    make: ['run', 'build:facade'],
  },
  {
    made: () => newest('build/made'),
    from: ['__test__', 'benchmark', 'examples', 'dist', 'index.d.ts', 'tsconfig.test.json'],
    make: ['run', 'build:tests'],
  },
]

for (const { made, from, make } of steps) {
  if (all || made() < Math.max(...from.map(newest))) run('npm', make)
}
