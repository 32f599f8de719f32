/** What the documents say is true: their examples run and print what stands below them, their links lead somewhere. */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import test from 'ava'
import * as mp from 'node-multiprocessing'
import { runProgram } from './helpers/run-program.js'

const root = fileURLToPath(new URL('../../', import.meta.url))

const pages = ['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md']
for (const name of readdirSync(join(root, 'docs'))) {
  if (name.endsWith('.md')) pages.push(join('docs', name))
}

const textOf = (page: string): string => readFileSync(join(root, page), 'utf8')

/** A fenced block: its language and what is in it. */
interface Block {
  readonly language: string
  readonly code: string
}

const blocksOf = (text: string): Block[] =>
  [...text.matchAll(/^```(\S*)[^\n]*\n(.*?)^```$/gms)].map(([, language = '', code = '']) => ({
    language,
    code,
  }))

/** A program in a document, and what it should print. */
interface Example {
  readonly name: string
  /** The options of node that it needs, which stand in its second line. */
  readonly execArgv: readonly string[]
  readonly code: string
  readonly output: string
}

/** Every program of a page; each begins with its name and is followed by its output. */
const examplesOf = (page: string): Example[] => {
  const blocks = blocksOf(textOf(page))
  return blocks.flatMap((block, index) => {
    if (block.language !== 'js') return []
    const name = block.code.match(/^\/\/ ([\w-]+\.mjs)\n/)?.[1]
    if (name === undefined) throw new Error(`an example in ${page} does not begin with its name`)
    const next = blocks[index + 1]
    if (next?.language !== 'text')
      throw new Error(`${name} in ${page} is not followed by its output`)
    const options = block.code.match(/^.*\n\/\/ node (-.*) [\w-]+\.mjs\n/)?.[1]
    return [{ name, execArgv: options?.split(' ') ?? [], code: block.code, output: next.code }]
  })
}

// Inside the project, where programs find the package by its name.
mkdirSync(join(root, 'build'), { recursive: true })
const folder = mkdtempSync(join(root, 'build', 'docs-'))
test.after.always(() => rmSync(folder, { recursive: true, force: true }))

for (const page of pages) {
  for (const { name, execArgv, code, output } of examplesOf(page)) {
    test.serial(`${name} in ${page} prints what the page says`, async (t) => {
      const file = join(folder, name)
      t.false(existsSync(file), 'two examples have the same name')
      writeFileSync(file, code)
      const outcome = await runProgram(pathToFileURL(file), { cwd: root, execArgv })
      t.is(outcome.stderr, '')
      t.is(outcome.stdout, output)
      t.deepEqual([outcome.code, outcome.signal], [0, null])
    })
  }
}

test('there are examples in the README and the pages', (t) => {
  t.true(examplesOf('README.md').length > 0)
  t.true(pages.flatMap(examplesOf).length >= 15)
})

for (const page of pages) {
  test(`${page} links to files that are there`, (t) => {
    const links = [...textOf(page).matchAll(/\]\(([^)#\s]+)[^)]*\)/g)].map(
      ([, target = '']) => target,
    )
    for (const link of links.filter((target) => !/^[a-z]+:/.test(target))) {
      t.true(existsSync(join(root, dirname(page), link)), link)
    }
    t.pass()
  })
}

test('every error class stands in the table of errors, with its code', (t) => {
  const rows = [...textOf('docs/errors.md').matchAll(/^\| `(\w+)` +\| `(ERR_\w+)`/gm)]
  const documented = Object.fromEntries(rows.map(([, name, code]) => [name, code]))
  const actual: Record<string, string> = {}
  for (const [name, value] of Object.entries(mp)) {
    if (typeof value !== 'function' || !(value.prototype instanceof mp.MultiprocessingError))
      continue
    const type = value as unknown as new (detail: unknown) => mp.MultiprocessingError
    // Bytes will do for whatever a class is made from.
    actual[name] = new type(new Uint8Array(0)).code
  }
  t.deepEqual(documented, actual)
})

test('every name of the package stands in the page for people from Python', (t) => {
  const page = textOf('docs/from-python.md')
  const errors = textOf('docs/errors.md')
  for (const name of Object.keys(mp)) {
    const word = new RegExp(`\\b${name}\\b`)
    t.true(word.test(page) || word.test(errors), name)
  }
})
