import { isDeepStrictEqual } from 'node:util'
import test from 'ava'
import fc from 'fast-check'
import { decode, encode } from '#codec'
import { carry, functions, Point } from './fixtures/codec-classes.js'

test.before(() => functions.install())

const payload = (value: unknown): Uint8Array => {
  const { bytes, start, end } = encode(value)
  return bytes.slice(start, end)
}

const leaf = fc.oneof(
  fc.constantFrom(undefined, null, true, false, -0, Number.NaN, '', '__proto__', Symbol.iterator),
  fc.integer(),
  fc.double(),
  fc.bigInt(),
  fc.bigInt({ min: -(2n ** 200n), max: 2n ** 200n }),
  fc.string({ unit: 'binary', maxLength: 80 }),
  fc.string({ unit: 'grapheme-ascii', maxLength: 200 }),
  fc.date({ noInvalidDate: false }),
  fc.uint8Array(),
  fc.float64Array({ maxLength: 30 }),
  fc.bigInt64Array(),
  fc.webUrl().map((url) => new URL(url)),
)

const key = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 12 }),
  fc.constantFrom('a', 'b', 'id', 'name', '__proto__', 'constructor', 'toString', '0', '17'),
)

/** An object from entries, of which `__proto__` is one like the others. */
const fromEntries = (entries: readonly (readonly [string, unknown])[], bare: boolean): object => {
  const object: object = bare ? Object.create(null) : {}
  for (const [name, value] of entries) {
    Object.defineProperty(object, name, {
      value,
      enumerable: true,
      configurable: true,
      writable: true,
    })
  }
  return object
}

const { graph } = fc.letrec<{ graph: unknown }>((tie) => ({
  graph: fc.oneof(
    { maxDepth: 5, withCrossShrink: true },
    leaf,
    fc.array(tie('graph'), { maxLength: 20 }),
    fc.sparseArray(tie('graph'), { maxLength: 100, maxNumElements: 10 }),
    fc.array(fc.integer(), { minLength: 10, maxLength: 60 }),
    fc.array(fc.double(), { minLength: 10, maxLength: 60 }),
    fc.array(fc.string(), { minLength: 10, maxLength: 60 }),
    fc.array(fc.oneof({ weight: 40, arbitrary: fc.date({ noInvalidDate: false }) }, tie('graph')), {
      minLength: 10,
      maxLength: 60,
    }),
    fc.array(fc.bigInt({ min: -(2n ** 300n), max: 2n ** 300n }), { minLength: 10, maxLength: 60 }),
    fc
      .tuple(fc.array(fc.tuple(key, tie('graph')), { maxLength: 10 }), fc.boolean())
      .map(([entries, bare]) => fromEntries(entries, bare)),
    fc
      .array(fc.tuple(tie('graph'), tie('graph')), { maxLength: 8 })
      .map((entries) => new Map(entries)),
    fc.array(tie('graph'), { maxLength: 8 }).map((members) => new Set(members)),
    fc
      .tuple(fc.string(), tie('graph'))
      .map(([message, cause]) => new TypeError(message, { cause })),
  ),
}))

/** Maps, Sets and errors as lists of their parts, which compare in order and without surprises. */
const parts = (value: unknown): unknown => {
  if (typeof value !== 'object' || value === null) return value
  // Two invalid Dates do not count as equal.
  if (value instanceof Date) return ['Date', value.getTime()]
  if (Array.isArray(value)) return [value.length, Object.keys(value), value.map(parts)]
  if (value instanceof Map) return ['Map', [...value].map(parts)]
  if (value instanceof Set) return ['Set', [...value].map(parts)]
  if (value instanceof Error) {
    return [Object.getPrototypeOf(value), value.message, value.stack, parts(value.cause)]
  }
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== null && prototype !== Object.prototype) return value
  const entries = Object.getOwnPropertyNames(value).map((name) => [
    name,
    parts(Object.getOwnPropertyDescriptor(value, name)?.value),
  ])
  return [prototype === null, entries]
}

const runs = { numRuns: 1500 }

test('any graph arrives as it was', (t) => {
  fc.assert(
    fc.property(graph, (value) => {
      const arrived = carry(value, false)
      if (!isDeepStrictEqual(parts(arrived), parts(value))) throw new Error('it changed on the way')
    }),
    runs,
  )
  t.pass()
})

interface Node {
  readonly edges: unknown
}

