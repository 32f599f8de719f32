import { defineConfig } from 'rolldown'

// A child starts faster from one file than from thirty, so all modules share one chunk; the entries that
// the package exports are a few lines each.
const entries = [
  'codec',
  'connection',
  'context',
  'index',
  'pool',
  'process',
  'reduction',
  'spawn-main',
  'util',
]

export default defineConfig({
  input: Object.fromEntries(entries.map((name) => [name, `src/${name}.ts`])),
  platform: 'node',
  external: [/^node:/, /\/native\//],
  output: {
    dir: 'dist',
    format: 'esm',
    chunkFileNames: '[name].js',
    codeSplitting: {
      groups: [
        {
          name: 'multiprocessing',
          test: (id) => /\/src\//.test(id) && !id.endsWith('/spawn-main.ts'),
        },
      ],
    },
  },
})
