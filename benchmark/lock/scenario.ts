/** Taking and freeing a lock, alone and against another process. @module */
import type { NodePeer, Parameters, PythonPeer, Scenario } from '../scenario.js'

const ours = (key: string, title: string, measure: string, parameters: Parameters): NodePeer => ({
  kind: 'node',
  key,
  title,
  ours: key,
  module: new URL('./ours.js', import.meta.url).href,
  measure,
  parameters,
})

const node = (title: string, measure: string): NodePeer => ({
  kind: 'node',
  key: 'node',
  title,
  module: new URL('./node.js', import.meta.url).href,
  measure,
})

const python = (key: string, title: string, parameters: Parameters): PythonPeer => ({
  kind: 'python',
  key,
  title,
  script: 'locks.py',
  parameters,
})

const amounts = {
  full: { warmup: 200, duration: 500 },
  quick: { warmup: 10, duration: 50 },
}

/** A lock that nobody else wants. */
export const lockUncontended: Scenario = {
  name: 'lock-uncontended',
  title: 'take a lock that nobody else wants, and free it',
  unit: { label: 'ns', better: 'lower' },
  rounds: 7,
  amounts,
  peers: [
    ours('Lock', 'ours, Lock', 'takeAndFree', { recursive: false, shared: false }),
    ours('Lock shared', 'ours, Lock that somebody else has taken', 'takeAndFree', {
      recursive: false,
      shared: true,
    }),
    ours('RLock', 'ours, RLock', 'takeAndFree', { recursive: true, shared: false }),
    node('Atomics, in one process', 'takeAndFree'),
    python('python-lock', 'Lock', { variant: 'alone', recursive: false }),
    python('python-rlock', 'RLock', { variant: 'alone', recursive: true }),
  ],
  floors: [
    { ours: 'Lock', bound: 25 },
    { ours: 'Lock shared', bound: 25 },
    { ours: 'Lock', against: ['python-lock'], factor: 0.2 },
  ],
}

/** A lock that two processes want all the time. */
export const lockContended: Scenario = {
  name: 'lock-contended',
  title: 'two processes add to one number under a lock',
  unit: { label: 'million/s', better: 'higher' },
  rounds: 7,
  amounts,
  peers: [
    ours('ours', 'ours, two processes', 'incrementTogether', {}),
    node('Atomics, two threads', 'incrementTogether'),
    python('python', 'two processes', { variant: 'together' }),
  ],
  floors: [{ ours: 'ours', against: ['python'], factor: 5 }],
}
