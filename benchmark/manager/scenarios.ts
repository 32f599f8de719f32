/** A manager: one call after the other, many at a time, many clients. @module */
import type { NodePeer, PythonPeer, Scenario } from '../scenario.js'

const module = new URL('./ours.js', import.meta.url).href

const ours = (title: string, column: string, measure: string): NodePeer => ({
  kind: 'node',
  key: 'ours',
  title: `ours, ${title}`,
  ours: column,
  module,
  measure,
})

const python = (title: string, work: string): PythonPeer => ({
  kind: 'python',
  key: 'python',
  title,
  script: 'manager.py',
  parameters: { work },
})

/** One call after the other. */
export const managerGet: Scenario = {
  name: 'manager-get',
  title: 'the value of a key of a managed dict, one call after the other',
  unit: { label: 'µs', better: 'lower' },
  rounds: 5,
  amounts: { full: { warmup: 300, duration: 700 }, quick: { warmup: 10, duration: 30 } },
  peers: [ours('getSync', 'getSync', 'getSync'), python('dict.get', 'get')],
  floors: [{ ours: 'ours', against: ['python'], factor: 1 / 2 }],
}

/** Many calls under way. */
export const managerPipelined: Scenario = {
  name: 'manager-pipelined',
  title:
    'values of a managed dict: a hundred calls at a time, where a thread can have them under way',
  unit: { label: 'calls/s', better: 'higher' },
  rounds: 5,
  amounts: { full: { warmup: 20_000, count: 100_000 }, quick: { warmup: 100, count: 1000 } },
  peers: [ours('100 × get', 'get', 'pipelined'), python('dict.get, one by one', 'rate')],
  floors: [{ ours: 'ours', against: ['python'], factor: 5 }],
}

/** Many clients. */
export const managerClients: Scenario = {
  name: 'manager-100-clients',
  title: 'values of a managed dict, by 100 processes at once (quick: 4)',
  unit: { label: 'calls/s', better: 'higher' },
  rounds: 3,
  amounts: {
    full: { clients: 100, warmup: 10_000, count: 50_000 },
    quick: { clients: 4, warmup: 100, count: 1000 },
  },
  peers: [ours('getSync', 'getSync', 'manyClients'), python('dict.get', 'clients')],
  floors: [{ ours: 'ours', against: ['python'], factor: 3 }],
}

/** What is left of many proxies. */
export const managerMemory: Scenario = {
  name: 'manager-memory',
  title: 'growth of server and client by 1,000,000 proxies created and given up (quick: 1,000)',
  unit: { label: 'MiB', better: 'lower' },
  rounds: 1,
  amounts: { full: { warmup: 400_000, count: 1_000_000 }, quick: { warmup: 1000, count: 1000 } },
  peers: [ours('create and dispose', 'create', 'created')],
  floors: [{ ours: 'ours', bound: 20 }],
}
