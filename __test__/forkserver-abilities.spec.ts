/** Everything a program does works in a process that was forked: loop, thread pool, compilers, children. */
import test from 'ava'
import * as mp from 'node-multiprocessing'
import { abilities, exercise } from './fixtures/fork-abilities.js'
import { answerOf } from './helpers/forked.js'
import { stateOf } from './helpers/processes-of-this-program.js'
import { temporaryFolder } from './helpers/temporary-folder.js'
import { until } from './helpers/until.js'

mp.setForkserverPreload([new URL('./fixtures/fork-abilities.js', import.meta.url).href])

const SUM = (() => {
  let sum = 0
  for (let i = 0; i < 2e8; i++) sum = (sum * 31 + i) | 0
  return sum
})()

const expected: Record<string, unknown> = {
  timers: [true, true],
  'order of turns': ['now', 'tick', 'microtask', 'immediate'],
  files: ['one', 'one', 200],
  watch: 'watched',
  'sockets over TCP': 'hello',
  'sockets over a path': 'hello',
  datagrams: 'hello',
  http: 'hello',
  fetch: 'hello',
  'names of hosts': '127.0.0.1',
  'keys from passwords': [8, 8, 10],
  'pairs of keys': true,
  'web cryptography': 32,
  compression: [1_000_000, 1_000_000],
  'programs: spawn': ['hello', 0, null],
  'programs: a kill': [null, 'SIGTERM'],
  'programs: exec': '3\n',
  'programs: execFile of node': '3\n',
  'programs: in step': ['a\n', 'b\n'],
  'programs: fork': [2, 0],
  imports: [1, 2, 3, 4],
  WebAssembly: [3, 3, 3, 3],
  AsyncLocalStorage: 5,
  streams: 1_000_000,
  'web streams': 'hello',
  readline: ['a', 'b', 'c'],
  'standard input is empty': '',
  measurements: [['measured'], true],
  'timeouts by AbortSignal': 'AbortError',
  'message channels': { value: 1 },
  'broadcast channels': 4,
  signals: ['SIGUSR2', 12],
  'threads are refused, and it is said what helps':
    "Error: worker threads cannot be used in a process that was made by a fork: start a Process instead, or start this one by the method 'spawn', as getContext('spawn') does",
  'our own pipes and wait': [1, { value: 1 }],
  'pools of its own': [1, 2, 3],
  'processes of its own, three deep': 9,
  'a hundred megabytes': [60, 59, 1],
  'a loop that is compiled while it runs': SUM,
  'garbage collection': [1, true],
  'waiting for shared memory': ['timed-out', 'ok'],
  reports: true,
  profiles: true,
}

for (const [name, outcome] of Object.entries(expected)) {
  test(`in a forked child: ${name}`, async (t) => {
    t.deepEqual(await answerOf(exercise, name, temporaryFolder(t)), {
      answer: outcome,
      exitcode: 0,
    })
  })
}

test('in a forked child: daemons of its own end with it', async (t) => {
  const { answer, exitcode } = await answerOf(
    exercise,
    'daemons of its own end with it',
    temporaryFolder(t),
  )
  t.is(exitcode, 0)
  await until('the daemon has ended', () => [undefined, 'Z'].includes(stateOf(answer)))
})

test('in a forked child: every ability is tested', (t) => {
  const tested = [...Object.keys(expected), 'daemons of its own end with it']
  t.deepEqual(tested.sort(), Object.keys(abilities).sort())
})