/** Each kind of container, with its members in the order they were put in. */
const containers: readonly ((targets: unknown[]) => Node)[] = [
  (targets) => ({ edges: targets }),
  (targets) => ({ edges: new Map(targets.entries()) }),
  (targets) => ({ edges: new Set(targets) }),
  (targets) => ({ edges: Object.fromEntries(targets.entries()) }),
  (targets) => ({ edges: new Error('node', { cause: targets }) }),
  (targets) => Object.assign(new Point(1, 2), { edges: targets }),
]

const targetsOf = (edges: unknown): unknown[] => {
  if (Array.isArray(edges)) return edges
  if (edges instanceof Map || edges instanceof Set) return [...edges.values()]
  if (edges instanceof Error) return edges.cause as unknown[]
  return Object.values(edges as object)
}

/** The graph as numbers: for each node, in order of discovery, the numbers of those it leads to. */
const topology = (root: Node): number[][] => {
  const numbers = new Map<unknown, number>([[root, 0]])
  const order: Node[] = [root]
  const found: number[][] = []
  for (const node of order) {
    const row: number[] = []
    for (const target of targetsOf(node.edges)) {
      let number = numbers.get(target)
      if (number === undefined) {
        number = numbers.size
        numbers.set(target, number)
        order.push(target as Node)
      }
      row.push(number)
    }
    found.push(row)
  }
  return found
}

test('any shape of references, cycles included, keeps its shape', (t) => {
  const nodes = fc.array(
    fc.record({
      kind: fc.nat(containers.length - 1),
      targets: fc.uniqueArray(fc.nat(79), { maxLength: 5 }),
    }),
    { minLength: 1, maxLength: 80 },
  )
  fc.assert(
    fc.property(nodes, (plan) => {
      const lists = plan.map((): unknown[] => [])
      const made = plan.map(({ kind }, i) => containers[kind]!(lists[i]!))
      plan.forEach(({ targets }, i) => {
        const unique = [...new Set(targets.map((target) => made[target % made.length]!))]
        const edges = made[i]!.edges
        if (edges instanceof Map) for (const each of unique) edges.set(edges.size, each)
        else if (edges instanceof Set) for (const each of unique) edges.add(each)
        else if (Array.isArray(edges)) edges.push(...unique)
        else if (edges instanceof Error) (edges.cause as unknown[]).push(...unique)
        else Object.assign(edges as object, unique)
      })
      const arrived = carry(made[0], true) as Node
      if (!isDeepStrictEqual(topology(arrived), topology(made[0]!))) {
        throw new Error('references lead elsewhere')
      }
    }),
    runs,
  )
  t.pass()
})

/** Decodes what may be anything; only the package's error may come out. */
const survive = (bytes: Uint8Array, trusted: boolean): void => {
  try {
    decode(bytes, 0, bytes.length, { trusted, buffers: null, handles: [3] })
  } catch (error) {
    if ((error as { code?: string }).code !== 'ERR_UNPICKLING') throw error
  }
}

const intact = (): boolean =>
  Object.keys(Object.prototype).length === 0 &&
  Object.keys(Array.prototype).length === 0 &&
  Object.getPrototypeOf(Object.prototype) === null &&
  ({} as { polluted?: unknown }).polluted === undefined

test('mutated messages are refused or decode, and harm nothing', (t) => {
  const mutation = fc.record({
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    byte: fc.nat(255),
    drop: fc.boolean(),
  })
  fc.assert(
    fc.property(graph, fc.array(mutation, { minLength: 1, maxLength: 6 }), (value, mutations) => {
      let bytes = Array.from(payload([value, new Point(1, 2), { ...(value as object) }]))
      for (const { at, byte, drop } of mutations) {
        const index = Math.floor(at * (bytes.length - 1))
        if (drop) bytes = bytes.toSpliced(index, 1)
        else bytes[index] = byte
      }
      for (const trusted of [true, false]) survive(Uint8Array.from(bytes), trusted)
      if (!intact()) throw new Error('a prototype was polluted')
    }),
    runs,
  )
  t.deepEqual(carry({ a: [1] }, false), { a: [1] })
})

test('random bytes are refused or decode, and harm nothing', (t) => {
  const tag = fc.oneof(fc.nat(255), fc.integer({ min: 0xa0, max: 0xf0 }), fc.nat(8))
  fc.assert(
    fc.property(fc.array(tag, { maxLength: 200 }), fc.nat(3), (body, flags) => {
      survive(Uint8Array.from([0x50 | flags, ...body]), true)
      if (!intact()) throw new Error('a prototype was polluted')
    }),
    { numRuns: 20_000 },
  )
  t.deepEqual(carry({ a: [1] }, false), { a: [1] })
})
