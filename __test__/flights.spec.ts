import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import test from 'ava'
import fc from 'fast-check'
import { mean, percentileInterval, quantile, resampleMeans } from '../examples/flights/bootstrap.js'
import { flightsFile, groupByHour, readFlights } from '../examples/flights/data.js'
import { FlightsFormatError, ResultsDifferError, UsageError } from '../examples/flights/errors.js'
import { parseOptions } from '../examples/flights/options.js'
import { renderPlot } from '../examples/flights/plot/plot.js'
import { tickStep, ticks } from '../examples/flights/plot/scale.js'
import { startProgress } from '../examples/flights/progress.js'
import { Sfc32 } from '../examples/flights/random.js'
import { checkIdentical, type HourResult, summarize } from '../examples/flights/results.js'
import { renderTable } from '../examples/flights/table.js'
import { takeTurns } from '../examples/flights/turns.js'
import { type Block, dealRounds, divideWork } from '../examples/flights/work.js'
import { runProgram } from './helpers/run-program.js'
import { temporaryFolder } from './helpers/temporary-folder.js'

const flights = groupByHour(await readFlights(flightsFile()))
const counts = flights.map((delays) => delays.length)
const total = counts.reduce((sum, count) => sum + count, 0)

// The words were computed by a C program with uint32_t arithmetic, and by a Python one.
const REFERENCE_WORDS: {
  seeds: [number, number, number]
  first: number[]
  thousandth: number
}[] = [
  { seeds: [0, 0, 0], first: [0xfb52c520, 0x38802be1, 0x948279e6], thousandth: 0x8da505f4 },
  { seeds: [2001, 5, 7], first: [0x7bf9d1c3, 0xac11f7c0, 0xfe8406c5], thousandth: 0x540e7d19 },
  {
    seeds: [0xffffffff, 0xfffffffe, 0x80000000],
    first: [0x9a35cfa6, 0x744547fc, 0xb4444d06],
    thousandth: 0xa6fb7de8,
  },
]

for (const { seeds, first, thousandth } of REFERENCE_WORDS) {
  test(`sfc32 seeded with ${seeds.join(', ')} gives the reference words`, (t) => {
    const generator = new Sfc32(...seeds)
    const words = Array.from({ length: 1000 }, () => generator.next())
    t.deepEqual(words.slice(0, 3), first)
    t.is(words[999], thousandth)
  })
}

test('a quantile lies between its neighbours in proportion', (t) => {
  const sorted = Float64Array.of(10, 20, 40, 80)
  t.is(quantile(sorted, 0), 10)
  t.is(quantile(sorted, 1), 80)
  t.is(quantile(sorted, 0.5), 30)
  // Position 0.75 × 3 = 2.25: a quarter of the way from 40 to 80.
  t.is(quantile(sorted, 0.75), 50)
  t.is(quantile(Float64Array.of(7), 0.3), 7)
})

test('the percentile interval cuts off the same share at both ends', (t) => {
  // 0 to 200 backwards: 2.5 % and 97.5 % of the way along are the values 5 and 195.
  const means = Float64Array.from({ length: 201 }, (_, index) => 200 - index)
  const interval = percentileInterval(means, 0.95)
  t.true(Math.abs(interval.low - 5) < 1e-9)
  t.true(Math.abs(interval.high - 195) < 1e-9)
  t.is(means[0], 200, 'the means are left as they were')
  t.deepEqual(percentileInterval(Float64Array.of(4, 2, 3, 1), 0.5), { low: 1.75, high: 3.25 })
})

test('an interval of nothing or of an impossible confidence is refused', (t) => {
  t.throws(() => percentileInterval(new Float64Array(), 0.95), { instanceOf: RangeError })
  for (const confidence of [0, 1, -0.5, NaN]) {
    t.throws(() => percentileInterval(Float64Array.of(1), confidence), {
      instanceOf: RangeError,
      message: /confidence/,
    })
  }
})

