/** Functions by value that are malformed: an error of the package, whatever the bytes. */
import test, { type ExecutionContext } from 'ava'
import { UnpicklingError } from 'node-multiprocessing'
import { decode, encode } from '#codec'

const HEADER = 0x50
const REFERENCE = 0xde
const LATIN1 = 0xce
const NEW = 0
const BY_VALUE = 0
const NOW = 0
const LATER = 1
const IMPORT = 0xf2

const count = (value: number): number[] =>
  value < 128 ? [value] : [(value & 127) | 128, ...count(value >>> 7)]

const text = (value: string): number[] => [
  LATIN1,
  ...count(value.length),
  ...Buffer.from(value, 'latin1'),
]

/** What makes a definition: form, source, name, url, line, column, strict, and so on. */
const parts = (changes: Record<number, unknown> = {}): string => {
  const all: unknown[] = ['arrow', '() => a', 'f', 'file:///f.mjs', 0, 0, true]
  all.push(null, null, null, null, null, [], ['a'], [], [], false)
  for (const [index, value] of Object.entries(changes)) all[Number(index)] = value
  return JSON.stringify(all)
}

const read = (...bytes: number[]): unknown => readAll(bytes)

const readAll = (bytes: number[]): unknown => {
  const payload = new Uint8Array([HEADER].concat(bytes))
  return decode(payload, 0, payload.length, { trusted: true })
}

const readFunction = (definition: string, ...rest: number[]): unknown =>
  read(REFERENCE, NEW, BY_VALUE, ...text(definition), ...rest)

const refuses = (t: ExecutionContext, work: () => unknown, message: RegExp): void => {
  const error = t.throws(work, { instanceOf: UnpicklingError })
  t.regex(error?.message ?? '', message)
}

test('a function as it should be', (t) => {
  const f = readFunction(parts(), NOW, 7) as () => number
  t.is(f(), 7)
  t.is(f.name, 'f')
})

test('definitions that are none', (t) => {
  const malformed = /the definition of a function is malformed/
  for (const definition of [
    '',
    '{',
    'null',
    '{}',
    '[]',
    '["arrow"]',
    '5',
    '"arrow"',
    '["bound"]',
  ]) {
    refuses(t, () => readFunction(definition, NOW, 7), malformed)
  }
  const wrong: Record<number, readonly unknown[]> = {
    0: ['lambda', null, 1, 'bound'],
    1: [null, 1, ['() => 1']],
    2: [1, {}],
    3: [null],
    4: [-0x40000000, 1.5, '1', null],
    5: [0x40000000],
    6: ['true', 1, null],
    7: [1],
    8: [1],
    9: ['a b', 1, '', 'a', '0a'],
    10: ['a.b', 'a'],
    11: [1],
    12: [['a'], [1], 'a', null, [')=>{}']],
    13: [['a', 'a'], ['a=1'], ['a,b'], ['1'], [''], {}, ['a;process.exit(1)//']],
    14: [[1], 'ab'],
    15: [null],
    16: [0],
  }
  for (const [index, values] of Object.entries(wrong)) {
    for (const value of values) {
      const definition = parts({ [index]: value })
      refuses(t, () => readFunction(definition, NOW, 7), malformed)
    }
  }
  refuses(t, () => readFunction(JSON.stringify(['bound', 'f', -1]), NOW), malformed)
  refuses(t, () => readFunction(JSON.stringify(['bound', 'f', 1e9]), NOW), malformed)
  refuses(t, () => readFunction(parts({ 0: 'declaration', 2: 'a b' }), NOW, 7), malformed)
  refuses(t, () => read(REFERENCE, NEW, BY_VALUE, 5, NOW, 7), /a string was expected/)
})

