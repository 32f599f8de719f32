/** The package's logger: levels, handlers, formats, and what of it children have. */
import test from 'ava'
import * as mp from 'node-multiprocessing'
import {
  DEFAULT_LOGGING_FORMAT,
  debug,
  formatRecord,
  type Handler,
  info,
  type LogRecord,
  SUBDEBUG,
  SUBWARNING,
  subDebug,
  subWarning,
  warn,
} from 'node-multiprocessing/util'
import { runProgram } from './helpers/run-program.js'

/** Keeps what is logged while something is done. */
const recordsOf = (level: number | string, work: () => void): LogRecord[] => {
  const records: LogRecord[] = []
  const handler: Handler = { handle: (record) => records.push(record) }
  const logger = mp.getLogger()
  logger.addHandler(handler)
  logger.addHandler(handler)
  logger.setLevel(level)
  try {
    work()
  } finally {
    logger.removeHandler(handler)
    logger.setLevel('NOTSET')
  }
  return records
}

const messages = (records: readonly LogRecord[]): string[] =>
  records.map(({ levelname, message }) => `${levelname} ${message}`)

test.serial('each level lets through what it should', (t) => {
  const say = (): void => {
    subDebug('%d', 1)
    debug('%s', 'two')
    info('3')
    subWarning('4')
    warn('5')
    const logger = mp.getLogger()
    logger.error('6')
    logger.critical('7 %o', [])
    logger.log(45, '8')
  }
  const all = [
    'Level 5 1',
    'DEBUG two',
    'INFO 3',
    'Level 25 4',
    'WARNING 5',
    'ERROR 6',
    'CRITICAL 7 [ [length]: 0 ]',
    'Level 45 8',
  ]
  t.deepEqual(messages(recordsOf(1, say)), all)
  t.deepEqual(messages(recordsOf(SUBDEBUG, say)), all)
  t.deepEqual(messages(recordsOf('DEBUG', say)), all.slice(1))
  t.deepEqual(messages(recordsOf(SUBWARNING, say)), all.slice(3))
  t.deepEqual(messages(recordsOf('NOTSET', say)), all.slice(4), 'as Python’s root logger')
  t.deepEqual(messages(recordsOf(46, say)), [all[6]!])
  t.deepEqual(messages(recordsOf(51, say)), [])
})

test.serial('a record knows where it comes from', (t) => {
  const [record] = recordsOf('INFO', () => info('%s%%', 50))
  t.is(record!.processName, mp.currentProcess().name)
  t.is(record!.process, process.pid)
  t.regex(record!.filename, /^logging\.spec\.[jt]s$/)
  t.true(record!.lineno > 10)
  t.is(formatRecord(DEFAULT_LOGGING_FORMAT, record!), '[INFO/MainProcess] 50%')
  t.is(
    formatRecord('%(process)d %(name)s %(levelno)d %(unknown)s 100%%', record!),
    `${process.pid} multiprocessing 20 %(unknown)s 100%`,
  )
})

test.serial('what is no level and no handler is refused', (t) => {
  const logger = mp.getLogger()
  t.throws(() => logger.setLevel('LOUD'), { instanceOf: mp.ValueError })
  t.throws(() => logger.setLevel(1.5), { instanceOf: TypeError })
  t.throws(() => logger.addHandler({} as Handler), { instanceOf: TypeError })
  t.is(logger.level, 0)
  t.is(logger.getEffectiveLevel(), 30)
  t.true(logger.isEnabledFor('WARNING'))
  t.false(logger.isEnabledFor('INFO'))
  t.deepEqual(logger.handlers, [])
})

const program = new URL('../examples/seeds/library-reference-hello-bob.js', import.meta.url)

test('NODE_DEBUG shows what the package logs, in children too', async (t) => {
  const { stdout, stderr, code } = await runProgram(program, {
    env: { NODE_DEBUG: 'multiprocessing' },
  })
  t.is(stdout, 'hello bob\n')
  t.regex(stderr, /^MULTIPROCESSING \d+: child process calling self\.run\(\)$/m)
  t.regex(stderr, /^MULTIPROCESSING \d+: process exiting with exitcode 0$/m)
  t.is(code, 0)
})

test('nothing is logged unasked', async (t) => {
  const { stderr } = await runProgram(program)
  t.is(stderr, '')
})

test('what the engine says of itself is in the log, from DEBUG on', async (t) => {
  for (const [level, said] of [
    ['DEBUG', true],
    ['INFO', false],
  ] as const) {
    const { stderr, code } = await runProgram(
      new URL('./fixtures/engine-log.js', import.meta.url),
      { args: [level] },
    )
    t.is(code, 0)
    t.is(/^\[DEBUG\/MainProcess\] the resource tracker is process \d+$/m.test(stderr), said, stderr)
    t.is(/^\[DEBUG\/Process-1\] a queue's feeder thread has begun$/m.test(stderr), said, stderr)
    t.is(/\[DEBUG\/MainProcess\] (process \d+ is spawned|the fork server has)/.test(stderr), said)
    // In order: the engine's line comes before what is logged afterwards.
    if (said) t.regex(stderr, /feeder thread has begun[\s\S]*DEBUG\/Process-1\] after the message/)
  }
})
