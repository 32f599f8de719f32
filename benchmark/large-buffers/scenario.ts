/** Large buffers go to another process. @module */
import type { NodePeer, PythonPeer, Scenario } from '../scenario.js'

const ours = new URL('./ours.js', import.meta.url).href
const node = new URL('./node.js', import.meta.url).href
const size = 64 * 2 ** 20

const ourPeer = (key: string, title: string, column: string, measure: string): NodePeer => ({
  kind: 'node',
  key,
  title: `ours, ${title}`,
  ours: column,
  module: ours,
  measure,
})

const nodePeer = (key: string, title: string, parameters: NodePeer['parameters']): NodePeer => ({
  kind: 'node',
  key,
  title,
  module: node,
  measure: 'sendBuffers',
  ...(parameters === undefined ? {} : { parameters }),
})

const python = (key: string, title: string, variant: string): PythonPeer => ({
  kind: 'python',
  key,
  title,
  script: 'large_buffers.py',
  parameters: { variant },
})

/** The scenario. */
export const largeBuffers: Scenario = {
  name: 'large-buffers',
  title: '64 MiB buffers (quick: 1 MiB) to a child that acknowledges the last one',
  unit: { label: 'GB/s', better: 'higher' },
  rounds: 5,
  amounts: {
    full: { size, warmup: 1, count: 4 },
    quick: { size: 2 ** 20, warmup: 1, count: 1 },
  },
  peers: [
    ourPeer('ours-bytes', 'sendBytesSync/recvBytesSync', 'bytes', 'sendBytesSync'),
    ourPeer('ours-into', 'sendBytesSync/recvBytesIntoSync', 'into', 'sendBytesIntoSync'),
    ourPeer('ours-array', 'sendSync/recvSync, Float64Array', 'array', 'sendArraySync'),
    ourPeer('ours-async', 'await sendBytes/recvBytes', 'async', 'sendBytes'),
    nodePeer('worker', 'Worker.postMessage, cloned', { transport: 'worker', transfer: false }),
    nodePeer('transfer', 'Worker.postMessage, transferred', {
      transport: 'worker',
      transfer: true,
    }),
    nodePeer('fork-advanced', 'child_process, advanced', {
      transport: 'fork-advanced',
      transfer: false,
    }),
    python('python-bytes', 'Pipe send_bytes/recv_bytes', 'bytes'),
    python('python-into', 'Pipe send_bytes/recv_bytes_into', 'into'),
    python('python-array', "Pipe send/recv, array('d')", 'array'),
  ],
  floors: [
    { ours: 'ours-bytes', against: ['python-bytes'], factor: 2 },
    { ours: 'ours-into', against: ['python-into'], factor: 2 },
    { ours: 'ours-array', against: ['python-bytes', 'python-array'], factor: 2 },
  ],
}