test('sources that are none, or make no function', (t) => {
  refuses(
    t,
    () => readFunction(parts({ 1: '(' }), NOW, 7),
    /f could not be rebuilt: it cannot be compiled/,
  )
  refuses(t, () => readFunction(parts({ 1: '5' }), NOW, 7), /f could not be rebuilt: .*no function/)
  refuses(t, () => readFunction(parts({ 0: 'method', 1: '' }), NOW, 7), /no function/)
  const throwing = parts({ 0: 'class', 1: 'class { static x = nowhere }' })
  refuses(t, () => readFunction(throwing, NOW, 7), /evaluating it failed: nowhere is not defined/)
})

test('values that are missing, put off for nothing, or of no kind', (t) => {
  refuses(t, () => readFunction(parts()), /ends too early/)
  refuses(t, () => readFunction(parts(), NOW), /ends too early/)
  refuses(t, () => readFunction(parts(), LATER, 7), /put off for nothing/)
  refuses(t, () => readFunction(parts(), 2, 7), /put off for nothing/)
  refuses(t, () => readFunction(parts(), NOW, 7, 7), /something follows/)
  refuses(t, () => readFunction(parts(), NOW, IMPORT, 0, 0), /names no module/)
  refuses(t, () => read(IMPORT, 0, 0), /unknown kind of value/)
  const many = parts({ 13: Array.from({ length: 2000 }, (_, i) => `a${i}`) })
  refuses(t, () => readFunction(many, NOW, 7), /ends too early/)
})

test('a class that is needed to define itself, or is put off for ever', (t) => {
  const definition = parts({ 0: 'class', 1: 'class A { static a = a }', 12: ['a'], 13: [] })
  refuses(t, () => readFunction(definition, REFERENCE, 0, NOW), /needed to define itself/)
  refuses(
    t,
    () => readFunction(definition, REFERENCE, 1, BY_VALUE, ...text(parts()), LATER),
    /too early/,
  )
  const later = [REFERENCE, 1, BY_VALUE, ...text(parts()), LATER]
  const A = readFunction(definition, ...later, NOW, REFERENCE, 0) as { a: () => unknown }
  t.is(A.a(), A)
})

test('what is bound has to be a function', (t) => {
  const bound = JSON.stringify(['bound', 'bound f', 1])
  refuses(t, () => readFunction(bound, NOW, 7, 7, 7), /what is bound is no function/)
  const itself = readFunction(bound, NOW, REFERENCE, 0, 7, 7) as () => unknown
  t.throws(itself, { instanceOf: RangeError }, 'one that is bound to itself calls itself')
})

test('functions nested deeper than allowed', (t) => {
  const one = [REFERENCE, NEW, BY_VALUE, ...text(parts()), NOW]
  const nest = (depth: number): number[] => {
    const bytes: number[] = []
    for (let i = 0; i < depth; i++) bytes.push(REFERENCE, ...count(i), ...one.slice(2))
    return bytes.concat(7)
  }
  t.is(typeof readAll(nest(1000)), 'function')
  refuses(t, () => readAll(nest(1001)), /nested deeper than 1000 levels/)
})

test('strangers may not send them', (t) => {
  const payload = new Uint8Array([HEADER, REFERENCE, NEW, BY_VALUE, ...text(parts()), NOW, 7])
  const options = { trusted: false }
  refuses(t, () => decode(payload, 0, payload.length, options), /only on a trusted connection/)
})

test('messages with functions by value that are cut off anywhere', (t) => {
  const shared = { list: [1, 'two'] }
  class Holder {
    static readonly table = shared
    readonly own = shared
  }
  const value = [() => shared, Holder, new Holder(), ((x: unknown) => x).bind(shared, 1)]
  const message = encode(value)
  const bytes = Uint8Array.prototype.slice.call(message.bytes, message.start, message.end)
  t.is((decode(bytes, 0, bytes.length, { trusted: true }) as unknown[]).length, 4)
  for (let length = 1; length < bytes.length; length++) {
    const error = t.throws(() => decode(bytes, 0, length, { trusted: true }))
    if (!(error instanceof UnpicklingError)) t.fail(`${length} bytes: ${error}`)
  }
})
