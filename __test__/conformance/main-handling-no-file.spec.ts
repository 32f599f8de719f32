/** Programs whose main module is no file: text given to node as an option or on its standard input. */
import {
  commonJsSquare,
  lay,
  moduleSquare,
  printing,
  printsSquares,
  runCommand,
} from '../fixtures/main-programs.js'
import { runNode } from '../fixtures/process-programs.js'
import { nothingIsLeftBehind, row } from '../helpers/row.js'

nothingIsLeftBehind()

const files = { 'squares.mjs': moduleSquare, 'squares.cjs': commonJsSquare }

const moduleText = `
import * as mp from 'node-multiprocessing'
import { square } from './squares.mjs'
${printing('square')}
await main()
`

const scriptText = `
const mp = require('node-multiprocessing')
const { square } = require('./squares.cjs')
${printing('square')}
void main()
`

/** An expression whose value node prints. */
const expression = `
const mp = require('node-multiprocessing')
const { square } = require('./squares.cjs')
mp.setStartMethod(process.argv.at(-1))
const pool = new mp.Pool(2)
const squares = pool.mapSync(square, [1, 2, 3])
pool.close()
pool.joinSync()
process.argv.at(-1) + ' -> ' + JSON.stringify(squares)
`

const options: readonly (readonly string[])[] = [
  ['-e', scriptText],
  [`--eval=${scriptText}`],
  ['--input-type=commonjs', '-e', scriptText],
  ['--input-type=module', '-e', moduleText],
  ['--input-type', 'module', '--eval', moduleText],
  ['-e', moduleText, '--input-type=module'],
  ['-p', expression],
  ['-p', '-e', expression],
  ['-pe', expression],
  ['--print', expression],
]

const named = (argv: readonly string[]): string =>
  argv.map((option) => option.split('\n', 1)[0]).join(' ')

for (const argv of options) {
  row(`node ${named(argv)}`, async (t, given) => {
    const outcome = await runNode(argv, { args: [given.method], cwd: lay(t, files) })
    printsSquares(t, outcome, given)
  })
}

row('node -e: a process whose target is of another module', async (t, given) => {
  const text = `
    import * as mp from 'node-multiprocessing'
    import { answer } from './answer.mjs'
    const method = process.argv.at(-1)
    mp.setStartMethod(method)
    const [reader, writer] = mp.Pipe({ duplex: false })
    const child = new mp.Process({ target: answer, args: [writer] })
    child.start()
    writer.close()
    const answered = await reader.recv()
    await child.join()
    console.log(method, '->', JSON.stringify(answered))`
  const answer = 'export const answer = (connection) => connection.sendSync([1, 4, 9])'
  const outcome = await runNode(['--input-type=module', '-e', text], {
    args: [given.method],
    cwd: lay(t, { 'answer.mjs': answer }),
  })
  printsSquares(t, outcome, given)
})

const inputs: readonly (readonly [argv: readonly string[], input: string])[] = [
  [['-'], scriptText],
  [['--input-type=module', '-'], moduleText],
  [['--input-type', 'module', '-'], moduleText],
  [['-r', './squares.cjs', '-'], scriptText],
]

for (const [argv, input] of inputs) {
  row(`code piped to node ${argv.join(' ')}`, async (t, given) => {
    const command = [process.execPath, ...argv, given.method] as const
    printsSquares(t, await runCommand(t, command, { cwd: lay(t, files), input }), given)
  })
}

row('code piped to node without an argument', async (t, given) => {
  const input = `process.argv.push('${given.method}')\n${scriptText}`
  const outcome = await runCommand(t, [process.execPath], { cwd: lay(t, files), input })
  printsSquares(t, outcome, given)
})
