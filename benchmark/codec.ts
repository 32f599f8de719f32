/**
 * The codec against msgpackr, `v8.serialize` and JSON, over payloads from a pool's task to 8 MiB of
 * numbers.
 *
 * All peers take turns in one process, payload after payload and round after round, so that each meets
 * caches and type feedback as mixed as in a real program. Before each turn the young garbage of the one
 * before is collected, and every round begins with another peer: else peers would pay for each other.
 * All garbage is not, as V8 then drops optimized code, of some peers more than of others. Figures are
 * medians of the rounds, in microseconds per call; encoding and decoding are measured apart. Every round trip is checked for a
 * sample of its content before it is timed. Large typed arrays: `encode` lists them for the carrier to
 * copy, the others copy them into their message, which the carrier then copies again.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import v8 from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Packr, pack, unpack } from 'msgpackr'
import { decode, type Encoded, encode } from '#codec'

/** How long to measure. */
interface Effort {
  readonly rounds: number
  readonly warmUpMilliseconds: number
  readonly roundMilliseconds: number
}

const FULL: Effort = { rounds: 11, warmUpMilliseconds: 60, roundMilliseconds: 10 }
const QUICK: Effort = { rounds: 1, warmUpMilliseconds: 2, roundMilliseconds: 1 }

interface Peer {
  readonly name: string
  encode(value: unknown): unknown
  decode(message: unknown): unknown
  size(message: unknown): number
  /** Makes a message that stays what it is while others are encoded. */
  keep(message: unknown): unknown
}

interface OwnMessage {
  bytes: Uint8Array
  start: number
  end: number
  buffers: ArrayBuffer[] | null
}

// What travels out of band is not copied by the codec: whoever carries the message copies it, as it
// copies the messages of the others.
const own: Peer = {
  name: 'ours',
  encode: (value) => encode(value),
  decode(message) {
    const { bytes, start, end, buffers } = message as OwnMessage
    return decode(bytes, start, end, { trusted: true, buffers })
  },
  size(message) {
    const { start, end, buffers } = message as OwnMessage
    return (buffers ?? []).reduce((sum, part) => sum + part.byteLength, end - start)
  },
  keep(message) {
    const { bytes, start, end, buffers } = message as Encoded
    return {
      bytes: Buffer.from(bytes.subarray(0, end)),
      start,
      end,
      buffers: buffers?.map((part) => Uint8Array.from(part).buffer) ?? null,
    }
  },
}

const byteLength = (message: unknown): number => (message as Uint8Array).byteLength
const copy = (message: unknown): unknown => Buffer.from(message as Uint8Array)

// Without shared structures every message brings its own records, as it must between any two processes.
const records = new Packr({ useRecords: true })
const cloning = new Packr({ structuredClone: true })

const peers: readonly Peer[] = [
  own,
  {
    name: 'msgpackr',
    encode: (value) => pack(value),
    decode: (message) => unpack(message as Buffer),
    size: byteLength,
    keep: copy,
  },
  {
    name: 'msgpackr records',
    encode: (value) => records.pack(value),
    decode: (message) => records.unpack(message as Buffer),
    size: byteLength,
    keep: copy,
  },
  {
    name: 'msgpackr clone',
    encode: (value) => cloning.pack(value),
    decode: (message) => cloning.unpack(message as Buffer),
    size: byteLength,
    keep: copy,
  },
  {
    name: 'v8',
    encode: (value) => v8.serialize(value),
    decode: (message) => v8.deserialize(message as Buffer),
    size: byteLength,
    keep: copy,
  },
  {
    name: 'JSON',
    encode: (value) => JSON.stringify(value),
    decode: (message) => JSON.parse(message as string),
    size: (message) => Buffer.byteLength(message as string),
    keep: (message) => message,
  },
]

const times = <T>(count: number, make: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, i) => make(i))

const tree = (levels: number): unknown =>
  levels === 0 ? { leaf: true } : { level: levels, left: tree(levels - 1), right: tree(levels - 1) }

const chain = (levels: number): unknown => {
  let at: unknown = null
  for (let i = 0; i < levels; i++) at = { value: i, next: at }
  return at
}

const cyclic = (): unknown => {
  interface Node {
    id: number
    peers: Node[]
    owner: Node | null
  }
  const nodes: Node[] = times(100, (id) => ({ id, peers: [], owner: null }))
  nodes.forEach((node, i) => {
    node.peers.push(nodes[(i + 1) % 100]!, nodes[(i * 7) % 100]!)
    node.owner = nodes[0]!
  })
  return nodes
}

const config = {
  name: 'service',
  version: 3,
  server: { host: '127.0.0.1', port: 8080, tls: { enabled: false, minimum: 'TLSv1.2' } },
  database: {
    url: 'postgres://localhost:5432/main',
    pool: { minimum: 2, maximum: 10, idle: 30000 },
  },
  features: ['search', 'export', 'audit'],
  limits: { requests: 1000, window: 60.5, burst: null },
  debug: true,
}

