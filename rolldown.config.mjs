import { defineConfig } from 'rolldown'
import { entries } from './scripts/entries.mjs'

// A child starts faster from one file than from thirty, and CommonJS loads faster than ES modules, so all
// of the facade is one CommonJS chunk. What programs import are ES modules that name its parts; they are
// written by scripts/wrap.mjs. There is one instance, however it is reached. Without letters beyond ASCII its
// text takes V8 half the memory, and no decoder.
export default defineConfig({
  input: Object.fromEntries(entries.map((name) => [name, `src/${name}.ts`])),
  platform: 'node',
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
          test: (id) =>
            /\/src\//.test(id) &&
            !/\/(?:fork-guard|import-module|refuse-threads|spawn-main)\.ts$/.test(id),
        },
      ],
    },
  },
})
