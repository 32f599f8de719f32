/** A pool of two workers: one task after the other, and many at once. @module */
import type { NodePeer, Scenario } from '../scenario.js'

const ours = new URL('./ours.js', import.meta.url).href

const ourPeer = (key: string, title: string, column: string, measure: string): NodePeer => ({
  kind: 'node',
  key,
  title: `ours, ${title}`,
  ours: column,
  module: ours,
  measure,
})

/** The next task is given when the result of the last is there. */
export const poolApply: Scenario = {
  name: 'pool-apply',
  title: 'x * x as one task of a pool of 2, until its result is there',
  unit: { label: 'µs', better: 'lower' },
  rounds: 5,
  amounts: {
    full: { processes: 2, warmup: 200, duration: 500 },
    quick: { processes: 2, warmup: 10, duration: 30 },
  },
  peers: [
    ourPeer('ours', 'await apply()', 'apply', 'apply'),
    ourPeer('ours-sync', 'applySync()', 'applySync', 'applySync'),
    {
      kind: 'python',
      key: 'python',
      title: 'Pool.apply',
      script: 'pool.py',
      parameters: { variant: 'apply' },
    },
  ],
  floors: [
    { ours: 'ours', against: ['python'], factor: 1 },
    { ours: 'ours-sync', against: ['python'], factor: 1 },
  ],
}

/** All tasks are given at once. */
export const poolMap: Scenario = {
  name: 'pool-map',
  title: 'map of x * x over 100,000 numbers (quick: 1,000) in a pool of 2',
  unit: { label: 'ms', better: 'lower' },
  rounds: 5,
  amounts: {
    full: { processes: 2, items: 100_000, repeats: 5 },
    quick: { processes: 2, items: 1_000, repeats: 1 },
  },
  peers: [
    ourPeer('ours', 'await map()', 'map', 'map'),
    ourPeer('ours-sync', 'mapSync()', 'mapSync', 'mapSync'),
    {
      kind: 'python',
      key: 'python',
      title: 'Pool.map',
      script: 'pool.py',
      parameters: { variant: 'map' },
    },
  ],
  floors: [
    { ours: 'ours', against: ['python'], factor: 1 },
    { ours: 'ours-sync', against: ['python'], factor: 1 },
  ],
}
