import fc from 'fast-check'
import { Float, pickle } from 'node-multiprocessing'

const {
  ByteArray,
  CalendarDate,
  Complex,
  DateTime,
  Decimal,
  FrozenSet,
  Range,
  Slice,
  TimeDelta,
  TimeOfDay,
  TimeZone,
  Tuple,
  ndarray,
} = pickle

/** Any code units, lone surrogates too. */
const text = fc.oneof(
  fc.string(),
  fc.array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 20 }).map((units) => {
    return String.fromCharCode(...units)
  }),
  fc.constantFrom('__proto__', 'constructor', '1', ''),
)

const float = fc
  .double()
  .map((value) => (Number.isInteger(value) && !Object.is(value, -0) ? new Float(value) : value))

const bigint = fc
  .bigInt({ min: -(2n ** 600n), max: 2n ** 600n })
  .map((value) => (Number.isSafeInteger(Number(value)) ? Number(value) : value))

/** What Python can have as a key. True is 1 in Python, and 1.0 is, too, so there are none of these. */
const hashable = fc.oneof(text, fc.maxSafeInteger(), fc.constant(null))

const zone = fc.oneof(
  fc.constant(null),
  fc.integer({ min: -86399, max: 86399 }).map((seconds) => new TimeZone(new TimeDelta(0, seconds))),
)
const to = (most: number): fc.Arbitrary<number> => fc.integer({ min: 0, max: most })
const date = fc.tuple(fc.integer({ min: 1, max: 9999 }), to(11), to(27))
const time = fc.tuple(to(23), to(59), to(59), to(999_999))

const numbers = fc.oneof(
  fc.float64Array({ maxLength: 12 }),
  fc.int32Array({ maxLength: 12 }),
  fc.uint8Array({ maxLength: 12 }),
  fc.bigInt64Array({ maxLength: 12 }),
)

/** Values of Python's, as lossless loading makes them. `numpy` says whether arrays are among them. */
export const pythonValue = (numpy: boolean): fc.Arbitrary<unknown> =>
  fc.letrec((tie) => {
    const any = tie('any')
    const items = fc.array(any, { maxLength: 6 })
    const flat: fc.Arbitrary<unknown>[] = [
      fc.constant(null),
      fc.boolean(),
      fc.integer(),
      fc.maxSafeInteger(),
      bigint,
      float,
      text,
      fc.uint8Array({ maxLength: 400 }).map((bytes) => Buffer.from(bytes)),
      fc.uint8Array({ maxLength: 20 }).map((bytes) => new ByteArray(bytes)),
      fc.tuple(fc.double(), fc.double()).map(([real, imag]) => new Complex(real, imag)),
      fc.integer().map((value) => new Decimal(`${value}.5`)),
      date.map(([year, month, day]) => new CalendarDate(year, month + 1, day + 1)),
      fc
        .tuple(date, time, zone, to(1))
        .map(
          ([[year, month, day], [hour, minute, second, micro], timeZone]) =>
            new DateTime(year, month + 1, day + 1, hour, minute, second, micro, timeZone),
        ),
      fc
        .tuple(time, zone)
        .map(
          ([[hour, minute, second, micro], timeZone]) =>
            new TimeOfDay(hour, minute, second, micro, timeZone),
        ),
      fc.tuple(fc.integer(), fc.integer()).map(([days, s]) => new TimeDelta(days % 1e8, s, s)),
      fc
        .tuple(fc.maxSafeInteger(), fc.maxSafeInteger(), fc.integer({ min: 1 }))
        .map(([start, stop, step]) => new Range(start, stop, step)),
      ...(numpy ? [numbers.map((values) => ndarray(values))] : []),
    ]
    return {
      any: fc.oneof(
        { maxDepth: 4, withCrossShrink: true },
        fc.oneof(...flat),
        items,
        fc.array(fc.integer(), { maxLength: 30 }),
        fc.array(float, { maxLength: 30 }),
        items.map((all) => Tuple.from(all)),
        fc.array(fc.tuple(hashable, any), { maxLength: 6 }).map((entries) => new Map(entries)),
        fc.array(fc.tuple(text, any), { maxLength: 6 }).map((entries) => new Map(entries)),
        fc.array(hashable, { maxLength: 6 }).map((all) => new Set(all)),
        fc.array(hashable, { maxLength: 6 }).map((all) => new FrozenSet(all)),
        fc.tuple(any, any).map(([start, stop]) => new Slice(start, stop)),
        // The same one twice.
        items.map((all) => [all, Tuple.of(all)]),
      ),
    }
  }).any as fc.Arbitrary<unknown>