test('the file holds what the demo says it does, and grouping loses none', async (t) => {
  const { delay, time } = await readFlights(flightsFile())
  const delays = [...delay] as number[]
  const times = [...time] as number[]
  t.is(delays.length, 231_083)
  t.is(total, delays.length)
  t.true(delays.every((minutes) => minutes >= -58 && minutes <= 180))
  for (let hour = 0; hour < 24; hour++) {
    const expected = delays.filter((_, row) => times[row]! >= hour && times[row]! < hour + 1)
    t.deepEqual(flights[hour], Int16Array.from(expected), `hour ${hour}`)
  }
})

test('the numbers are as what is said of the columns has it', async (t) => {
  const { delay, time } = await readFlights(flightsFile())
  const delays = [...delay] as number[]
  const minutes = Array.from(time, (hours) => hours! * 60)
  t.true(minutes.every((minute) => Math.abs(minute - Math.round(minute)) < 1e-3))
  const share = (numbers: number[]): number =>
    numbers.filter((minute) => Math.round(minute) % 5 === 0).length / numbers.length
  t.true(share(minutes.filter((_, row) => delays[row]! < 0)) > 0.9, 'early flights')
  t.true(share(minutes.filter((_, row) => delays[row]! > 30)) < 0.55, 'late flights')
  const frequency = (wanted: number): number => delays.filter((value) => value === wanted).length
  t.true(frequency(180) > 10 * frequency(179), 'a ceiling')
  const night = flights.slice(0, 5).flatMap((hour) => [...hour])
  t.true(night.filter((late) => late > 60).length / night.length > 0.8, 'the night')
})

test('flights are put in the hour of their time', (t) => {
  const hours = groupByHour({ delay: [5, -3, 7, 9], time: [23.99, 0, 1, 23] })
  t.deepEqual(hours[23], Int16Array.of(5, 9))
  t.deepEqual(hours[0], Int16Array.of(-3))
  t.deepEqual(hours[1], Int16Array.of(7))
  t.is(hours[2]!.length, 0)
})

const WRONG_COLUMNS = [
  { what: 'a time after the day', delay: [1], time: [24], message: /row 0: the time 24/ },
  { what: 'a time before the day', delay: [1], time: [-0.1], message: /row 0: the time -0.1/ },
  { what: 'half a minute', delay: [0, 0.5], time: [1, 1], message: /row 1: the delay 0.5/ },
  { what: 'a delay too large', delay: [40000], time: [1], message: /row 0: the delay 40000/ },
  { what: 'a missing time', delay: [1, 2], time: [1, null], message: /row 1: the time null/ },
  { what: 'a time that is no number', delay: [1], time: [NaN], message: /row 0: the time NaN/ },
  { what: 'a missing delay', delay: [null], time: [1], message: /row 0: the delay null/ },
  { what: 'more delays than times', delay: [1, 2], time: [1], message: /2 delays but 1 times/ },
  { what: 'more times than delays', delay: [1], time: [1, 2], message: /1 delays but 2 times/ },
]

for (const { what, delay, time, message } of WRONG_COLUMNS) {
  test(`${what} is refused`, (t) => {
    t.throws(() => groupByHour({ delay, time }), {
      instanceOf: FlightsFormatError,
      code: 'ERR_FLIGHTS_FORMAT',
      message,
    })
  })
}

test('a resample draws as many values as there are, each as the generator says', (t) => {
  const values = Int16Array.of(-10, 1, 30, 700, 5)
  const generator = new Sfc32(42, 6, 9)
  let sum = 0
  for (let drawn = 0; drawn < values.length; drawn++) {
    // Exact in integers of any size. None of these words is among the one in 2³² drawn again.
    sum += values[Number((BigInt(generator.next()) * 5n) >> 32n)]!
  }
  t.deepEqual(resampleMeans(values, 6, 9, 1, 42), Float64Array.of(sum / 5))
})

