import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import test from 'ava'
import * as mp from 'node-multiprocessing'
import {
  ensureRunning,
  ResourceTracker,
  register,
  unregister,
} from 'node-multiprocessing/resource-tracker'
import { sendTrackerPid } from '../fixtures/conformance/shared-memory.js'
import { stateOf } from '../helpers/processes-of-this-program.js'
import { nothingIsLeftBehind, row, rowInBothForms } from '../helpers/row.js'
import { exists, programWith } from '../helpers/shared-memory-programs.js'
import { trackerPid, trackerPids } from '../helpers/tracker.js'
import { until } from '../helpers/until.js'

// The tracker is there for the program's whole life.
test.serial.before(() => ensureRunning())

nothingIsLeftBehind()

row('TestResourceTracker.test_resource_tracker', async (t) => {
  const outcome = await programWith(
    t,
    `import { unlinkSync } from 'node:fs'
    const [one, two] = [1, 2].map(() => new SharedMemory({ create: true, size: 10 }))
    console.log(one.name)
    console.log(two.name)
    unlinkSync('/dev/shm/' + one.name)
    process.kill(process.pid, 'SIGTERM')
    setTimeout(() => {}, 100_000)`,
  )
  const [one, two] = outcome.stdout.split('\n')
  t.is(outcome.signal, 'SIGTERM')
  t.deepEqual([exists(one!), exists(two!)], [false, false])
  t.regex(outcome.stderr, /resource_tracker: There appear to be 2 leaked shared_memory objects/)
  t.true(outcome.stderr.includes(`resource_tracker: '/${one}': [Errno 2]`), outcome.stderr)
})

/** How long a signal that is ignored has to do something all the same, in milliseconds. */
const TIME_TO_DIE = 300

for (const [method, signal] of [
  ['TestResourceTracker.test_resource_tracker_sigint', 'SIGINT'],
  ['TestResourceTracker.test_resource_tracker_sigterm', 'SIGTERM'],
] as const) {
  row(method, async (t) => {
    const warnings: Error[] = []
    const note = (warning: Error): void => void warnings.push(warning)
    process.on('warning', note)
    t.teardown(() => process.off('warning', note))
    const pid = trackerPid()!
    process.kill(pid, signal)
    await sleep(TIME_TO_DIE)
    register('/somename', 'dummy')
    unregister('/somename', 'dummy')
    t.is(trackerPid(), pid)
    t.deepEqual(warnings, [])
  })
}

for (const [how, wait] of [
  [
    'by the event loop',
    "const alive = setInterval(() => {}, 1000); await once(process, 'warning'); clearInterval(alive)",
  ],
  [
    'when it is needed',
    "while (readFileSync('/proc/' + pid + '/stat', 'utf8').split(' ')[2] !== 'Z');",
  ],
] as const) {
  row(`TestResourceTracker.test_resource_tracker_sigkill, noticed ${how}`, async (t) => {
    const outcome = await programWith(
      t,
      `import { once } from 'node:events'
      import { readFileSync } from 'node:fs'
      const block = new SharedMemory({ create: true, size: 10 })
      const warnings = []
      process.on('warning', (warning) => warnings.push(warning))
      const pid = tracker.programTracker().pid
      process.kill(pid, 'SIGKILL')
      ${wait}
      tracker.register('/somename', 'dummy')
      tracker.unregister('/somename', 'dummy')
      console.log(tracker.programTracker().pid !== pid)
      await new Promise((resolve) => setTimeout(resolve, 50))
      console.log(warnings.map(String))
      console.log(block.name)`,
    )
    t.like(outcome, { code: 0, signal: null })
    const died =
      'UserWarning: resource_tracker: process died unexpectedly, relaunching.  Some resources might leak.'
    const [renewed, warnings, ...rest] = outcome.stdout.split('\n')
    t.is(renewed, 'true')
    t.true([warnings, ...rest].join('').includes(died), outcome.stdout)
    t.is(outcome.stdout.split(died).length, 2, 'it warns once')
    const name = rest.at(-2)!
    t.true(name.startsWith('psm_'))
    t.false(exists(name), 'the new one knows what the old one knew')
    t.true(
      outcome.stderr.includes(`leaked shared_memory objects to clean up at shutdown: {'/${name}'}`),
    )
  })
}

