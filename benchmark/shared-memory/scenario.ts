/** Making and removing blocks of shared memory, and reading a list in one. @module */
import type { NodePeer, Parameters, PythonPeer, Scenario } from '../scenario.js'

const ours = (measure: string, parameters: Parameters = {}): NodePeer => ({
  kind: 'node',
  key: 'ours',
  title: 'ours',
  ours: 'ours',
  module: new URL('./ours.js', import.meta.url).href,
  measure,
  parameters,
})

const python = (variant: string, title: string, parameters: Parameters = {}): PythonPeer => ({
  kind: 'python',
  key: 'python',
  title,
  script: 'shared_memory_blocks.py',
  parameters: { variant, ...parameters },
})

const amounts = {
  full: { warmup: 200, duration: 500 },
  quick: { warmup: 10, duration: 50 },
}

const SMALL = { size: 4096, fill: false }
const UNTOUCHED = { size: 1 << 20, fill: false }
const LARGE = { size: 16 << 20, fill: true }

/** A block of a page. */
export const sharedMemorySmall: Scenario = {
  name: 'shared-memory-small',
  title: 'make a block of shared memory of 4 KiB, close it, unlink it',
  unit: { label: 'µs', better: 'lower' },
  rounds: 7,
  amounts,
  peers: [ours('createAndUnlink', SMALL), python('create', 'SharedMemory', SMALL)],
  floors: [{ ours: 'ours', against: ['python'], factor: 1.25 }],
}

/** A block that nobody writes to. What ours takes longer is the memory, which CPython has not taken yet. */
export const sharedMemoryUntouched: Scenario = {
  name: 'shared-memory-untouched',
  title: 'make a block of shared memory of 1 MiB, close it, unlink it',
  unit: { label: 'µs', better: 'lower' },
  rounds: 7,
  amounts,
  peers: [ours('createAndUnlink', UNTOUCHED), python('create', 'SharedMemory', UNTOUCHED)],
  floors: [],
}

/** A block that is large, and written to: ours takes its memory when it is made, CPython when it is used. */
export const sharedMemoryLarge: Scenario = {
  name: 'shared-memory-large',
  title: 'make a block of shared memory of 16 MiB, fill it, close it, unlink it',
  unit: { label: 'µs', better: 'lower' },
  rounds: 7,
  amounts,
  peers: [ours('createAndUnlink', LARGE), python('create', 'SharedMemory', LARGE)],
  floors: [{ ours: 'ours', against: ['python'], factor: 1.25 }],
}

/** An item of a list. */
export const shareableListItem: Scenario = {
  name: 'shareable-list-item',
  title: 'read an int of a ShareableList',
  unit: { label: 'µs', better: 'lower' },
  rounds: 7,
  amounts,
  peers: [ours('readItem'), python('item', 'ShareableList')],
  floors: [{ ours: 'ours', against: ['python'], factor: 0.2 }],
}
