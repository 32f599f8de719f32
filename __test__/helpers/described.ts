import { Float, float, pickle } from 'node-multiprocessing'

const hexOfDouble = (value: number): string => {
  const bytes = Buffer.alloc(8)
  bytes.writeDoubleBE(value)
  // Python knows one NaN.
  return Number.isNaN(value) ? '7ff8000000000000' : bytes.toString('hex')
}

const hexOfInt = (value: number | bigint): string => {
  const whole = BigInt(value)
  return whole < 0n ? `-0x${(-whole).toString(16)}` : `0x${whole.toString(16)}`
}

/** As Python's `repr` orders strings of JSON. */
const sorted = (items: unknown[]): unknown[] =>
  items.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))

const entriesOf = (value: unknown): [unknown, unknown][] =>
  value instanceof Map ? [...value] : Object.entries(value as object)

/** Text of a date that Python writes with `+00:00` and so on left out. */
const isoTime = (value: { toString(): string }): string => value.toString()

/**
 * What was loaded lossless, as JSON: the same that `describe` of `recorders.py` makes of what Python loads.
 */
export const described = (value: unknown, seen = new Map<unknown, number>()): unknown => {
  const inner = (item: unknown): unknown => described(item, seen)
  if (value === null || typeof value === 'boolean') return value
  if (typeof value === 'bigint') return ['int', hexOfInt(value)]
  if (typeof value === 'number') {
    const isInt = Number.isInteger(value) && !Object.is(value, -0)
    return isInt ? ['int', hexOfInt(value)] : ['float', hexOfDouble(value)]
  }
  if (value instanceof Float) return ['float', hexOfDouble(value.value)]
  if (typeof value === 'string') return ['str', value]
  if (value instanceof pickle.Complex) {
    return ['complex', hexOfDouble(value.real), hexOfDouble(value.imag)]
  }
  if (value instanceof pickle.ByteArray) return ['bytearray', Buffer.from(value).toString('hex')]
  if (ArrayBuffer.isView(value) && 'dtype' in value) {
    const { shape, dtype, order, buffer, byteOffset, byteLength } = value as pickle.NdArray
    const one = shape.filter((length) => length > 1).length <= 1
    return [
      'ndarray',
      dtype,
      [...shape],
      one ? 'C' : order,
      Buffer.from(buffer, byteOffset, byteLength).toString('hex'),
    ]
  }
  if (Buffer.isBuffer(value)) return ['bytes', value.toString('hex')]
  if (value instanceof pickle.Global) return ['global', value.module, value.name]
  if (value instanceof Set) {
    const name = value instanceof pickle.FrozenSet ? 'frozenset' : 'set'
    return [name, sorted([...value].map(inner))]
  }
  if (value instanceof pickle.Slice) {
    return ['slice', inner(value.start), inner(value.stop), inner(value.step)]
  }
  if (value instanceof pickle.Range) {
    return ['range', inner(value.start), inner(value.stop), inner(value.step)]
  }
  if (value instanceof pickle.Decimal) return ['Decimal', value.text]
  if (value instanceof pickle.DateTime) {
    return ['datetime', isoTime(value), inner(value.timeZone), value.fold]
  }
  if (value instanceof pickle.CalendarDate) return ['date', isoTime(value)]
  if (value instanceof pickle.TimeOfDay) {
    return ['time', isoTime(value), inner(value.timeZone), value.fold]
  }
  if (value instanceof pickle.TimeDelta) {
    return ['timedelta', value.days, value.seconds, value.microseconds]
  }
  if (value instanceof pickle.TimeZone) return ['timezone', inner(value.offset), value.name]
  if (value instanceof pickle.PythonArray) {
    const items = [...(value.values as unknown as Iterable<number | bigint>)]
    const floats = 'fd'.includes(value.typecode)
    return ['array', value.typecode, items.map((item) => inner(floats ? exact(item) : item))]
  }
  if (value instanceof pickle.NumpyScalar) {
    const { dtype, value: number } = value
    return [
      'scalar',
      dtype,
      pickle.dumps(value).includes(dtype.slice(1)) ? scalarHex(dtype, number) : '',
    ]
  }
  if (value instanceof Error) {
    const again = pickle.loads(pickle.dumps(value), { lossless: true })
    const { module, name } = classOf(again)
    return ['error', module, name, described([...(value as unknown as { args: unknown[] }).args])]
  }
  if (value instanceof pickle.Tuple && value.length === 0) return ['tuple']
  const number = seen.get(value)
  if (number !== undefined) return ['again', number]
  seen.set(value, seen.size)
  if (value instanceof pickle.Tuple) return ['tuple', ...Array.from(value, inner)]
  if (Array.isArray(value)) return ['list', ...value.map(inner)]
  if (value instanceof Map) return ['dict', ...Array.from(value, ([k, v]) => [inner(k), inner(v)])]
  if (value instanceof pickle.PythonObject) {
    const { callable, args, kwargs, state, items, entries } = value
    return [
      'record',
      callable.name,
      Array.from(args, inner),
      kwargs === null ? [] : entriesOf(kwargs).map(([k, v]) => [inner(k), inner(v)]),
      state === undefined ? ['nothing'] : inner(state),
      (items ?? []).map(inner),
      (entries ?? []).map(([k, v]) => [inner(k), inner(v)]),
    ]
  }
  throw new TypeError(`nothing that lossless loading makes: ${String(value)}`)
}

const exact = (item: number | bigint): unknown =>
  typeof item === 'number' && Number.isInteger(item) ? float(item) : item

const scalarHex = (dtype: string, value: number | bigint | boolean): string => {
  const bytes = Buffer.alloc(8)
  const size = Number(dtype.slice(2))
  if (dtype[1] === 'f')
    size === 4 ? bytes.writeFloatLE(Number(value)) : bytes.writeDoubleLE(Number(value))
  else bytes.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value)))
  return bytes.subarray(0, size).toString('hex')
}

/** The class that an error is written as. */
const classOf = (error: Error): { module: string; name: string } => {
  const data = pickle.dumps(error).toString('latin1')
  const found = data.match(/\x8c.([\w.]+)\x94\x8c.(\w+)\x94\x93/s)
  return { module: found?.[1] ?? '', name: found?.[2] ?? '' }
}
