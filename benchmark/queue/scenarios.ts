/** What queues do. @module */
import type { NodePeer, PythonPeer, Scenario } from '../scenario.js'

const ours = new URL('./ours.js', import.meta.url).href

const ourPeer = (key: string, title: string, column: string, measure: string): NodePeer => ({
  kind: 'node',
  key,
  title: `ours, ${title}`,
  ours: column,
  module: ours,
  measure,
})

type Transports = Readonly<Record<string, string>>

const nodePeers = (module: string, measure: string, transports: Transports): NodePeer[] =>
  Object.entries(transports).map(([transport, title]) => ({
    kind: 'node',
    key: transport,
    title,
    module: new URL(module, import.meta.url).href,
    measure,
    parameters: { transport, transfer: false },
  }))

const allTransports = {
  worker: 'Worker.postMessage',
  'fork-json': 'child_process, json',
  'fork-advanced': 'child_process, advanced',
}

/** As JSON, every byte would be a decimal number. */
const transportsOfBytes = {
  worker: 'Worker.postMessage, cloned',
  'fork-advanced': 'child_process, advanced',
}

const pythonPeers = (work: string): PythonPeer[] =>
  ['Queue', 'SimpleQueue'].map((type) => ({
    kind: 'python',
    key: `python-${type}`,
    title: `${type} put/get`,
    script: 'queues.py',
    parameters: { work, type },
  }))

/** Small objects, one to one. */
export const queueOneWayObjects: Scenario = {
  name: 'queue-one-way-objects',
  title: "[id, { a: 1, b: 'text' }] through a queue to a child that acknowledges the last one",
  unit: { label: 'messages/s', better: 'higher' },
  rounds: 5,
  amounts: { full: { warmup: 50_000, count: 150_000 }, quick: { warmup: 100, count: 1000 } },
  peers: [
    ourPeer('ours-sync', 'putSync/getSync', 'sync', 'oneWayQueueSync'),
    ourPeer('ours-simple', 'SimpleQueue putSync/getSync', 'simple', 'oneWaySimpleSync'),
    ourPeer('ours', 'await put/get', 'async', 'oneWayQueue'),
    ourPeer('ours-many', 'putManySync/getManySync', 'many', 'oneWayMany'),
    ...nodePeers('../one-way-objects/node.js', 'sendObjects', allTransports),
    ...pythonPeers('one-way'),
  ],
  floors: [
    { ours: 'ours-sync', bound: 1e6 },
    { ours: 'ours-sync', against: ['python-Queue'], factor: 6 },
    { ours: 'ours-simple', against: ['python-SimpleQueue'], factor: 6 },
  ],
}

/** Small objects, four to four. */
export const queueFourToFour: Scenario = {
  name: 'queue-4-to-4',
  title: "[id, { a: 1, b: 'text' }] through a queue, from four children to four",
  unit: { label: 'messages/s', better: 'higher' },
  rounds: 5,
  amounts: { full: { warmup: 200_000, count: 400_000 }, quick: { warmup: 400, count: 4000 } },
  peers: [
    ourPeer('ours-sync', 'putSync/getSync', 'sync', 'severalQueue'),
    ourPeer('ours-simple', 'SimpleQueue putSync/getSync', 'simple', 'severalSimple'),
    ...pythonPeers('several'),
  ],
  floors: [
    { ours: 'ours-sync', against: ['python-Queue'], factor: 10 },
    { ours: 'ours-simple', against: ['python-SimpleQueue'], factor: 10 },
  ],
}

/** Small buffers. */
export const queueSmallBuffers: Scenario = {
  name: 'queue-small-buffers',
  title: '64-byte buffers through a queue to a child that acknowledges the last one',
  unit: { label: 'messages/s', better: 'higher' },
  rounds: 5,
  amounts: {
    full: { size: 64, warmup: 50_000, count: 200_000 },
    quick: { size: 64, warmup: 500, count: 1000 },
  },
  peers: [
    ourPeer('ours-many', 'putManySync/getManySync', 'many', 'smallMany'),
    ourPeer('ours-sync', 'putSync/getSync', 'sync', 'smallOneByOne'),
    ...nodePeers('./node.js', 'sendSmallBuffers', transportsOfBytes),
    ...pythonPeers('bytes'),
  ],
  floors: [{ ours: 'ours-many', bound: 2e6 }],
}

