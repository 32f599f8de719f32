// Everything that can be found wrong without running it.
import { spawnSync } from 'node:child_process'

const commands = [
  ['cargo', 'fmt', '--all', '--check'],
  ['cargo', 'clippy', '--workspace', '--', '-D', 'warnings'],
  [
    'cargo',
    'clippy',
    '--workspace',
    '--exclude',
    'node-multiprocessing',
    '--all-targets',
    '--',
    '-D',
    'warnings',
  ],
  ['npx', 'tsc', '-p', 'tsconfig.json', '--noEmit'],
  ['npx', 'tsc', '-p', 'tsconfig.test.json', '--noEmit'],
  ['npx', 'biome', 'ci', '--error-on-warnings', '--colors=off'],
]

const failed = commands.filter(([command, ...args]) => {
  console.log(`> ${command} ${args.join(' ')}`)
  return spawnSync(command, args, { stdio: 'inherit' }).status !== 0
})
for (const command of failed) console.log(`failed: ${command.join(' ')}`)
process.exit(failed.length === 0 ? 0 : 1)