interface Payload {
  readonly name: string
  readonly value: unknown
  /** Peers that cannot carry it, or arrive at something else. */
  readonly without?: readonly string[]
  /** What must be true of the decoded value. */
  check(decoded: never): boolean
}

const msgpackrs = ['msgpackr', 'msgpackr records', 'msgpackr clone']
const now = 1_700_000_000_000

const payloads: readonly Payload[] = [
  {
    name: 'small object',
    value: { id: 12345, name: 'Alice', score: 3.5, active: true },
    check: (v: { score: number }) => v.score === 3.5,
  },
  {
    name: 'nested config',
    value: config,
    check: (v: typeof config) => v.database.pool.maximum === 10,
  },
  {
    name: 'pool task',
    value: [7, 3, [1, 2, 3], { a: 1 }],
    check: (v: unknown[]) => v.length === 4,
  },
  {
    name: '1000 records',
    value: times(1000, (i) => ({
      id: i,
      name: `user ${i}`,
      score: i / 3,
      active: i % 2 === 0,
      role: i % 5 === 0 ? 'admin' : 'member',
    })),
    check: (v: { id: number }[]) => v[999]?.id === 999,
  },
  { name: '100k ints', value: times(100_000, (i) => i * 37), check: (v: number[]) => v[9] === 333 },
  { name: '100k doubles', value: times(100_000, (i) => i / 7), check: (v: number[]) => v[7] === 1 },
  {
    name: '100k mixed numbers',
    value: times(100_000, (i) => (i % 3 === 0 ? i / 2 + 0.25 : i)),
    check: (v: number[]) => v[3] === 1.75,
  },
  {
    name: '1 MB ASCII',
    value: 'x'.repeat(1_000_000),
    check: (v: string) => v.length === 1_000_000,
  },
  {
    name: '20k chars Cyrillic',
    value: 'Съешь же ещё этих мягких французских булок'.repeat(500),
    check: (v: string) => v.startsWith('Съешь'),
  },
  {
    name: '1000 short strings',
    value: times(1000, (i) => `item number ${i}`),
    check: (v: string[]) => v[5] === 'item number 5',
  },
  {
    name: 'Map of 500',
    value: new Map(times(500, (i) => [`key${i}`, { at: i }])),
    without: ['JSON'],
    check: (v: Map<string, { at: number }> | Record<string, unknown>) =>
      v instanceof Map ? v.get('key9')?.at === 9 : 'key9' in v,
  },
  {
    name: 'Set of 500',
    value: new Set(times(500, (i) => i * 1000)),
    without: ['JSON', 'msgpackr', 'msgpackr records'],
    check: (v: Set<number>) => v.has(9000),
  },
  {
    name: 'tree of 255 nodes',
    value: tree(7),
    check: (v: { level: number }) => v.level === 7,
  },
  {
    name: 'chain of 200',
    value: chain(200),
    check: (v: { value: number }) => v.value === 199,
  },
  {
    name: '500 Dates',
    value: times(500, (i) => new Date(now + i * 1001)),
    without: ['JSON'],
    check: (v: Date[]) => v[1]?.getTime() === now + 1001,
  },
  {
    name: '100 bigints',
    value: times(100, (i) => BigInt(i) ** 9n),
    without: ['JSON'],
    check: (v: bigint[]) => BigInt(v[2]!) === 512n,
  },
  {
    name: '100 large bigints',
    value: times(100, (i) => BigInt(i + 1) ** 99n),
    without: ['JSON', 'msgpackr', 'msgpackr records', 'msgpackr clone'],
    check: (v: bigint[]) => v[1] === 2n ** 99n,
  },
  {
    name: 'typed array of 64 B',
    value: new Float64Array(8).fill(1.5),
    without: ['JSON', 'msgpackr', 'msgpackr records'],
    check: (v: Float64Array) => v[7] === 1.5,
  },
  {
    name: 'Float64Array 64 KiB',
    value: new Float64Array(8192).fill(1.5),
    without: ['JSON', 'msgpackr', 'msgpackr records'],
    check: (v: Float64Array) => v[8191] === 1.5,
  },
  {
    name: 'Float64Array 8 MiB',
    value: new Float64Array(1024 * 1024).fill(1.5),
    without: ['JSON', 'msgpackr', 'msgpackr records'],
    check: (v: Float64Array) => v[1024 * 1024 - 1] === 1.5,
  },
  {
    name: 'Error',
    value: new RangeError('out of range'),
    // msgpackr leaves out the stack.
    without: ['JSON', ...msgpackrs],
    check: (v: Error) => v instanceof RangeError && typeof v.stack === 'string',
  },
  {
    name: 'cyclic graph',
    value: cyclic(),
    without: ['JSON', 'msgpackr', 'msgpackr records'],
    check: (v: { owner: unknown }[]) => v[5]?.owner === v[0],
  },
]

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[values.length >> 1]!