test('resamples are the same however they are divided into blocks', (t) => {
  const hour = 5
  const values = flights[hour]!
  const whole = resampleMeans(values, hour, 0, 60, 1)
  fc.assert(
    fc.property(fc.uniqueArray(fc.integer({ min: 1, max: 59 })), (cuts) => {
      const bounds = [0, ...cuts.toSorted((a, b) => a - b), 60]
      const joined = bounds
        .slice(1)
        .flatMap((end, i) => [...resampleMeans(values, hour, bounds[i]!, end - bounds[i]!, 1)])
      t.deepEqual(Float64Array.from(joined), whole)
    }),
    { numRuns: 20 },
  )
  t.notDeepEqual(resampleMeans(values, hour, 0, 60, 2), whole, 'another seed')
  t.notDeepEqual(resampleMeans(values, hour + 1, 0, 60, 1), whole, 'another hour')
  t.is(new Set(whole).size > 50, true, 'resamples differ from one another')
})

test('resampled means spread as the theory of the mean says', (t) => {
  const hour = 23
  const values = flights[hour]!
  const average = mean(values)
  const variance = values.reduce((sum, value) => sum + (value - average) ** 2, 0) / values.length
  const standardError = Math.sqrt(variance / values.length)
  const means = resampleMeans(values, hour, 0, 4000, 3)
  const centre = means.reduce((sum, value) => sum + value, 0) / means.length
  const spread = Math.sqrt(
    means.reduce((sum, value) => sum + (value - centre) ** 2, 0) / means.length,
  )
  // Five standard errors of a mean and of a deviation of 4,000 normal values.
  t.true(Math.abs(centre - average) < (5 * standardError) / Math.sqrt(4000))
  t.true(Math.abs(spread / standardError - 1) < 5 / Math.sqrt(2 * 4000))
})

test('an hour without flights has nothing to draw from', (t) => {
  t.throws(() => resampleMeans(new Int16Array(), 4, 0, 1, 1), {
    instanceOf: RangeError,
    message: /hour 4/,
  })
})

test('the blocks hold each resample of each hour once, and the rounds each block', (t) => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 20_000 }), { minLength: 1, maxLength: 24 }),
      fc.integer({ min: 1, max: 500 }),
      fc.integer({ min: 1, max: 800 }),
      fc.integer({ min: 1, max: 6 }),
      (counts, resamples, pieces, rounds) => {
        const blocks = divideWork(counts, resamples, pieces)
        const seen = counts.map(() => new Uint8Array(resamples))
        for (const { hour, first, count } of dealRounds(blocks, rounds).flat()) {
          t.true(count > 0)
          for (let resample = first; resample < first + count; resample++) seen[hour]![resample]!++
        }
        for (const [hour, count] of counts.entries()) {
          t.true(seen[hour]!.every((times) => times === (count === 0 ? 0 : 1)))
        }
      },
    ),
  )
})

test('blocks of the real flights cost about the same', (t) => {
  const costs = divideWork(counts, 10_000, 320).map(({ hour, count }) => counts[hour]! * count)
  t.true(costs.length >= 320 && costs.length <= 320 + 24)
  t.true(Math.max(...costs) <= ((total * 10_000) / 320) * 1.01)
})

const BLOCKS: Block[] = [
  { hour: 3, first: 0, count: 2 },
  { hour: 3, first: 2, count: 2 },
]
const MEANS = [Float64Array.of(1, 2), Float64Array.of(3, 4)]

test('numbers that are the same pass', (t) => {
  t.notThrows(() => checkIdentical(BLOCKS, MEANS, structuredClone(MEANS)))
})

const WRONG_MEANS = {
  'a mean that differs in the last bit': [MEANS[0]!, Float64Array.of(3 + 2 ** -51, 4)],
  'a missing block': [MEANS[0]!],
  'a short block': [MEANS[0]!, new Float64Array()],
  'blocks in another order': MEANS.toReversed(),
  'a mean too many': [Float64Array.of(1, 2, 3), MEANS[1]!],
}

