// Runs the facade's tests (ava) on each Node that is supported, and prints a line for each.
//
//   npm run test:matrix                     every Node, every test
//   npm run test:matrix -- --only 22        one Node; may be given more than once
//   npm run test:matrix -- process pool     these specs, by name or path
//
// The Nodes come from npm and are kept in build/nodes; to have newer ones, remove that folder.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const supported = ['20', '22', '24', '26']
const root = fileURLToPath(new URL('..', import.meta.url))
const nodes = join(root, 'build/nodes')
const skipped = Object.keys(JSON.parse(readFileSync(join(root, 'scripts/skipped.json'), 'utf8')))

const fail = (message) => {
  console.error(message)
  process.exit(2)
}

const parsed = () => {
  try {
    return parseArgs({
      options: { only: { type: 'string', multiple: true } },
      allowPositionals: true,
    })
  } catch (error) {
    return fail(error.message)
  }
}

const { values, positionals } = parsed()
const versions = values.only ?? supported
const unknown = versions.find((version) => !supported.includes(version))
if (unknown) fail(`--only takes one of ${supported.join(', ')}, not ${unknown}`)
if (process.platform !== 'linux' || !['x64', 'arm64'].includes(process.arch)) {
  fail(`npm has no package with node for ${process.platform} ${process.arch} that this knows`)
}

/** The compiled file or files of a spec that is named in whatever way. */
const compiled = (spec) => {
  const path = spec
    .replace(/^(?:\.\/)?(?:build\/)?(?=__test__\/)/, 'build/')
    .replace(/\.ts$/, '.js')
  if (path.startsWith('build/')) return path
  return `build/__test__/**/${basename(path).replace(/(?:\.spec)?(?:\.js)?$/, '')}.spec.js`
}

/** The path of a node of this major version, which is installed first if it is not there. */
const nodeOf = (version) => {
  const prefix = join(nodes, version)
  const name = `node-linux-${process.arch}`
  const node = join(prefix, 'node_modules', name, 'bin/node')
  if (!existsSync(node)) {
    mkdirSync(prefix, { recursive: true })
    const options = ['--no-save', '--no-audit', '--no-fund', '--prefix', prefix]
    const { status } = spawnSync('npm', ['install', ...options, `${name}@${version}`], {
      cwd: prefix,
      stdio: ['ignore', 2, 2],
    })
    if (status !== 0) fail(`${name}@${version} cannot be installed`)
  }
  return node
}

/** Runs the specs with a node and gives back all that was said. */
const run = async (node) => {
  const ava = join(root, 'node_modules/.bin/ava')
  const child = spawn(node, [ava, '--tap', ...positionals.map(compiled)], {
    cwd: root,
    // What runs `node` by its name runs this one.
    env: { ...process.env, PATH: `${dirname(node)}${delimiter}${process.env.PATH}` },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let [output, log] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text) => {
    output += text
    log += text
  })
  child.stderr.setEncoding('utf8').on('data', (text) => {
    log += text
  })
  const [code] = await once(child, 'close')
  return { output, log, ok: code === 0 }
}

const count = (output, word) => Number(output.match(RegExp(`^# ${word} (\\d+)`, 'm'))?.[1] ?? 0)

/** Titles are shortened by what all files that run have in common. */
const hasReason = (title) =>
  skipped.some((known) => known === title || known.endsWith(` › ${title}`))

let anyFailed = false
for (const version of versions) {
  const node = nodeOf(version)
  const exact = spawnSync(node, ['--version'], { encoding: 'utf8' }).stdout?.trim()
  if (!exact) fail(`${node} does not run`)
  const { output, log, ok } = await run(node)
  const logFile = join(nodes, `${version}.log`)
  writeFileSync(logFile, log)

  const titles = (pattern) => [...output.matchAll(pattern)].map((match) => match[1])
  const left = titles(/^(?:not )?ok \d+ - (.*?) # (?:SKIP|TODO)/gm)
  const unexplained = left.filter((title) => !hasReason(title))
  const passed = count(output, 'pass')
  let failed = count(output, 'fail') + unexplained.length
  // A runner that broke off without counting a failure has failed all the same.
  if (failed === 0 && !(ok && passed > 0)) failed = 1
  const without = left.length > 0 ? `, ${left.length} skipped` : ''
  console.log(`${exact}: ${passed} passed, ${failed} failed${without}`)
  if (failed === 0) continue
  anyFailed = true
  for (const title of titles(/^not ok \d+ - (.*?)(?: # .*)?$/gm))
    console.error(`  failed: ${title}`)
  for (const title of unexplained) console.error(`  skipped without a reason: ${title}`)
  console.error(`  more in ${logFile}`)
}
process.exit(anyFailed ? 1 : 0)
