/** The modules of the facade that are files of their own in dist/. */
export const entries = [
  'codec',
  'connection',
  'context',
  'fork-guard',
  'forkserver-main',
  'import-module',
  'index',
  'pool',
  'process',
  'reduction',
  'resource-tracker',
  'shared-memory',
  'spawn-main',
  'spawned',
  'util',
]
