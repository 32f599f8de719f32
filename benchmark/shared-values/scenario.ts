/** Numbers that two processes change, and arrays that are read in place. @module */
import type { NodePeer, PythonPeer, Scenario } from '../scenario.js'

const ours = (key: string, title: string, measure: string): NodePeer => ({
  kind: 'node',
  key,
  title,
  ours: key,
  module: new URL('./ours.js', import.meta.url).href,
  measure,
})

const node = (key: string, title: string, measure: string): NodePeer => ({
  kind: 'node',
  key,
  title,
  module: new URL('./node.js', import.meta.url).href,
  measure,
})

const python = (variant: string, title: string): PythonPeer => ({
  kind: 'python',
  key: 'python',
  title,
  script: 'shared_values.py',
  parameters: { variant },
})

/** A counter. */
export const sharedCounter: Scenario = {
  name: 'shared-counter',
  title: 'two processes add to one number, each time in one step',
  unit: { label: 'million/s', better: 'higher' },
  rounds: 7,
  amounts: {
    full: { warmup: 200, duration: 500 },
    quick: { warmup: 10, duration: 50 },
  },
  peers: [
    ours('ours', 'ours, Value.add', 'addTogether'),
    node('node', 'Atomics.add, two threads', 'addTogether'),
    python('counter', 'Value under its lock'),
  ],
  floors: [{ ours: 'ours', bound: 10 }],
}

/** The elements of an array. */
export const typedArrayReads: Scenario = {
  name: 'typed-array-reads',
  title: 'read a double of a shared array of 100,000',
  unit: { label: 'ns', better: 'lower' },
  rounds: 7,
  amounts: {
    full: { warmup: 200, duration: 500, count: 100_000 },
    quick: { warmup: 20, duration: 50, count: 100_000 },
  },
  peers: [
    ours('typedArray', 'ours, typedArray()', 'readTypedArray'),
    ours('share', 'ours, share()', 'readShared'),
    node('plain', 'a plain Float64Array', 'readPlain'),
    node('threads', 'one over a SharedArrayBuffer', 'readBetweenThreads'),
    python('reads', 'RawArray'),
  ],
  floors: [
    { ours: 'typedArray', against: ['plain'], factor: 1.1 },
    { ours: 'share', against: ['plain'], factor: 1.1 },
  ],
}
