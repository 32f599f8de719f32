/** Pickles that CPython made, of every opcode, and what CPython makes of them. */
import { readFileSync } from 'node:fs'
import test from 'ava'
import { pickle, UnpicklingError } from 'node-multiprocessing'
import { described } from './helpers/described.js'

interface Golden {
  readonly name: string
  readonly hex: string
  readonly value: unknown
  readonly refused?: boolean
}

const file = new URL('../../__test__/fixtures/pickles/golden.jsonl', import.meta.url)
const goldens = readFileSync(file, 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as Golden)

const bytesOf = ({ hex }: Golden): Buffer => Buffer.from(hex, 'hex')

/** Sets have no order. */
const ordered = (value: unknown): unknown => {
  if (!Array.isArray(value)) return value
  const items = value.map(ordered)
  if (items[0] !== 'set' && items[0] !== 'frozenset') return items
  const members = (items[1] as unknown[]).map((member) => JSON.stringify(member)).sort()
  return [items[0], members]
}

const good = goldens.filter(({ refused }) => refused !== true)

test('there are pickles of all protocols', (t) => {
  t.true(good.length > 200)
  for (const protocol of [2, 3, 4, 5]) {
    t.true(good.some(({ hex }) => hex.startsWith(`800${protocol}`)))
  }
})

for (const golden of good) {
  test(golden.name, (t) => {
    const data = bytesOf(golden)
    const value = pickle.loads(data, { lossless: true })
    t.deepEqual(ordered(described(value)), ordered(golden.value))

    const again = pickle.dumps(value)
    t.deepEqual(
      ordered(described(pickle.loads(again, { lossless: true }))),
      ordered(golden.value),
      'written again',
    )

    const plain = pickle.loads(data)
    t.notThrows(() => pickle.loads(pickle.dumps(plain)), 'as JavaScript has it')
  })

  test(`${golden.name}, cut off anywhere`, (t) => {
    const data = bytesOf(golden)
    const end = data.lastIndexOf('.')
    const steps = Math.max(1, Math.floor(end / 300))
    // A stop in the middle is one that is in the data of an opcode, or that ends a smaller pickle.
    let refused = 0
    for (let length = 0; length < end; length += steps) {
      try {
        pickle.loads(data.subarray(0, length))
      } catch (error) {
        t.true(error instanceof UnpicklingError, String(error))
        refused++
      }
    }
    t.true(refused > 0)
  })
}

for (const golden of goldens.filter(({ refused }) => refused)) {
  test(`${golden.name} is refused`, (t) => {
    t.throws(() => pickle.loads(bytesOf(golden)), { instanceOf: UnpicklingError })
  })
}