/** Large buffers. */
export const queueLargeBuffers: Scenario = {
  name: 'queue-large-buffers',
  title: '64 MiB buffers (quick: 1 MiB) through a queue to a child that acknowledges the last one',
  unit: { label: 'GB/s', better: 'higher' },
  rounds: 5,
  amounts: {
    full: { size: 64 * 2 ** 20, warmup: 8, count: 8 },
    quick: { size: 2 ** 20, warmup: 1, count: 1 },
  },
  peers: [
    ourPeer('ours-sync', 'putSync/getSync', 'sync', 'largeQueueSync'),
    ourPeer('ours-simple', 'SimpleQueue putSync/getSync', 'simple', 'largeSimpleSync'),
    ourPeer('ours', 'await put/get', 'async', 'largeQueue'),
    ...nodePeers('../large-buffers/node.js', 'sendBuffers', transportsOfBytes),
    ...pythonPeers('large'),
  ],
  floors: [
    { ours: 'ours-sync', bound: 4 },
    { ours: 'ours-sync', against: ['python-Queue'], factor: 8 },
  ],
}

/** There and back. */
export const queueRoundTrip: Scenario = {
  name: 'queue-round-trip',
  title: "[id, { a: 1, b: 'text' }] through one queue to a child, and back through another",
  unit: { label: 'µs', better: 'lower' },
  rounds: 5,
  amounts: { full: { warmup: 200, duration: 500 }, quick: { warmup: 10, duration: 30 } },
  peers: [
    ourPeer('ours-sync', 'putSync/getSync', 'sync', 'roundTripQueueSync'),
    ourPeer('ours-simple', 'SimpleQueue putSync/getSync', 'simple', 'roundTripSimpleSync'),
    ourPeer('ours', 'await put/get', 'async', 'roundTripQueue'),
    ...nodePeers('../object-round-trip/node.js', 'roundTrip', allTransports),
    ...pythonPeers('round-trip'),
  ],
  floors: [
    { ours: 'ours-sync', against: ['python-Queue'], factor: 0.333 },
    { ours: 'ours-simple', against: ['python-SimpleQueue'], factor: 1 },
  ],
}

/** Nothing at all. */
export const queueIdle: Scenario = {
  name: 'queue-idle',
  title: 'a child that has put in 8 MiB waits for an item for ten seconds (quick: one)',
  unit: { label: 'context switches', better: 'lower' },
  rounds: 1,
  amounts: {
    full: { settle: 15_000, duration: 10_000 },
    quick: { settle: 500, duration: 1000 },
  },
  peers: [
    ourPeer('ours-sync', 'getSync', 'sync', 'idleQueueSync'),
    ourPeer('ours-simple', 'SimpleQueue getSync', 'simple', 'idleSimpleSync'),
    ourPeer('ours', 'await get', 'async', 'idleQueue'),
    ...pythonPeers('idle'),
  ],
  floors: [
    { ours: 'ours-sync', bound: 0 },
    { ours: 'ours-simple', bound: 0 },
    { ours: 'ours', bound: 0 },
  ],
}

/** Memory. */
export const queueMemory: Scenario = {
  name: 'queue-memory',
  title: 'memory that both sides take on between the millionth message and the ten millionth',
  unit: { label: 'MiB', better: 'lower' },
  rounds: 1,
  amounts: {
    full: { warmup: 1_000_000, count: 10_000_000 },
    quick: { warmup: 1000, count: 10_000 },
  },
  peers: [ourPeer('ours-sync', 'putSync/getSync', 'sync', 'growth')],
  floors: [{ ours: 'ours-sync', bound: 32 }],
}

/** All of them. */
export const queueScenarios: readonly Scenario[] = [
  queueOneWayObjects,
  queueFourToFour,
  queueSmallBuffers,
  queueLargeBuffers,
  queueRoundTrip,
  queueIdle,
  queueMemory,
]
