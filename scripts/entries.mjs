/** The modules of the facade that are files of their own in dist/. */
export const entries = [
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
