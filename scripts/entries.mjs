/** The modules of the facade that are files of their own in dist/. */
export const entries = [
  'codec',
  'connection',
  'context',
  'ctypes',
  'fork-guard',
  'forkserver-main',
  'heap',
  'import-module',
  'index',
  'pool',
  'process',
  'reduction',
  'sharedctypes',
  'spawn-main',
  'spawned',
  'util',
]
