/** Handing shared memory to another process. @module */
import type { NodePeer, PythonPeer, Scenario } from '../scenario.js'

const MEBIBYTE = 1 << 20
const GIBIBYTE = 1 << 30

const ours = (key: string, title: string, size: number): NodePeer => ({
  kind: 'node',
  key,
  title,
  ours: key,
  module: new URL('./ours.js', import.meta.url).href,
  measure: 'handOver',
  parameters: { size },
})

const node = (title: string, size: number): NodePeer => ({
  kind: 'node',
  key: 'node',
  title,
  module: new URL('./node.js', import.meta.url).href,
  measure: 'handOver',
  parameters: { size },
})

const python = (title: string, size: number): PythonPeer => ({
  kind: 'python',
  key: 'python',
  title,
  script: 'handover.py',
  parameters: { size },
})

/** An array of any size. */
export const share1Gib: Scenario = {
  name: 'share-1gib',
  title: 'hand shared memory over, until the other side has read both ends',
  unit: { label: 'ms', better: 'lower' },
  rounds: 7,
  amounts: { full: { repeats: 20 }, quick: { repeats: 5 } },
  peers: [
    ours('1 GiB', 'ours, a new array of 1 GiB', GIBIBYTE),
    ours('1 MiB', 'ours, a new array of 1 MiB', MEBIBYTE),
    node('SharedArrayBuffer of 1 GiB, another thread', GIBIBYTE),
    node('SharedArrayBuffer of 1 MiB, another thread', MEBIBYTE),
    python('SharedMemory of 1 GiB', GIBIBYTE),
    python('SharedMemory of 1 MiB', MEBIBYTE),
  ],
  floors: [
    { ours: '1 GiB', bound: 1 },
    { ours: '1 GiB', against: ['1 MiB'], factor: 2 },
  ],
}
