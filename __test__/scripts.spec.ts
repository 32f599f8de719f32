/** Finding the script of a function, with the debugger and without. */
import test from 'ava'
import { program as written } from './fixtures/process-programs.js'
import { runProgram } from './helpers/run-program.js'

const program = new URL('./fixtures/script-lookups.js', import.meta.url)

const lookUps = async (args: string[], execArgv: string[]) => {
  const { code, stdout, stderr } = await runProgram(program, { args, execArgv })
  if (code !== 0) throw new Error(stderr)
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
}

const source = '(x) => x * factor'
const again = '() => factor'
const lone = '(x) => x * 2'

test('the debugger is not enabled for functions of modules, and is for others', async (t) => {
  t.deepEqual(await lookUps([], []), [
    ['module', 0, 'by value', source, ['factor']],
    ['module again', 0, 'by value', again, ['factor']],
    ['module without variables', 0, 'by value', lone, []],
    ['with an offset', 1, 'by value', '(x) => x + 1', []],
    ['of a file that is none', 1, 'by value', '(x) => x + 2', []],
    ['compiled function', 1, 'by value', '(x) => x + y', ['y']],
  ])
})

test('where code from strings is forbidden, the debugger tells', async (t) => {
  t.deepEqual(await lookUps(['module'], ['--disallow-code-generation-from-strings']), [
    ['module', 1, 'by value', source, ['factor']],
    ['module again', 0, 'by value', again, ['factor']],
    ['module without variables', 1, 'by value', lone, []],
  ])
})

test('what finds scripts is found again when V8 has dropped it', async (t) => {
  const { stdout, stderr } = await written(
    t,
    `import { One } from './one.mjs'
import { Other } from './other.mjs'
const [ours, theirs] = mp.Pipe()
const arrives = (object) => {
  ours.sendSync(object)
  return theirs.recvSync().constructor === object.constructor
}
const before = arrives(new One())
for (let i = 0; i < 20; i++) {
  gc()
  await new Promise(setImmediate)
}
console.log(before, arrives(new Other()))
`,
    {
      files: {
        'one.mjs': 'export class One extends Error {}',
        'other.mjs': 'export class Other extends Error {}',
      },
      execArgv: ['--expose-gc', '--stress-flush-code'],
    },
  )
  t.is(stdout, 'true true\n', stderr)
})
