/** Types are laid out as the ctypes of a CPython lays them out. */
import { spawnSync } from 'node:child_process'
import test from 'ava'
import fc from 'fast-check'
import * as mp from 'node-multiprocessing'
import { alignment, bytesOf, type DataType, fieldsOf } from 'node-multiprocessing/ctypes'

/** A type, for both languages. */
interface Both {
  readonly ours: DataType<any>
  readonly theirs: string
}

const names = [
  'bool char wchar byte ubyte short ushort int uint long ulong longlong ulonglong size_t ssize_t',
  'int8 int16 int32 int64 uint8 uint16 uint32 uint64 float double',
]
  .join(' ')
  .split(' ')
  .map((name) => `c_${name}`)

const fundamentals = names.map(
  (name): Both => ({ ours: (mp as any)[name], theirs: `ctypes.${name}` }),
)

/** In CPython wide characters and bools have no other byte order. */
const swappable = fundamentals.filter(({ ours }) => ours !== mp.c_wchar && ours !== mp.c_bool)

/** Python's `type(name, bases, body)`. */
const theirRecord = (base: string, fields: string[], pack: number | undefined): string =>
  `type('R', (ctypes.${base},), {${pack === undefined ? '' : `'_pack_': ${pack}, `}'_fields_': [${fields.join(', ')}]})`

const bases = {
  Structure: mp.Structure,
  Union: mp.Union,
  BigEndianStructure: mp.BigEndianStructure,
  LittleEndianStructure: mp.LittleEndianStructure,
} as const

type Base = keyof typeof bases

const record = (types: fc.Arbitrary<Both>, ...names: Base[]): fc.Arbitrary<Both> =>
  fc
    .record({
      base: fc.constantFrom(...names),
      pack: fc.option(fc.constantFrom(1, 2, 4, 8), { nil: undefined }),
      fields: fc.array(types, { minLength: 1, maxLength: 8 }),
    })
    .map(({ base, pack, fields }) => ({
      ours: bases[base].of(
        Object.fromEntries(fields.map(({ ours }, i) => [`f${i}`, ours])),
        pack === undefined ? {} : { pack },
      ) as never,
      theirs: theirRecord(
        base,
        fields.map(({ theirs }, i) => `('f${i}', ${theirs})`),
        pack,
      ),
    }))

/** Types inside one another. */
const typesOf = (simple: readonly Both[], ...names: Base[]): fc.Arbitrary<Both> =>
  fc.letrec<{ any: Both; record: Both; array: Both }>((tie) => ({
    any: fc.oneof(
      { maxDepth: 3 },
      { weight: 4, arbitrary: fc.constantFrom(...simple) },
      { weight: 1, arbitrary: tie('record') },
      { weight: 1, arbitrary: tie('array') },
    ),
    record: record(tie('any'), ...names),
    array: fc.tuple(tie('any'), fc.integer({ min: 1, max: 4 })).map(
      ([{ ours, theirs }, length]): Both => ({
        ours: mp.arrayOf(ours, length),
        theirs: `(${theirs} * ${length})`,
      }),
    ),
  })).any

/** Older versions of CPython have no unions in structures of a given byte order. */
const ordered = typesOf(swappable, 'Structure', 'BigEndianStructure', 'LittleEndianStructure')

const records = fc.oneof(
  record(ordered, 'BigEndianStructure', 'LittleEndianStructure'),
  record(typesOf(fundamentals, 'Structure', 'Union'), 'Structure', 'Union'),
)

/** One run of bit fields of one type: about others versions of CPython differ. */
const bitRecords = fc
  .record({
    type: fc.constantFrom('byte', 'ushort', 'int', 'uint', 'longlong', 'ulonglong'),
    big: fc.boolean(),
    widths: fc.array(fc.integer({ min: 1, max: 64 }), { minLength: 1, maxLength: 12 }),
  })
  .map(({ type, big, widths }) => {
    const ours: DataType<any> = (mp as any)[`c_${type}`]
    const most = 8 * mp.sizeof(ours)
    const fields = widths.map((width) => 1 + (width % most))
    const base = big ? 'BigEndianStructure' : 'Structure'
    return {
      ours: bases[base].of(
        Object.fromEntries(fields.map((width, i) => [`f${i}`, mp.bits(ours, width)])),
      ) as DataType<any>,
      theirs: theirRecord(
        base,
        fields.map((width, i) => `('f${i}', ctypes.c_${type}, ${width})`),
        undefined,
      ),
      fields,
    }
  })

const python = (program: string): unknown => {
  const { status, stdout, stderr } = spawnSync('python3', ['-'], {
    encoding: 'utf8',
    input: program,
  })
  if (status !== 0) throw new Error(stderr)
  return JSON.parse(stdout)
}

const hasPython = spawnSync('python3', ['-c', '']).status === 0
const withPython = hasPython ? test : test.skip

withPython('the fundamental types are as large as in ctypes', (t) => {
  const list = fundamentals.map(({ theirs }) => theirs).join(', ')
  const program = `import ctypes, json; print(json.dumps([[ctypes.sizeof(x), ctypes.alignment(x)] for x in [${list}]]))`
  t.deepEqual(
    python(program),
    fundamentals.map(({ ours }) => [mp.sizeof(ours), alignment(ours)]),
  )
})

withPython('structures, unions and arrays in one another are laid out as in ctypes', (t) => {
  const some = fc.sample(records, 400)
  const list = some.map(({ theirs }) => theirs).join(',\n')
  const program = `import ctypes, json
def of(t): return [ctypes.sizeof(t), ctypes.alignment(t), [getattr(t, n[0]).offset for n in t._fields_]]
print(json.dumps([of(t) for t in [${list}]]))`
  const theirs = python(program) as unknown[]
  for (const [i, { ours, theirs: source }] of some.entries()) {
    const offsets = fieldsOf(ours).map(({ offset }) => offset)
    t.deepEqual([mp.sizeof(ours), alignment(ours), offsets], theirs[i] as never, source)
  }
})

withPython('bit fields have the bits that they have in ctypes', (t) => {
  const some = fc.sample(bitRecords, 200)
  const list = some.map(({ theirs }) => theirs).join(',\n')
  const program = `import ctypes, json
def of(t):
  found = []
  for n in t._fields_:
    x = t(); setattr(x, n[0], -1); found.append([bytes(x).hex(), str(getattr(x, n[0]))])
  return found
print(json.dumps([of(t) for t in [${list}]]))`
  const theirs = python(program) as unknown[]
  for (const [i, { ours, theirs: source, fields }] of some.entries()) {
    const found = fields.map((_, field) => {
      const object = new ours()
      object[`f${field}`] = -1
      return [Buffer.from(bytesOf(object)).toString('hex'), String(object[`f${field}`])]
    })
    t.deepEqual(found, theirs[i] as never, source)
  }
})
