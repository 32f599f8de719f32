/** Pools: one task after the other, many at once, large arrays, and how they start. @module */
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

const others = new URL('./others.js', import.meta.url).href

const otherPeers = (measure: string): NodePeer[] =>
  [
    ['piscina', 'piscina, threads'],
    ['tinypool-threads', 'tinypool, threads'],
    ['tinypool-processes', 'tinypool, processes'],
    ['workerpool-threads', 'workerpool, threads'],
    ['workerpool-processes', 'workerpool, processes'],
    ['poolifier', 'poolifier, threads'],
  ].map(([pool, title]) => ({
    kind: 'node',
    key: pool!,
    title: title!,
    module: others,
    measure,
    parameters: { pool: pool! },
  }))

const everybody = ['python', ...otherPeers('').map(({ key }) => key)]

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
    ...otherPeers('apply'),
    {
      kind: 'python',
      key: 'python',
      title: 'Pool.apply',
      script: 'pool.py',
      parameters: { variant: 'apply' },
    },
  ],
  floors: [
    { ours: 'ours', against: everybody, factor: 1 },
    { ours: 'ours-sync', against: everybody, factor: 1 },
  ],
}

/** All tasks are given at once, and each is a call. */
export const poolFlight: Scenario = {
  name: 'pool-flight',
  title: '50,000 tasks at once (quick: 1,000) of x * x in a pool of 2',
  unit: { label: 'tasks/s', better: 'higher' },
  rounds: 5,
  amounts: { full: { processes: 2, count: 50_000 }, quick: { processes: 2, count: 1_000 } },
  peers: [
    ourPeer('ours', 'apply() for each', 'apply', 'flight'),
    ourPeer('ours-map', 'map(), chunksize 1', 'map', 'flightOfMap'),
    ...otherPeers('flight'),
    {
      kind: 'python',
      key: 'python',
      title: 'Pool.apply_async for each',
      script: 'pool.py',
      parameters: { variant: 'flight' },
    },
  ],
  floors: [
    { ours: 'ours', bound: 200_000 },
    { ours: 'ours-map', bound: 200_000 },
    { ours: 'ours', against: everybody, factor: 2 },
  ],
}

const sharedArray = new URL('./shared-array.js', import.meta.url).href

/** Shared memory in, shared memory out. */
export const poolSharedArray: Scenario = {
  name: 'pool-shared-array',
  title: 'map over a shared array of 100,000,000 doubles (quick: 100,000) in a pool of 2',
  unit: { label: '× one thread', better: 'higher' },
  rounds: 3,
  amounts: {
    full: { processes: 2, length: 100_000_000, repeats: 7 },
    quick: { processes: 2, length: 100_000, repeats: 1 },
  },
  peers: [
    { ...ourPeer('ours', 'map() with into', 'into', 'byPool'), module: sharedArray },
    {
      kind: 'node',
      key: 'hand',
      title: 'ours, two processes with a half each',
      module: sharedArray,
      measure: 'byHand',
    },
  ],
  floors: [{ ours: 'ours', bound: 1.8 }],
}

/** From nothing to eight workers that have answered. */
export const poolStart: Scenario = {
  name: 'pool-start',
  title: 'make a pool of 8, until its workers have answered',
  unit: { label: 'ms', better: 'lower' },
  rounds: 5,
  amounts: { full: { processes: 8, repeats: 5 }, quick: { processes: 8, repeats: 1 } },
  peers: [
    ourPeer('ours', 'Pool by forkserver', 'start', 'start'),
    {
      kind: 'python',
      key: 'python',
      title: 'Pool by forkserver',
      script: 'pool.py',
      parameters: { variant: 'start' },
    },
  ],
  floors: [
    { ours: 'ours', bound: 20 },
    { ours: 'ours', against: ['python'], factor: 0.5 },
  ],
}

/** What is forgotten, and what is not. */
export const poolGrowth: Scenario = {
  name: 'pool-growth',
  title: 'what memory grows by from 2,000,000 tasks to 10,000,000 (quick: from 2,000 to 10,000)',
  unit: { label: 'MB', better: 'lower' },
  rounds: 1,
  amounts: {
    full: { processes: 2, count: 10_000_000 },
    quick: { processes: 2, count: 10_000 },
  },
  peers: [{ ...ourPeer('ours', 'apply() for each', 'apply', 'growth'), execArgv: ['--expose-gc'] }],
  floors: [{ ours: 'ours', bound: 50 }],
}

/** All tasks are given at once. */
export const poolMap: Scenario = {
  name: 'pool-map',
  title: 'map of x * x over 1,000,000 numbers (quick: 1,000) in a pool of 2',
  unit: { label: 'ms', better: 'lower' },
  rounds: 5,
  amounts: {
    full: { processes: 2, items: 1_000_000, repeats: 9 },
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
    { ours: 'ours', against: ['python'], factor: 0.5 },
    { ours: 'ours-sync', against: ['python'], factor: 0.5 },
  ],
}
