/** Bytes over a TCP connection of this machine's, and over a Unix socket. @module */
import type { Scenario } from '../scenario.js'

const ours = new URL('./ours.js', import.meta.url).href

const families = [
  ['tcp', 'AF_INET', 'TCP'],
  ['unix', 'AF_UNIX', 'a Unix socket'],
] as const

const roundTrip = ([name, family, title]: (typeof families)[number]): Scenario => ({
  name: `${name}-round-trip`,
  title: `64 bytes over ${title} to a child that sends them back`,
  unit: { label: 'µs', better: 'lower' },
  rounds: 7,
  amounts: {
    full: { family, size: 64, warmup: 200, duration: 500 },
    quick: { family, size: 64, warmup: 10, duration: 30 },
  },
  peers: [
    {
      kind: 'node',
      key: 'ours-sync',
      title: 'ours, sendBytesSync/recvBytesSync',
      ours: 'sync',
      module: ours,
      measure: 'roundTripSync',
    },
    {
      kind: 'python',
      key: 'python',
      title: 'send_bytes/recv_bytes',
      script: 'network.py',
      parameters: { variant: 'round_trip' },
    },
  ],
  floors: [{ ours: 'ours-sync', against: ['python'], factor: 1 }],
})

const large = ([name, family, title]: (typeof families)[number]): Scenario => ({
  name: `${name}-large-buffers`,
  title: `64 MiB buffers (quick: 1 MiB) over ${title} to a child that acknowledges the last one`,
  unit: { label: 'GB/s', better: 'higher' },
  rounds: 5,
  amounts: {
    full: { family, size: 64 * 2 ** 20, warmup: 4, count: 12 },
    quick: { family, size: 2 ** 20, warmup: 1, count: 1 },
  },
  peers: [
    {
      kind: 'node',
      key: 'ours-sync',
      title: 'ours, sendBytesSync/recvBytesSync',
      ours: 'sync',
      module: ours,
      measure: 'oneWaySync',
    },
    {
      kind: 'python',
      key: 'python',
      title: 'send_bytes/recv_bytes',
      script: 'network.py',
      parameters: { variant: 'one_way' },
    },
  ],
  floors: [{ ours: 'ours-sync', against: ['python'], factor: 2 }],
})

/** The scenarios. */
export const networkScenarios: readonly Scenario[] = [
  ...families.map(roundTrip),
  ...families.map(large),
]
