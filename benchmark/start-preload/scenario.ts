/** Starting processes that need a table which takes long to make. @module */
import { FORK_OPTIONS } from '../fork-options.js'
import type { NodePeer, PythonPeer, Scenario } from '../scenario.js'

const MANY = { repeats: 15 }

const ourPeer = (
  method: string,
  title: string,
  column: string,
  more: Partial<NodePeer> = {},
): NodePeer => ({
  kind: 'node',
  key: `ours-${column}`,
  title: `ours by ${method}, ${title}`,
  ours: column,
  module: new URL('./ours.js', import.meta.url).href,
  measure: 'startAndJoin',
  ...more,
  parameters: { method, ...more.parameters },
})

const python = (method: string, title: string): PythonPeer => ({
  kind: 'python',
  key: `python-${method}`,
  title: `${method}, ${title}`,
  script: 'start_preload.py',
  parameters: { method },
})

/** The scenario. */
export const startPreload: Scenario = {
  name: 'start-preload',
  title: 'start a process that looks one row up in a table of 50 MB, and wait for its end',
  unit: { label: 'ms', better: 'lower' },
  rounds: 5,
  amounts: { full: { repeats: 3 }, quick: { repeats: 1 } },
  peers: [
    ourPeer('forkserver', 'preloaded, await join()', 'preloaded', { parameters: MANY }),
    ourPeer('forkserver', 'preloaded, joinSync()', 'preloaded Sync', {
      measure: 'startAndJoinSync',
      parameters: MANY,
    }),
    ourPeer('fork', 'joinSync()', 'fork Sync', {
      measure: 'startAndJoinSync',
      parameters: MANY,
      execArgv: FORK_OPTIONS,
    }),
    ourPeer('spawn', 'made in each, await join()', 'spawn'),
    {
      kind: 'node',
      key: 'fork',
      title: 'child_process.fork, made in each',
      module: new URL('./node.js', import.meta.url).href,
      measure: 'forkAndWait',
    },
    python('forkserver', 'preloaded'),
    python('fork', 'made before'),
  ],
  floors: [
    { ours: 'ours-preloaded', bound: 5 },
    { ours: 'ours-preloaded Sync', bound: 5 },
  ],
}
