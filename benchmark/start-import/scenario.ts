/** What a program pays for importing a package. @module */
import type { NodePeer, Scenario } from '../scenario.js'

const peer = (name: string, title: string, more: Partial<NodePeer> = {}): NodePeer => ({
  kind: 'node',
  key: name,
  title,
  module: new URL('./programs.js', import.meta.url).href,
  measure: 'importAlone',
  parameters: { name },
  ...more,
})

/** The scenario. */
export const startImport: Scenario = {
  name: 'start-import',
  title: 'a program that imports a package, and ends',
  unit: { label: 'ms', better: 'lower' },
  rounds: 9,
  amounts: { full: { repeats: 3 }, quick: { repeats: 1 } },
  peers: [
    peer('node-multiprocessing', 'ours', { ours: 'ours' }),
    peer('', 'no package'),
    peer('piscina', 'piscina'),
    peer('tinypool', 'tinypool'),
    peer('workerpool', 'workerpool'),
    peer('poolifier', 'poolifier'),
  ],
  floors: [],
}
