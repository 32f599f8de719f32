/** Main modules that something else makes of what is in the file: loaders, compilers, bundlers. */
import { chmodSync, mkdirSync, symlinkSync } from 'node:fs'
import * as module from 'node:module'
import { join } from 'node:path'
import type { ExecutionContext } from 'ava'
import { rolldown } from 'rolldown'
import {
  commonJsMain,
  isNoForkBomb,
  lay,
  moduleMain,
  packageJson,
  printing,
  printsSquares,
  rowWhere,
  runCommand,
  typedMain,
  unguardedModule,
} from '../fixtures/main-programs.js'
import { runNode } from '../fixtures/process-programs.js'
import { optionsForFork } from '../helpers/fork-options.js'
import { nothingIsLeftBehind, row } from '../helpers/row.js'

nothingIsLeftBehind()

const mixin = (method: string): string => `MultiProcessingCmdLineMixin.${method}`

/** The made-up language: ES modules in which SQUARED stands for something. */
const squaredMain = moduleMain.replace('x * x', 'SQUARED')

/** What a loader makes of a file, as text of a module with hooks. */
const translated = (read: string): string => `({
  format: 'module',
  shortCircuit: true,
  source: ${read}.replaceAll('SQUARED', 'x ** 2'),
})`

const loaders = {
  'register.mjs': `
    import { register } from 'node:module'
    register('./hooks.mjs', import.meta.url)`,
  'hooks.mjs': `
    import { readFile } from 'node:fs/promises'
    export const load = async (url, context, next) =>
      url.endsWith('.squared')
        ? ${translated("(await readFile(new URL(url), 'utf8'))")}
        : next(url, context)`,
  'registerHooks.mjs': `
    import { readFileSync } from 'node:fs'
    import { registerHooks } from 'node:module'
    registerHooks({
      load: (url, context, next) =>
        url.endsWith('.squared')
          ? ${translated("readFileSync(new URL(url), 'utf8')")}
          : next(url, context),
    })`,
}

for (const name of ['register', 'registerHooks'] as const) {
  // Later Nodes would rather have the hooks of the other function.
  const execArgv = ['--disable-warning=DEP0205', '--import', `./${name}.mjs`]

  rowWhere(name in module, `a made-up extension loaded by module.${name}`, async (t, given) => {
    const folder = lay(t, { ...loaders, 'main.squared': squaredMain })
    const outcome = await runNode(['main.squared'], {
      args: [given.method],
      cwd: folder,
      execArgv,
    })
    printsSquares(t, outcome, given)
  })

  rowWhere(
    name in module,
    `a module of a made-up extension, imported by main.mjs, loaded by module.${name}`,
    async (t, given) => {
      const folder = lay(t, {
        ...loaders,
        'squares.squared': 'export const square = (x) => SQUARED',
        'main.mjs': `
          import * as mp from 'node-multiprocessing'
          import { square } from './squares.squared'
          ${printing('square')}
          await main()`,
      })
      const outcome = await runNode(['main.mjs'], {
        args: [given.method],
        cwd: folder,
        execArgv,
      })
      printsSquares(t, outcome, given)
    },
  )
}

for (const [name, text] of [
  ['main.mjs', moduleMain],
  ['main.cjs', commonJsMain],
] as const) {
  for (const [option, preload] of [
    ['--require', './preload.cjs'],
    ['-r', './preload.cjs'],
    ['--import', './preload.mjs'],
  ] as const) {
    row(`${name} that needs what ${option} loads`, async (t, given) => {
      const folder = lay(t, {
        'preload.cjs': 'globalThis.squared = (x) => x * x',
        'preload.mjs': 'globalThis.squared = (x) => x * x',
        [name]: text.replace('x * x', 'squared(x)'),
      })
      const outcome = await runNode([name], {
        args: [given.method],
        cwd: folder,
        execArgv: [option, preload],
      })
      printsSquares(t, outcome, given)
    })
  }
}

row('a main module that --import loads first', async (t, given) => {
  const folder = lay(t, { 'main.mjs': moduleMain })
  const outcome = await runNode(['main.mjs'], {
    args: [given.method],
    cwd: folder,
    execArgv: ['--import', 'node-multiprocessing'],
  })
  printsSquares(t, outcome, given)
})

const canStripTypes = 'typescript' in process.features && Boolean(process.features.typescript)

for (const [name, type] of [
  ['main.mts', 'commonjs'],
  ['main.ts', 'module'],
] as const) {
  const files = { [name]: typedMain, 'package.json': JSON.stringify({ type }) }

  row(`${name} with --import tsx`, async (t, given) => {
    const outcome = await runNode([name], {
      args: [given.method],
      cwd: lay(t, files, 'everything'),
      execArgv: ['--import', 'tsx'],
    })
    printsSquares(t, outcome, given)
  })

  row(`${name} with the command tsx`, async (t, given) => {
    const folder = lay(t, files, 'everything')
    const tsx = join(folder, 'node_modules/.bin/tsx')
    const command = [tsx, ...optionsForFork(), name, given.method] as const
    printsSquares(t, await runCommand(t, command, { cwd: folder }), given)
  })

  rowWhere(canStripTypes, `${name} with its types stripped by node`, async (t, given) => {
    const outcome = await runNode([name], {
      args: [given.method],
      cwd: lay(t, files),
      execArgv: ['--disable-warning=ExperimentalWarning'],
    })
    printsSquares(t, outcome, given)
  })
}

