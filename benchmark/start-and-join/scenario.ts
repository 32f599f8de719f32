/** Starting a process that does nothing, and waiting for its end. @module */
import type { NodePeer, PythonPeer, Scenario } from '../scenario.js'

const ours = new URL('./ours.js', import.meta.url).href
const node = new URL('./node.js', import.meta.url).href

const nodePeer = (key: string, title: string, measure: string): NodePeer => ({
  kind: 'node',
  key,
  title,
  module: node,
  measure,
})

const python = (method: string): PythonPeer => ({
  kind: 'python',
  key: `python-${method}`,
  title: method,
  script: 'start_and_join.py',
  parameters: { method },
})

/** The scenario. */
export const startAndJoin: Scenario = {
  name: 'start-and-join',
  title: 'start a process that runs an empty function, and wait for its end',
  unit: { label: 'ms', better: 'lower' },
  rounds: 12,
  amounts: { full: { repeats: 3 }, quick: { repeats: 1 } },
  peers: [
    {
      kind: 'node',
      key: 'ours',
      title: 'ours by spawn, await join()',
      ours: 'join',
      module: ours,
      measure: 'startAndJoin',
    },
    {
      kind: 'node',
      key: 'ours-sync',
      title: 'ours by spawn, joinSync()',
      ours: 'joinSync',
      module: ours,
      measure: 'startAndJoinSync',
    },
    nodePeer('node', 'node -e 0, child_process.spawn', 'startBareNode'),
    nodePeer('fork', 'child_process.fork, empty module', 'forkEmptyModule'),
    nodePeer('worker', 'Worker, empty module', 'startEmptyWorker'),
    python('spawn'),
    python('forkserver'),
    python('fork'),
  ],
  floors: [
    { ours: 'ours', against: ['node'], factor: 1.15 },
    { ours: 'ours-sync', against: ['node'], factor: 1.15 },
  ],
}
