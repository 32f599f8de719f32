/** Starting a process that does nothing, and waiting for its end. @module */
import { FORK_OPTIONS } from '../fork-options.js'
import type { NodePeer, PythonPeer, Scenario } from '../scenario.js'

const ours = new URL('./ours.js', import.meta.url).href
const node = new URL('./node.js', import.meta.url).href

/** Where a start takes a millisecond, three of them would be no sample. */
const MANY = { repeats: 30 }

const ourPeers = (method: string, more: Partial<NodePeer> = {}): NodePeer[] => [
  {
    kind: 'node',
    key: `ours-${method}`,
    title: `ours by ${method}, await join()`,
    ours: method,
    module: ours,
    measure: 'startAndJoin',
    ...more,
    parameters: { method, ...more.parameters },
  },
  {
    kind: 'node',
    key: `ours-${method}-sync`,
    title: `ours by ${method}, joinSync()`,
    ours: `${method} Sync`,
    module: ours,
    measure: 'startAndJoinSync',
    ...more,
    parameters: { method, ...more.parameters },
  },
]

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
    ...ourPeers('forkserver', { parameters: MANY }),
    ...ourPeers('fork', { parameters: MANY, execArgv: FORK_OPTIONS }),
    ...ourPeers('spawn'),
    nodePeer('node', 'node -e 0, child_process.spawn', 'startBareNode'),
    nodePeer('fork', 'child_process.fork, empty module', 'forkEmptyModule'),
    nodePeer('worker', 'Worker, empty module', 'startEmptyWorker'),
    python('forkserver'),
    python('fork'),
    python('spawn'),
  ],
  floors: [
    { ours: 'ours-forkserver', against: ['python-forkserver'], factor: 0.5 },
    { ours: 'ours-forkserver-sync', against: ['python-forkserver'], factor: 0.5 },
    { ours: 'ours-fork', against: ['fork', 'worker'], factor: 0.5 },
    { ours: 'ours-fork-sync', against: ['fork', 'worker'], factor: 0.5 },
    { ours: 'ours-spawn', against: ['node'], factor: 1.15 },
    { ours: 'ours-spawn-sync', against: ['node'], factor: 1.15 },
  ],
}
