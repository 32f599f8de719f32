import { defineConfig } from 'rolldown'
import { entries } from './scripts/entries.mjs'

/**
 * To TypeScript, `pickle` of the main module is all that `src/pickle.ts` exports, types included. When it runs,
 * that file is loaded on demand.
 */
const pickleOnDemand = {
  name: 'pickle-on-demand',
  transform(code, id) {
    if (!id.endsWith('/src/index.ts')) return null
    const changed = code.replace(
      "export * as pickle from './pickle.js'",
      "export { pickle } from './pickle-on-demand.js'",
    )
    if (changed === code) throw new Error('src/index.ts does not export pickle as expected')
    return changed
  },
}

// A child starts faster from one file than from thirty, and CommonJS loads faster than ES modules, so the
// facade is one CommonJS chunk, but for what many programs do not use. What programs import are ES modules that name its parts; they are
// written by scripts/wrap.mjs. There is one instance, however it is reached. Without letters beyond ASCII its
// text takes V8 half the memory, and no decoder.
export default defineConfig({
  input: Object.fromEntries(entries.map((name) => [name, `src/${name}.ts`])),
  platform: 'node',
  plugins: [pickleOnDemand],
  external: [/^node:/, /\/native\//],
  output: {
    dir: 'dist',
    format: 'cjs',
    comments: false,
    charset: 'ascii',
    entryFileNames: '[name].cjs',
    chunkFileNames: '[name].cjs',
    codeSplitting: {
      groups: [
        {
          name: 'multiprocessing',
          priority: 2,
          test: (id) =>
            /\/src\//.test(id) &&
            !/\/src\/(?:managers|pickle)[/.]/.test(id) &&
            !/\/(?:fork-guard|import-module|refuse-threads|spawn-main)\.ts$/.test(id),
        },
        { name: 'pickling', priority: 1, test: /\/src\/pickle[/.]/ },
        { name: 'managing', test: /\/src\/managers[/.]/ },
      ],
    },
  },
})
