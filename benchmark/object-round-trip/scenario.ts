/** A small object goes to another process and comes back. @module */
import type { NodePeer, Scenario } from '../scenario.js'

const ours = new URL('./ours.js', import.meta.url).href
const node = new URL('./node.js', import.meta.url).href

const nodePeer = (transport: string, title: string): NodePeer => ({
  kind: 'node',
  key: transport,
  title,
  module: node,
  measure: 'roundTrip',
  parameters: { transport },
})

/** The scenario. */
export const objectRoundTrip: Scenario = {
  name: 'object-round-trip',
  title: "[id, { a: 1, b: 'text' }] to a child that sends it back",
  unit: { label: 'µs', better: 'lower' },
  rounds: 5,
  amounts: { full: { warmup: 200, duration: 500 }, quick: { warmup: 10, duration: 30 } },
  peers: [
    {
      kind: 'node',
      key: 'ours-sync',
      title: 'ours, sendSync/recvSync',
      ours: 'sync',
      module: ours,
      measure: 'roundTripSync',
    },
    {
      kind: 'node',
      key: 'ours',
      title: 'ours, await send/recv',
      ours: 'async',
      module: ours,
      measure: 'roundTrip',
    },
    nodePeer('worker', 'Worker.postMessage'),
    nodePeer('message-channel', 'MessageChannel to a Worker'),
    nodePeer('fork-json', 'child_process, json'),
    nodePeer('fork-advanced', 'child_process, advanced'),
    {
      kind: 'python',
      key: 'python',
      title: 'Pipe send/recv',
      script: 'object_round_trip.py',
    },
  ],
  floors: [
    { ours: 'ours-sync', against: ['python'], factor: 1 },
    {
      ours: 'ours',
      against: ['worker', 'message-channel', 'fork-json', 'fork-advanced'],
      factor: 1,
    },
  ],
}
