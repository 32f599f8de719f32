/** A few bytes go to another process and come back. @module */
import type { Scenario } from '../scenario.js'

const ours = new URL('./ours.js', import.meta.url).href

/** The scenario. */
export const bytesRoundTrip: Scenario = {
  name: 'bytes-round-trip',
  title: '64 bytes to a child that sends them back',
  unit: { label: 'µs', better: 'lower' },
  rounds: 7,
  amounts: {
    full: { size: 64, warmup: 200, duration: 500 },
    quick: { size: 64, warmup: 10, duration: 30 },
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
      kind: 'node',
      key: 'ours',
      title: 'ours, await sendBytes/recvBytes',
      ours: 'async',
      module: ours,
      measure: 'roundTrip',
    },
    {
      kind: 'python',
      key: 'python',
      title: 'Pipe send_bytes/recv_bytes',
      script: 'bytes_round_trip.py',
    },
  ],
  floors: [{ ours: 'ours-sync', against: ['python'], factor: 1 }],
}
