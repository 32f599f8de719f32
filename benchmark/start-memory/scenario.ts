/** What a child that waits costs. @module */
import { FORK_OPTIONS } from '../fork-options.js'
import type { NodePeer, PythonPeer, Scenario } from '../scenario.js'

const ourPeer = (method: string, execArgv: readonly string[] = []): NodePeer => ({
  kind: 'node',
  key: `ours-${method}`,
  title: `ours by ${method}`,
  ours: method,
  module: new URL('./ours.js', import.meta.url).href,
  measure: 'idleChild',
  parameters: { method },
  execArgv,
})

const python = (method: string): PythonPeer => ({
  kind: 'python',
  key: `python-${method}`,
  title: method,
  script: 'idle_memory.py',
  parameters: { method },
})

/** The scenario. */
export const startMemory: Scenario = {
  name: 'start-memory',
  title: 'memory that a child which waits for a message has for itself (smaps_rollup, Private_*)',
  unit: { label: 'MiB', better: 'lower' },
  rounds: 5,
  amounts: { full: { settle: 300 }, quick: { settle: 20 } },
  peers: [
    ourPeer('forkserver'),
    ourPeer('fork', FORK_OPTIONS),
    ourPeer('spawn'),
    {
      kind: 'node',
      key: 'fork',
      title: 'child_process.fork',
      module: new URL('./node.js', import.meta.url).href,
      measure: 'idleChild',
    },
    python('forkserver'),
    python('fork'),
    python('spawn'),
  ],
  floors: [{ ours: 'ours-forkserver', against: ['fork'], factor: 0.5 }],
}
