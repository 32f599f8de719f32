/** Waiting for one of many connections, nearly all of them idle. @module */
import type { NodePeer, PythonPeer, Scenario } from '../scenario.js'

const ours = (idle: number, measure: 'ready' | 'readySync'): NodePeer => ({
  kind: 'node',
  key: `${measure}-${idle}`,
  title: `ours, ${measure === 'ready' ? 'await wait' : 'waitSync'} over ${idle}`,
  ours: `${measure === 'ready' ? 'async' : 'sync'} ${idle}`,
  module: new URL('./ours.js', import.meta.url).href,
  measure,
  parameters: { idle },
})

const python = (idle: number): PythonPeer => ({
  kind: 'python',
  key: `python-${idle}`,
  title: `connection.wait over ${idle}`,
  script: 'waiting.py',
  parameters: { idle },
})

/** The scenario. */
export const waitIdle: Scenario = {
  name: 'wait-idle',
  title: 'wait over idle connections and one that has a message, and receive it',
  unit: { label: 'µs', better: 'lower' },
  rounds: 7,
  amounts: {
    full: { warmup: 200, duration: 500 },
    quick: { warmup: 20, duration: 50 },
  },
  peers: [
    ours(10, 'readySync'),
    ours(1000, 'readySync'),
    ours(10, 'ready'),
    ours(1000, 'ready'),
    python(10),
    python(1000),
  ],
  floors: [
    // The same, but for what measuring twice differs by.
    { ours: 'readySync-1000', against: ['readySync-10'], factor: 1.25 },
    { ours: 'ready-1000', against: ['ready-10'], factor: 1.25 },
    { ours: 'readySync-1000', against: ['python-10'], factor: 1 },
  ],
}