for (const [what, means] of Object.entries(WRONG_MEANS)) {
  test(`${what} does not pass`, (t) => {
    for (const [pool, single] of [
      [means, MEANS],
      [MEANS, means],
    ] as const) {
      t.throws(() => checkIdentical(BLOCKS, [...pool], [...single]), {
        instanceOf: ResultsDifferError,
        code: 'ERR_FLIGHTS_RESULTS_DIFFER',
        message: /hour 3, resample [0-2]: /,
      })
    }
  })
}

test('what both lack does not pass', (t) => {
  t.throws(() => checkIdentical(BLOCKS, [MEANS[0]!], [MEANS[0]!]), {
    instanceOf: ResultsDifferError,
    message: /hour 3, resample 2: /,
  })
})

test('two ways of computing take turns, round by round', async (t) => {
  const rounds = dealRounds(divideWork([10, 20], 100, 9), 3)
  const turns: string[] = []
  const way = (name: string) => (blocks: Block[]) => {
    turns.push(name)
    return blocks.map(({ hour, first }) => Float64Array.of(hour, first))
  }
  let advanced = 0
  const progress = {
    advance(blocks: number) {
      advanced += blocks
    },
    [Symbol.dispose]() {},
  }
  const [one, other] = await takeTurns(
    rounds,
    [way('one'), async (blocks) => way('other')(blocks)],
    progress,
  )
  t.deepEqual(turns, ['one', 'other', 'other', 'one', 'one', 'other'])
  t.deepEqual(one.means, way('')(rounds.flat()), 'in the order of the rounds')
  t.deepEqual(other.means, one.means)
  t.is(advanced, 2 * rounds.flat().length)
})

function results(): HourResult[] {
  const blocks = divideWork(counts, 100, 24)
  const means = blocks.map(({ hour, first, count }) =>
    resampleMeans(flights[hour]!, hour, first, count, 1),
  )
  return summarize(flights, blocks, means, 0.95)
}

test('an interval is taken of all resamples of its hour and no others', (t) => {
  const blocks: Block[] = [
    { hour: 2, first: 0, count: 2 },
    { hour: 0, first: 0, count: 3 },
    { hour: 2, first: 2, count: 1 },
  ]
  const means = [Float64Array.of(30, 10), Float64Array.of(7, 7, 7), Float64Array.of(20)]
  const summary = summarize(
    [Int16Array.of(7), new Int16Array(), Int16Array.of(1, 4)],
    blocks,
    means,
    0.5,
  )
  t.deepEqual(summary, [
    { hour: 0, flights: 1, mean: 7, interval: { low: 7, high: 7 } },
    { hour: 1, flights: 0, mean: NaN, interval: undefined },
    { hour: 2, flights: 2, mean: 2.5, interval: { low: 15, high: 25 } },
  ])
})

test('every hour that has flights has its mean inside its interval', (t) => {
  const summary = results()
  t.is(summary.length, 24)
  for (const { mean: average, interval, flights: count } of summary) {
    t.is(interval !== undefined, count > 0)
    if (interval) t.true(interval.low <= average && average <= interval.high)
  }
})

test('the table has a line for each hour, all equally long', (t) => {
  const lines = renderTable(results()).trimEnd().split('\n')
  t.is(lines.length, 3 + 24)
  t.is(new Set(lines.map((line) => line.length)).size, 1)
  t.regex(lines[3 + 6]!, /^ {2}06 {3}11,648 {8}−1\.6 /)
})

test('an hour without flights has an empty line and no mark', (t) => {
  const empty = results().map((result) =>
    result.hour === 12 ? { hour: 12, flights: 0, mean: NaN, interval: undefined } : result,
  )
  t.regex(renderTable(empty), /^ {2}12 {8}0 {11}– {7}– {8}–$/m)
  const plot = renderPlot(empty, { resamples: 100, confidence: 0.95 })
  t.false(plot.includes('data-hour="12"'))
  t.false(plot.includes('NaN'))
  assertWellFormed(plot)
})

const CLOCK = Array.from({ length: 24 }, (_, hour) => String(hour).padStart(2, '0'))

