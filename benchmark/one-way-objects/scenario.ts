/** Small objects go to another process, which counts them. @module */
import type { NodePeer, Scenario } from '../scenario.js'

const ours = new URL('./ours.js', import.meta.url).href
const node = new URL('./node.js', import.meta.url).href

const nodePeer = (transport: string, title: string): NodePeer => ({
  kind: 'node',
  key: transport,
  title,
  module: node,
  measure: 'sendObjects',
  parameters: { transport },
})

/** The scenario. */
export const oneWayObjects: Scenario = {
  name: 'one-way-objects',
  title: "[id, { a: 1, b: 'text' }] to a child that acknowledges the last one",
  unit: { label: 'messages/s', better: 'higher' },
  rounds: 5,
  amounts: { full: { warmup: 20_000, count: 50_000 }, quick: { warmup: 100, count: 1_000 } },
  peers: [
    {
      kind: 'node',
      key: 'ours-sync',
      title: 'ours, sendSync/recvSync',
      ours: 'sync',
      module: ours,
      measure: 'sendObjectsSync',
    },
    {
      kind: 'node',
      key: 'ours',
      title: 'ours, await send/recv',
      ours: 'async',
      module: ours,
      measure: 'sendObjects',
    },
    nodePeer('worker', 'Worker.postMessage'),
    nodePeer('message-channel', 'MessageChannel to a Worker'),
    nodePeer('fork-json', 'child_process, json'),
    nodePeer('fork-advanced', 'child_process, advanced'),
    { kind: 'python', key: 'python', title: 'Pipe send/recv', script: 'one_way_objects.py' },
  ],
  floors: [{ ours: 'ours-sync', against: ['python'], factor: 1 }],
}
