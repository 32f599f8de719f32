/** The modules of the facade that are files of their own in dist/. */
export const entries = [
  'bootstrap',
  'codec',
  'connection',
  'context',
  'import-module',
  'index',
  'pool',
  'process',
  'reduction',
  'spawn-main',
  'util',
]
