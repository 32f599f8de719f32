// Writes the ES modules of dist/: each names what its CommonJS twin exports. And sees that the large file is as
// its readers expect it.
import { isAscii } from 'node:buffer'
import { readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { entries } from './entries.mjs'

/** What only children load. */
const internal = new Set([
  'fork-guard',
  'forkserver-main',
  'import-module',
  'refuse-threads',
  'spawn-main',
  'spawned',
  'thread',
])

/** What is not simply passed on: in a copy of the main process, `isMainProcess` changes. */
const special = new Set(['default', 'isMainProcess', 'onBecomingChild'])
const mainProcess = [
  'export let isMainProcess = loaded.isMainProcess',
  'loaded.onBecomingChild(() => { isMainProcess = false })',
]

const require = createRequire(import.meta.url)

if (!isAscii(readFileSync(new URL('../dist/multiprocessing.cjs', import.meta.url)))) {
  throw new Error('dist/multiprocessing.cjs is not all ASCII')
}

for (const entry of entries.filter((name) => !internal.has(name))) {
  const names = Object.keys(require(`../dist/${entry}.cjs`)).filter((name) => !special.has(name))
  const lines = [
    "const { createRequire } = process.getBuiltinModule('node:module')",
    `const loaded = createRequire(import.meta.url)('./${entry}.cjs')`,
    ...names.map((name) => `export const ${name} = loaded.${name}`),
    ...('onBecomingChild' in require(`../dist/${entry}.cjs`) ? mainProcess : []),
  ]
  writeFileSync(new URL(`../dist/${entry}.js`, import.meta.url), `${lines.join('\n')}\n`)
}