const namedHours = (plot: string): (string | undefined)[] =>
  [...plot.matchAll(/class="hour">(\d\d)</g)].map((match) => match[1])

const markedHours = (plot: string): (string | undefined)[] =>
  [...plot.matchAll(/data-hour="(\d\d)"/g)].map((match) => match[1])

test('the plot is well-formed and has all hours, and marks of those with flights', (t) => {
  const plot = renderPlot(results(), { resamples: 12_345, confidence: 0.95 })
  t.notThrows(() => assertWellFormed(plot))
  // The day begins after the quietest hour, which is the one from four to five, without flights.
  t.deepEqual(namedHours(plot), [...CLOCK.slice(5), ...CLOCK.slice(0, 5)])
  t.deepEqual(markedHours(plot), [...CLOCK.slice(5), ...CLOCK.slice(0, 4)])
  t.true(plot.includes(` ${total.toLocaleString('en-US')} flights`))
  t.regex(plot, /12,345 resamples/)
  t.regex(plot, /two scales/)
  t.false(/NaN|undefined|Infinity/.test(plot))
})

test('where no hours are few, and where all are, there is one scale', (t) => {
  for (const count of [5000, 3]) {
    const alike = CLOCK.map((_, hour) => ({
      hour,
      flights: count,
      mean: hour,
      interval: { low: hour - 1, high: hour + 1 },
    }))
    const plot = renderPlot(alike, { resamples: 100, confidence: 0.9 })
    t.false(plot.includes('two scales'))
    t.deepEqual(markedHours(plot), CLOCK)
    t.deepEqual(namedHours(plot), CLOCK)
    assertWellFormed(plot)
  }
})

test('nothing in the plot lies outside of it', (t) => {
  const plot = renderPlot(results(), { resamples: 100, confidence: 0.95 })
  const [, width, height] = /viewBox="0 0 (\d+) (\d+)"/.exec(plot)!.map(Number)
  for (const [, axis, value] of plot.matchAll(/ c?(x|y)[12]?="(-?[\d.]+)"/g)) {
    t.true(Number(value) >= 0 && Number(value) <= (axis === 'x' ? width! : height!))
  }
  for (const [, corners] of plot.matchAll(/points="([^"]+)"/g)) {
    for (const corner of corners!.split(' ')) {
      const [x, y] = corner.split(',').map(Number)
      t.true(x! >= 0 && x! <= width! && y! >= 0 && y! <= height!)
    }
  }
})

test('the check for well-formed documents finds what is wrong', (t) => {
  for (const wrong of ['<a><b></a></b>', '<a>', '<a x=1/>', '<a>&</a>', '<a/><b/>', '<a b="<"/>']) {
    t.throws(() => assertWellFormed(wrong), undefined, wrong)
  }
})

/** Throws unless the text is one XML element with proper tags, attributes and entities. */
function assertWellFormed(text: string): void {
  const open: string[] = []
  let roots = 0
  let rest = text.trim()
  while (rest !== '') {
    const token =
      /^<(?<close>\/)?(?<tag>[a-z]+)(?: [\w:-]+="(?:[^"<&]|&(?:amp|lt|gt|quot);)*")*(?<self>\/)?>/.exec(
        rest,
      ) ?? /^(?:[^<>&]|&(?:amp|lt|gt|quot);)+/.exec(rest)
    if (token === null) throw new Error(`not well-formed: ${rest.slice(0, 40)}`)
    rest = rest.slice(token[0].length)
    const tag = token.groups?.tag
    if (tag === undefined) {
      if (open.length === 0) throw new Error(`text outside of the root: ${token[0]}`)
    } else if (token.groups?.close !== undefined) {
      if (open.pop() !== tag) throw new Error(`</${tag}> closes another element`)
    } else {
      if (open.length === 0 && ++roots > 1) throw new Error(`<${tag}> is a second root`)
      if (token.groups?.self === undefined) open.push(tag)
    }
  }
  if (open.length > 0) throw new Error(`<${open.at(-1)}> is not closed`)
}