rowInBothForms('TestResourceTracker.test_resource_tracker_reused', async (t, { calls }) => {
  const pid = trackerPid()
  const [reader, writer] = mp.Pipe({ duplex: false })
  const p = new mp.Process({ target: sendTrackerPid, args: [writer] })
  p.start()
  writer.close()
  const answer = (await calls.recv(reader)) as { pid: number }
  await calls.join(p)
  reader.close()
  t.is(answer.pid, pid!)
  t.deepEqual(trackerPids(), [pid!])
})

row('TestResourceTracker.test_too_long_name_resource', (t) => {
  const rtype = 'shared_memory'
  t.throws(() => register('a'.repeat(512 - rtype.length), rtype), {
    instanceOf: mp.ValueError,
    message: 'msg too long',
  })
})

row('TestResourceTracker.test_resource_tracker_exit_code', (t) => {
  for (const cleanup of [true, false]) {
    const tracker = new ResourceTracker()
    tracker.ensureRunning()
    t.is(stateOf(tracker.pid!) !== undefined, true)
    t.is(tracker.exitcode, null)
    tracker.register('somename', 'dummy')
    if (cleanup) tracker.unregister('somename', 'dummy')
    t.is(tracker.exitcode, null)
    t.is(tracker.stopSync(), cleanup ? 0 : 1)
    t.is(tracker.exitcode, cleanup ? 0 : 1)
  }
})

row('TestResourceTracker.test_resource_tracker_blocked_signals', (t) => {
  const mask = (): string[] =>
    readFileSync('/proc/self/status', 'utf8').match(/^(?:SigBlk|SigIgn|SigCgt):.*$/gm)!
  const before = mask()
  const tracker = new ResourceTracker()
  tracker.ensureRunning()
  t.deepEqual(mask(), before)
  const ignored = readFileSync(`/proc/${tracker.pid}/status`, 'utf8').match(/^SigBlk:\s*(\w+)$/m)
  t.is(BigInt(`0x${ignored![1]}`), 0n, 'the tracker blocks none')
  tracker.stopSync()
})

row('TestResourceTracker.test_resource_tracker_safety_net_timeout', async (t) => {
  // Another process that holds the pipe of a tracker of one's own.
  const tracker = new ResourceTracker()
  const holder = spawn('sleep', ['100'], { stdio: ['ignore', 'ignore', tracker.getfd()] })
  const { pid } = tracker
  const begin = performance.now()
  t.is(tracker.stopSync({ timeout: 200 }), null)
  t.true(performance.now() - begin >= 190)
  t.not(stateOf(pid!), undefined, 'it runs as long as somebody could write to it')
  holder.kill()
  await once(holder, 'exit')
  await until('it ends with the last who could', () => stateOf(pid!) === undefined)
})

row('TestNamedResource.test_global_named_resource_spawn', async (t, { method }) => {
  const outcome = await programWith(
    t,
    `export const block = new SharedMemory({ name: 'mp-global-' + process.ppid, create: mp.isMainProcess, size: 10 })
    export const use = () => { block.buf[0]++ }
    if (mp.isMainProcess) {
      const p = new (mp.getContext(${JSON.stringify(method === 'fork' ? 'spawn' : method)}).Process)({ target: use })
      p.start()
      await p.join()
      console.log(p.exitcode)
      block.unlink()
    }`.replace("'mp-global-' + process.ppid", `'mp-global-${process.pid}-${method}'`),
  )
  t.like(outcome, { code: 0, stdout: '0\n', stderr: '' })
})

row('a tracker that is killed just before its program ends is replaced', async (t) => {
  const outcome = await programWith(
    t,
    `import { readFileSync } from 'node:fs'
    const block = new SharedMemory({ create: true, size: 10 })
    console.log(block.name)
    const { pid } = tracker.programTracker()
    process.kill(pid, 'SIGKILL')
    while (readFileSync('/proc/' + pid + '/stat', 'utf8').split(' ')[2] !== 'Z');
    process.exit(0)`,
  )
  t.is(outcome.code, 0)
  t.false(exists(outcome.stdout.trim()))
})

row('the descriptor takes lines of the protocol', (t) => {
  const tracker = new ResourceTracker()
  const fd = tracker.getfd()
  writeSync(fd, 'REGISTER:/x:dummy\nPROBE:0:noop\n')
  writeSync(fd, 'UNREGISTER:/x:dummy\n')
  t.is(tracker.stopSync(), 0)
})
