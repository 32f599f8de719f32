// Runs every test there is and counts them together: the engine's (cargo), the facade's (ava).
// Anything skipped, todo or expected to fail that is not in the list of reasons is a failure.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'

const skipped = JSON.parse(readFileSync(new URL('skipped.json', import.meta.url), 'utf8'))

/** Runs a command, shows what it prints, and gives it back. */
const run = async (command, args) => {
  console.log(`> ${command} ${args.join(' ')}`)
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  child.stdout.setEncoding('utf8')
  child.stdout.on('data', (text) => {
    output += text
    process.stdout.write(text)
  })
  const [code] = await once(child, 'close')
  return { output, ok: code === 0 }
}

const sum = (output, pattern) =>
  [...output.matchAll(pattern)].reduce((total, match) => total + Number(match[1]), 0)

const cargo = await run('cargo', ['test', '--workspace', '--exclude', 'node-multiprocessing'])
const ava = await run('npx', ['ava', '--tap'])

// The start method fork is there only under options of node, where other tests find what they do not expect.
const fork = process.platform === 'linux' && [
  '--node-arguments=--single-threaded --v8-pool-size=1',
  '--match=*\\[fork\\]*',
  'build/__test__/conformance/*.spec.js',
]
const forked = fork ? await run('npx', ['ava', '--tap', ...fork]) : { output: '', ok: true }
const facade = { output: `${ava.output}\n${forked.output}`, ok: ava.ok && forked.ok }
const forks = sum(forked.output, /^# pass (\d+)/gm)
if (fork && forks === 0) console.log('no test of the start method fork was run')

const titles = (pattern) => [...facade.output.matchAll(pattern)].map((match) => match[1])
const left = titles(/^(?:not )?ok \d+ - (.*?) # (?:SKIP|TODO)/gm)
const unexplained = left.filter((title) => !Object.hasOwn(skipped, title))
for (const title of unexplained) console.log(`skipped without a reason: ${title}`)
const ignored = sum(cargo.output, /(\d+) ignored/g)
if (ignored > 0) console.log(`${ignored} Rust tests are ignored`)

// What failed is said again at the end: a log may be kept by its last lines alone.
const failures = [
  ...facade.output.matchAll(/^not ok \d+ - .*(?:\n {2}---\n[\s\S]*?\n {2}\.\.\.)?/gm),
  ...cargo.output.matchAll(/^---- .* ----\n[\s\S]*?(?=\n\n(?:----|failures:))/gm),
]
for (const [failure] of failures) {
  const lines = failure.split('\n')
  console.log(lines.slice(0, 60).join('\n'))
  if (lines.length > 60) console.log(`  (${lines.length - 60} more lines above)`)
}

const passed =
  sum(cargo.output, /test result: \w+\. (\d+) passed/g) + sum(facade.output, /^# pass (\d+)/gm)
let failed = sum(cargo.output, /(\d+) failed;/g) + sum(facade.output, /^# fail (\d+)/gm)
failed += unexplained.length + ignored
if (fork && forks === 0) failed++
// A runner that broke off without counting a failure has failed all the same.
if (failed === 0 && !(cargo.ok && facade.ok)) failed = 1
console.log(
  `${passed} passed, ${failed} failed${left.length > 0 ? `, ${left.length} skipped` : ''}`,
)
process.exit(failed === 0 && passed > 0 ? 0 : 1)
