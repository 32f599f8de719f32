/** The main module as a file: its kinds, the ways to name it, and packages. */
import { chmodSync, mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import {
  commonJsMain,
  commonJsSquare,
  isNoForkBomb,
  lay,
  moduleMain,
  moduleSquare,
  packageJson,
  printing,
  printsSquares,
  rowWhere,
  runCommand,
  square,
  unguardedCommonJs,
  unguardedModule,
} from '../fixtures/main-programs.js'
import { runNode } from '../fixtures/process-programs.js'
import { nothingIsLeftBehind, row } from '../helpers/row.js'

nothingIsLeftBehind()

const mixin = (method: string): string => `MultiProcessingCmdLineMixin.${method}`

const ofTypeModule = packageJson({ type: 'module' })
const ofTypeCommonJs = packageJson({ type: 'commonjs' })

/** What the main module is called, what it holds, and the package it is in. */
const scripts: readonly (readonly [name: string, text: string, package_?: string])[] = [
  ['main.mjs', moduleMain],
  ['main.cjs', commonJsMain],
  ['main.mjs', moduleMain, ofTypeCommonJs],
  ['main.cjs', commonJsMain, ofTypeModule],
  ['main.js', moduleMain, ofTypeModule],
  ['main.js', commonJsMain, ofTypeCommonJs],
  ['main.js', commonJsMain],
  ['main.js', moduleMain],
  ['main', commonJsMain],
  ['main', moduleMain],
  ['main', commonJsMain, ofTypeCommonJs],
  ['main', moduleMain, ofTypeModule],
]

for (const [name, text, package_] of scripts) {
  const kind = text === moduleMain ? 'ES module' : 'CommonJS'
  const type = package_ ? `in a package of type ${JSON.parse(package_).type}` : 'in no package'
  const test = name === 'main' ? 'test_basic_script_no_suffix' : 'test_basic_script'
  row(`${mixin(test)}: ${name}, ${kind}, ${type}`, async (t, given) => {
    const folder = lay(t, { [name]: text, ...(package_ && { 'package.json': package_ }) })
    printsSquares(t, await runNode([join(folder, name)], { args: [given.method] }), given)
  })
}

for (const [name, text] of [
  ['main.mjs', moduleMain],
  ['main.cjs', commonJsMain],
] as const) {
  const places = {
    [name]: 'a relative path',
    [`./deeper/../${name}`]: 'a path that goes down and up',
    [`link-${name}`]: 'a symbolic link',
    [`linked/${name}`]: 'a folder behind a symbolic link',
    'bare-link': 'a symbolic link without an extension',
  }
  for (const [path, described] of Object.entries(places)) {
    for (const execArgv of [
      [],
      ['--preserve-symlinks-main'],
      ['--preserve-symlinks', '--preserve-symlinks-main'],
    ]) {
      // Kept as it is, a link without an extension says nothing of what it leads to.
      if (execArgv.length > 0 && (!path.includes('link') || path === 'bare-link')) continue
      const options = execArgv.length > 0 ? `, with ${execArgv.join(' ')}` : ''
      row(`${mixin('test_basic_script')}: ${name} by ${described}${options}`, async (t, given) => {
        const folder = lay(t, { [`real/${name}`]: text, 'deeper/file': '' })
        symlinkSync(`real/${name}`, join(folder, name))
        symlinkSync(`real/${name}`, join(folder, `link-${name}`))
        symlinkSync(`real/${name}`, join(folder, 'bare-link'))
        symlinkSync('real', join(folder, 'linked'))
        const outcome = await runNode([path], { args: [given.method], cwd: folder, execArgv })
        printsSquares(t, outcome, given)
      })
    }
  }

  row(`${mixin('test_basic_script')}: ${name} in a folder of a strange name`, async (t, given) => {
    const place = 'a folder, größer 中文 \u{1f600}'
    const folder = lay(t, { [`${place}/mäin file.${name.slice(-3)}`]: text })
    const outcome = await runNode([`${place}/mäin file.${name.slice(-3)}`], {
      args: [given.method],
      cwd: folder,
    })
    printsSquares(t, outcome, given)
  })

  row(`${mixin('test_basic_script')}: ${name} without its extension`, async (t, given) => {
    const folder = lay(t, {
      'main.js': text,
      'package.json': name === 'main.mjs' ? ofTypeModule : ofTypeCommonJs,
    })
    printsSquares(t, await runNode([join(folder, 'main')], { args: [given.method] }), given)
  })
}

for (const [kind, text, type] of [
  ['ES module', moduleMain, 'module'],
  ['CommonJS', commonJsMain, 'commonjs'],
] as const) {
  row(`${mixin('test_directory')}: index.js, ${kind}`, async (t, given) => {
    const folder = lay(t, { 'place/index.js': text, 'place/package.json': packageJson({ type }) })
    for (const path of ['place', './place/', join(folder, 'place')]) {
      printsSquares(t, await runNode([path], { args: [given.method], cwd: folder }), given)
    }
  })

  row(`${mixin('test_directory')}: main of package.json, ${kind}`, async (t, given) => {
    const folder = lay(t, {
      'lib/start.js': text,
      'package.json': packageJson({ type, main: './lib/start.js' }),
    })
    printsSquares(t, await runNode(['.'], { args: [given.method], cwd: folder }), given)
  })

  row(`${mixin('test_package')}: a command in node_modules/.bin, ${kind}`, async (t, given) => {
    const folder = lay(t, {
      'node_modules/squares/cli.js': `#!/usr/bin/env node\n${text}`,
      'node_modules/squares/package.json': packageJson({ type, name: 'squares', bin: './cli.js' }),
    })
    const bin = join(folder, 'node_modules/.bin')
    mkdirSync(bin)
    chmodSync(join(folder, 'node_modules/squares/cli.js'), 0o755)
    symlinkSync('../squares/cli.js', join(bin, 'squares'))
    const outcome = await runCommand(t, [join(bin, 'squares'), given.method], { cwd: folder })
    printsSquares(t, outcome, given)
  })
}

row(`${mixin('test_module_in_package')}: its module imports a sibling`, async (t, given) => {
  const folder = lay(t, {
    'launch.mjs': `import 'squares/start'`,
    'node_modules/squares/package.json': packageJson({
      name: 'squares',
      type: 'module',
      exports: { './start': './start.js' },
    }),
    'node_modules/squares/sibling.js': 'export const sibling = true',
    'node_modules/squares/start.js': `import { sibling } from './sibling.js'\n${moduleMain}`,
  })
  printsSquares(t, await runNode([join(folder, 'launch.mjs')], { args: [given.method] }), given)
})

row(`${mixin('test_ipython_workaround')}: children that do not need it`, async (t, given) => {
  const folder = lay(t, {
    'squares.mjs': moduleSquare,
    'squares.cjs': commonJsSquare,
    'main.mjs': `
      import * as mp from 'node-multiprocessing'
      import { square } from './squares.mjs'
      if (!mp.isMainProcess) throw new Error('imported in a child')
      ${printing('square')}
      await main()`,
    'main.cjs': `
      const mp = require('node-multiprocessing')
      const { square } = require('./squares.cjs')
      if (!mp.isMainProcess) throw new Error('imported in a child')
      ${printing('square')}
      void main()`,
  })
  for (const name of ['main.mjs', 'main.cjs']) {
    printsSquares(t, await runNode([join(folder, name)], { args: [given.method] }), given)
  }
})

row('a main module that imports itself through another module', async (t, given) => {
  const folder = lay(t, {
    'other.mjs': `
      import * as itself from './main.mjs'
      export const throughOther = (x) => itself.square(x)`,
    'main.mjs': `
      import * as mp from 'node-multiprocessing'
      import { throughOther } from './other.mjs'
      ${square}
      export { square }
      ${printing('throughOther')}
      if (mp.isMainProcess) await main()`,
    'other.cjs': `exports.throughOther = (x) => require('./main.cjs').square(x)`,
    'main.cjs': `
      const mp = require('node-multiprocessing')
      const { throughOther } = require('./other.cjs')
      ${square}
      module.exports = { square }
      ${printing('throughOther')}
      if (mp.isMainProcess) void main()`,
  })
  for (const name of ['main.mjs', 'main.cjs']) {
    printsSquares(t, await runNode([join(folder, name)], { args: [given.method] }), given)
  }
})

row('a main module whose function needs what it awaits at its top level', async (t, given) => {
  const folder = lay(t, {
    'main.mjs': `
      import { setTimeout as sleep } from 'node:timers/promises'
      import * as mp from 'node-multiprocessing'
      const exponent = await sleep(5, 2)
      export const square = (x) => (mp.isMainProcess ? 0 : x ** exponent)
      ${printing('square')}
      if (mp.isMainProcess) await main()`,
  })
  printsSquares(t, await runNode([join(folder, 'main.mjs')], { args: [given.method] }), given)
})

row("the guard of Node's own for CommonJS", async (t, given) => {
  const text = commonJsMain.replace(
    'if (mp.isMainProcess) void',
    'if (require.main === module) void',
  )
  const folder = lay(t, { 'main.cjs': text })
  t.true(text.includes('require.main'))
  printsSquares(t, await runNode([join(folder, 'main.cjs')], { args: [given.method] }), given)
})

rowWhere('main' in import.meta, "the guard of Node's own for ES modules", async (t, given) => {
  const text = moduleMain.replace('if (mp.isMainProcess) await', 'if (import.meta.main) await')
  const folder = lay(t, { 'main.mjs': text })
  t.true(text.includes('import.meta.main'))
  printsSquares(t, await runNode([join(folder, 'main.mjs')], { args: [given.method] }), given)
})

for (const [name, text] of [
  ['main.mjs', unguardedModule],
  ['main.cjs', unguardedCommonJs],
] as const) {
  row(`TestNoForkBomb.test_noforkbomb: ${name}`, async (t, given) => {
    const folder = lay(t, { [name]: text })
    isNoForkBomb(t, await runNode([join(folder, name)], { args: [given.method] }), given)
  })
}

row('TestNoForkBomb.test_noforkbomb: a pool', async (t, given) => {
  const text = moduleMain
    .replace('if (mp.isMainProcess) await', 'await')
    .replace('setStartMethod(method)', 'setStartMethod(method, { force: true })')
  const folder = lay(t, { 'main.mjs': text })
  t.true(text.includes('\nawait main()'))
  const outcome = await runNode([join(folder, 'main.mjs')], { args: [given.method] })
  if (given.method === 'fork') printsSquares(t, outcome, given)
  else t.like(outcome, { code: 1, stdout: '' })
  // The pool says it once, however many workers it has, and no worker has started any.
  if (given.method !== 'fork') t.is(outcome.stderr.match(/: RuntimeError\b/g)?.length, 1)
})