/** The program before it is bundled: the main module and what it needs. */
const parts = {
  'numbers.ts': 'export const numbers: number[] = [1, 2, 3]',
  'squares.ts': `
    import { isMainProcess } from 'node-multiprocessing'
    export const square = (x: number): number => (isMainProcess ? 0 : x * x)`,
  'main.ts': `
    import * as mp from 'node-multiprocessing'
    import { numbers } from './numbers.js'
    import { square } from './squares.js'
    export { square }
    const main = async () => {
      const method = process.argv.at(-1) as 'spawn'
      mp.setStartMethod(method)
      const pool = new mp.Pool(2)
      const squares = await pool.map(square, numbers)
      pool.close()
      await pool.join()
      console.log(method, '->', JSON.stringify(squares))
    }
    // A bundle for CommonJS exports what it exports at its very end.
    if (mp.isMainProcess) setImmediate(main)`,
}

/** What a bundler makes of a module in these files, and of all it imports: the text of one file. */
const bundled = async (
  t: ExecutionContext,
  files: Readonly<Record<string, string>>,
  { format, minify }: { readonly format: 'esm' | 'cjs'; readonly minify: boolean },
): Promise<string> => {
  const bundle = await rolldown({
    input: join(lay(t, files), 'main.ts'),
    external: ['node-multiprocessing'],
    platform: 'node',
    resolve: { extensionAlias: { '.js': ['.ts', '.js'] } },
  })
  const { output } = await bundle.generate({ format, minify })
  await bundle.close()
  t.is(output.length, 1, 'one file')
  return output[0].code
}

/** The program as a package, or a package within it, that the main module is but a way into. */
const inPackage = (place: string): Record<string, string> => {
  const { 'main.ts': start, ...others } = parts
  const files = Object.entries({ ...others, 'start.ts': start })
  return {
    'main.ts': `export * from 'squares'`,
    'node_modules/squares/package.json': packageJson({
      name: 'squares',
      type: 'module',
      exports: place === '' ? './start.ts' : './index.js',
    }),
    ...(place !== '' && {
      'node_modules/squares/index.js': `export * from './${place}start.ts'`,
      [`node_modules/squares/${place}package.json`]: packageJson({ type: 'module' }),
    }),
    ...Object.fromEntries(
      files.map(([name, text]) => [`node_modules/squares/${place}${name}`, text]),
    ),
  }
}

for (const [format, file, type] of [
  ['esm', 'bundle.mjs', 'module'],
  ['cjs', 'bundle.cjs', 'commonjs'],
] as const) {
  for (const [test, files, minify] of [
    ['test_zipfile', parts, false],
    ['test_script_compiled', parts, true],
    ['test_module_in_package_in_zipfile', inPackage(''), false],
    ['test_module_in_subpackage_in_zipfile', inPackage('deeper/'), false],
  ] as const) {
    row(`${mixin(test)}: a ${minify ? 'minified ' : ''}bundle as ${format}`, async (t, given) => {
      const folder = lay(t, { [file]: await bundled(t, files, { format, minify }) })
      printsSquares(t, await runNode([file], { args: [given.method], cwd: folder }), given)
    })
  }

  row(`${mixin('test_directory_compiled')}: a minified bundle as ${format}`, async (t, given) => {
    const folder = lay(t, {
      'place/index.js': await bundled(t, parts, { format, minify: true }),
      'place/package.json': packageJson({ type }),
    })
    printsSquares(t, await runNode(['place'], { args: [given.method], cwd: folder }), given)
  })

  row(
    `${mixin('test_zipfile_compiled')}: minified, named by main, as ${format}`,
    async (t, given) => {
      const folder = lay(t, {
        [`dist/${file}`]: await bundled(t, inPackage('deeper/'), { format, minify: true }),
        'package.json': packageJson({ main: `./dist/${file}` }),
      })
      printsSquares(t, await runNode(['.'], { args: [given.method], cwd: folder }), given)
    },
  )

  row(`${mixin('test_package_compiled')}: a command, minified, as ${format}`, async (t, given) => {
    const text = await bundled(t, parts, { format, minify: true })
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

row('TestNoForkBomb.test_noforkbomb: with --import tsx', async (t, given) => {
  const folder = lay(t, { 'main.mts': unguardedModule }, 'everything')
  const outcome = await runNode(['main.mts'], {
    args: [given.method],
    cwd: folder,
    execArgv: ['--import', 'tsx'],
  })
  isNoForkBomb(t, outcome, given)
})

row('TestNoForkBomb.test_noforkbomb: with hooks of module.register', async (t, given) => {
  const folder = lay(t, { ...loaders, 'main.squared': unguardedModule })
  const outcome = await runNode(['main.squared'], {
    args: [given.method],
    cwd: folder,
    execArgv: ['--disable-warning=DEP0205', '--import', './register.mjs'],
  })
  isNoForkBomb(t, outcome, given)
})
