/** The modules of the facade that are files of their own in dist/. */
export const entries = [
  'codec',
  'connection',
  'context',
  'fork-guard',
  'forkserver-main',
  'heap',
  'import-module',
  'index',
  'pool',
  'process',
  'queues',
  'reduction',
  'spawn-main',
  'spawned',
  'synchronize',
  'util',
]