const microseconds = (run: () => unknown, count: number): number => {
  const start = process.hrtime.bigint()
  for (let i = 0; i < count; i++) run()
  return Number(process.hrtime.bigint() - start) / 1000 / count
}

interface Contender {
  readonly payload: string
  readonly peer: string
  readonly bytes: number
  readonly encode: Task
  readonly decode: Task
}

interface Task {
  readonly run: () => unknown
  count: number
  readonly samples: number[]
}

const task = (run: () => unknown): Task => ({ run, count: 1, samples: [] })

const contenders = (): Contender[] =>
  payloads.flatMap((payload) =>
    peers
      .filter((peer) => !payload.without?.includes(peer.name))
      .map((peer): Contender => {
        const message = peer.keep(peer.encode(payload.value))
        const arrived = peer.decode(message) as never
        assert.ok(payload.check(arrived), `${peer.name} carries ${payload.name}`)
        return {
          payload: payload.name,
          peer: peer.name,
          bytes: peer.size(message),
          encode: task(() => peer.encode(payload.value)),
          decode: task(() => peer.decode(message)),
        }
      }),
  )

const warmUp = (all: readonly Task[], effort: Effort): void => {
  for (const each of all) {
    const start = performance.now()
    let calls = 0
    while (performance.now() - start < effort.warmUpMilliseconds) {
      each.run()
      calls++
    }
    const perCall = effort.warmUpMilliseconds / calls
    each.count = Math.max(1, Math.round(effort.roundMilliseconds / perCall))
  }
}

/** The tasks of a round: payload after payload, first all that encode it, then all that decode it. */
const tasksOf = (all: readonly Contender[], round: number): Task[] =>
  payloads.flatMap((payload) => {
    const group = all.filter((each) => each.payload === payload.name)
    const first = round % group.length
    const order = [...group.slice(first), ...group.slice(0, first)]
    return [...order.map((each) => each.encode), ...order.map((each) => each.decode)]
  })

interface Figure {
  payload: string
  peer: string
  bytes: number
  encodeMicroseconds: number
  decodeMicroseconds: number
}

const cell = (value: number): string => value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0)

const table = (figures: readonly Figure[], pick: (figure: Figure) => number): string => {
  const names = peers.map((peer) => peer.name)
  const rows = payloads.map((payload) => {
    const of = (peer: string): Figure | undefined =>
      figures.find((figure) => figure.payload === payload.name && figure.peer === peer)
    const ours = pick(of(own.name)!)
    return [
      payload.name,
      ...names.map((name) => {
        const figure = of(name)
        if (figure === undefined) return '-'
        const value = pick(figure)
        return name === own.name ? cell(value) : `${cell(value)} (${(value / ours).toFixed(2)}x)`
      }),
    ]
  })
  const all = [['', ...names], ...rows]
  const widths = all[0]!.map((_, column) => Math.max(...all.map((row) => row[column]!.length)))
  return all
    .map((row) =>
      row
        .map((text, i) => (i === 0 ? text.padEnd(widths[i]!) : text.padStart(widths[i]!)))
        .join('  '),
    )
    .join('\n')
}

/**
 * Runs the benchmark: prints two tables of times and one of sizes, and writes the figures to
 * `build/benchmark/codec.json`.
 *
 * @param options - `quick`: takes seconds, to see that everything runs; its figures are worth nothing
 *   and are not written. False if not given.
 */
export async function run({ quick = false }: { readonly quick?: boolean } = {}): Promise<void> {
  const effort = quick ? QUICK : FULL
  const all = contenders()
  warmUp(tasksOf(all, 0), effort)
  v8.setFlagsFromString('--expose-gc')
  const collectGarbage = runInNewContext('gc') as (options: { type: 'minor' }) => void
  for (let round = 0; round < effort.rounds; round++) {
    for (const each of tasksOf(all, round)) {
      // The first moves what is still alive, the second makes it old.
      collectGarbage({ type: 'minor' })
      collectGarbage({ type: 'minor' })
      each.samples.push(microseconds(each.run, each.count))
    }
  }
  const figures = all.map(
    (each): Figure => ({
      payload: each.payload,
      peer: each.peer,
      bytes: each.bytes,
      encodeMicroseconds: median(each.encode.samples),
      decodeMicroseconds: median(each.decode.samples),
    }),
  )
  console.log('encode, µs per call (in brackets: how many times our time)')
  console.log(table(figures, (figure) => figure.encodeMicroseconds))
  console.log('\ndecode, µs per call')
  console.log(table(figures, (figure) => figure.decodeMicroseconds))
  console.log('\nbytes')
  console.log(table(figures, (figure) => figure.bytes))
  if (quick) return
  const folder = new URL('../../build/benchmark/', import.meta.url)
  mkdirSync(folder, { recursive: true })
  const versions = { node: process.version, v8: process.versions.v8 }
  writeFileSync(new URL('codec.json', folder), JSON.stringify({ versions, figures }, null, 2))
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await run({ quick: process.argv.includes('--quick') })
}