test('ticks are round and stay on the axis', (t) => {
  t.is(tickStep(60, 6), 10)
  t.is(tickStep(61, 6), 20)
  t.is(tickStep(1, 7), 0.2)
  t.deepEqual(ticks(-10, 25, 10), [-10, 0, 10, 20])
})

test('away from a terminal, progress is a line at each quarter', (t) => {
  let written = ''
  const stream = new Writable({
    write(chunk, _encoding, done) {
      written += String(chunk)
      done()
    },
  })
  const progress = startProgress('Work', 7, stream as NodeJS.WriteStream)
  for (const blocks of [1, 1, 3, 1, 1]) progress.advance(blocks)
  progress[Symbol.dispose]()
  t.is(written, 'Work: 25 %\nWork: 50 %\nWork: 75 %\nWork: 100 %\n')
})

test('on a terminal, progress is left to the bars of the pool', (t) => {
  let written = ''
  const stream = Object.assign(
    new Writable({
      write(chunk, _encoding, done) {
        written += String(chunk)
        done()
      },
    }),
    { isTTY: true },
  )
  const progress = startProgress('Work', 2, stream as unknown as NodeJS.WriteStream)
  progress.advance(2)
  progress[Symbol.dispose]()
  t.is(written, '')
})

test('the command line has defaults and refuses what it does not know', (t) => {
  t.deepEqual(parseOptions([]), { resamples: 5000, output: undefined, help: false })
  t.deepEqual(parseOptions(['--resamples', '500', '--output', 'a.svg']), {
    resamples: 500,
    output: 'a.svg',
    help: false,
  })
  for (const value of ['99', '1000001', '100.5', 'many', '', 'NaN']) {
    t.throws(() => parseOptions(['--resamples', value]), {
      instanceOf: UsageError,
      code: 'ERR_FLIGHTS_USAGE',
      message: /--resamples/,
    })
  }
  t.throws(() => parseOptions(['--colour']), { instanceOf: UsageError, message: /--colour/ })
})

const LABEL = 'One process and pool in turns'
const program = new URL('../examples/flights/main.js', import.meta.url)

test.serial('the demo computes with a pool, prints the table and writes the plot', async (t) => {
  const output = join(temporaryFolder(t), 'made', 'delays.svg')
  const outcome = await runProgram(program, { args: ['--resamples', '100', '--output', output] })
  t.is(outcome.stderr, [25, 50, 75, 100].map((done) => `${LABEL}: ${done} %\n`).join(''))
  t.deepEqual([outcome.code, outcome.signal], [0, null])

  const { stdout } = outcome
  t.true(stdout.startsWith(`${total.toLocaleString('en-US')} flights, 100 bootstrap resamples`))
  for (const [hour, count] of counts.entries()) {
    const average = count === 0 ? '–' : mean(flights[hour]!).toFixed(1).replace('-', '−')
    const cells = [CLOCK[hour], count.toLocaleString('en-US'), average]
    t.regex(stdout, RegExp(`^ +${cells.join(' +')} `, 'm'))
  }
  t.true(stdout.includes(`\nPlot: ${output}\n`))
  t.regex(stdout, /all numbers identical/)
  t.regex(stdout, /^Speed-up: \d+\.\d\d times; \d+\.\d\d times with start and stop\.\n$/m)

  const plot = readFileSync(output, 'utf8')
  t.notThrows(() => assertWellFormed(plot))
  t.is(markedHours(plot).length, counts.filter((count) => count > 0).length)
})

test.serial('the demo refuses a wrong command line and writes nothing', async (t) => {
  const output = join(temporaryFolder(t), 'delays.svg')
  const { code, stdout, stderr } = await runProgram(program, {
    args: ['--resamples', '1', '--output', output],
  })
  t.is(code, 1)
  t.is(stdout, '')
  t.regex(stderr, /^--resamples must be .*\nTry --help\.\n$/)
  t.false(existsSync(output))
})
