import { readFileSync } from 'node:fs'
import { constants, cpus } from 'node:os'
import { join as joinPath } from 'node:path'
import { inspect } from 'node:util'
import type { ExecutionContext } from 'ava'
import * as mp from 'node-multiprocessing'
import * as child from '../fixtures/conformance/process.js'
import { isCollected } from '../helpers/garbage.js'
import type { Kind } from '../helpers/parties.js'
import {
  type GivenCalls,
  nothingIsLeftBehind,
  row,
  rowInBothForms,
  rowWithThreads,
  rowWithThreadsInBothForms,
  THREADS,
} from '../helpers/row.js'
import { runProgram } from '../helpers/run-program.js'
import { temporaryFolder } from '../helpers/temporary-folder.js'

const kindOf = (method: string): Kind => (method === THREADS ? 'threads' : 'processes')

const { SIGINT, SIGKILL, SIGTERM } = constants.signals

nothingIsLeftBehind()

row('_TestProcess.test_current', (t) => {
  const current = mp.currentProcess()
  t.true(current.isAlive())
  t.false(current.daemon)
  t.true(current.authkey instanceof Uint8Array)
  t.true(current.authkey.length > 0)
  t.is(current.ident, process.pid)
  t.is(current.pid, process.pid)
  t.is(current.exitcode, null)
})

rowWithThreadsInBothForms('_TestProcess.test_args_argument', async (t, { calls, api }) => {
  const kinds: ((...args: unknown[]) => Iterable<unknown>)[] = [
    (...args) => args,
    (...args) => new Set(args),
    function* (...args) {
      yield* args
    },
  ]
  for (const argument of [1, 'str', [1]]) {
    for (const kind of kinds) {
      const [reader, writer] = api.Pipe({ duplex: false })
      const p = new api.Process({
        target: child.sendArgument,
        args: kind(writer, argument),
        daemon: true,
      })
      p.start()
      writer.close()
      t.deepEqual(await calls.recv(reader), argument)
      await calls.join(p)
      t.is(p.exitcode, 0)
      reader.close()
    }
  }
})

row('_TestProcess.test_daemon_argument', async (t) => {
  const target = child.doNothing
  t.is(new mp.Process({ target }).daemon, mp.currentProcess().daemon)
  t.true(new mp.Process({ target, daemon: true }).daemon)
  t.false(new mp.Process({ target, daemon: false }).daemon)

  for (const daemon of [true, false]) {
    const [reader, writer] = mp.Pipe({ duplex: false })
    const p = new mp.Process({ target: child.sendDaemonFlags, args: [writer], daemon })
    p.start()
    writer.close()
    t.deepEqual(await reader.recv(), [daemon, daemon])
    await p.join()
    reader.close()
  }
})

rowInBothForms('_TestProcess.test_parent_process_attributes', async (t, { calls }) => {
  t.is(mp.parentProcess(), null)
  t.true(mp.isMainProcess)

  const [reader, writer] = mp.Pipe({ duplex: false })
  const p = new mp.Process({ target: child.sendParent, args: [writer] })
  p.start()
  writer.close()
  await calls.join(p)
  const { pid, name } = mp.currentProcess()
  t.is(pid, process.pid)
  t.deepEqual(await calls.recv(reader), [pid, pid, name, false])
  reader.close()
})

rowInBothForms('_TestProcess.test_parent_process', async (t, { calls }) => {
  const [reader, writer] = mp.Pipe({ duplex: false })
  const p = new mp.Process({ target: child.createGrandchild, args: [writer, calls.form] })
  p.start()
  writer.close()

  t.true(await calls.poll(reader, 30_000))
  t.is(await calls.recv(reader), 'alive')
  p.terminate()
  await calls.join(p)
  t.true(await calls.poll(reader, 30_000))
  t.is(await calls.recv(reader), 'not alive')
  await t.throwsAsync(calls.recv(reader), { instanceOf: mp.EOFError }, 'the grandchild ended')
  reader.close()
})

rowWithThreadsInBothForms('_TestProcess.test_process', async (t, { method, calls, api }) => {
  const [reader, writer] = api.Pipe({ duplex: false })
  const kwargs = { hello: 23, bye: 2.54 }
  const p = new api.Process({
    target: child.describeCurrent,
    args: [writer, 1, 2],
    kwargs,
    name: 'SomeProcess',
  })
  p.daemon = true
  const current = api.currentProcess()

  t.deepEqual(Buffer.from(p.authkey), Buffer.from(current.authkey))
  t.false(p.isAlive())
  t.true(p.daemon)
  t.true(Array.isArray(api.activeChildren()))
  t.false(api.activeChildren().includes(p))
  t.is(p.exitcode, null)
  t.is(p.pid, null)

  p.start()
  writer.close()
  t.is(p.exitcode, null)
  t.true(p.isAlive())
  t.true(api.activeChildren().includes(p))

  t.deepEqual(await calls.recv(reader), [1, 2])
  t.deepEqual(await calls.recv(reader), kwargs)
  t.is(await calls.recv(reader), 'SomeProcess')
  t.is(p.name, 'SomeProcess')
  t.deepEqual(Buffer.from(await calls.recv(reader)), Buffer.from(current.authkey))
  t.is(await calls.recv(reader), p.pid)
  if (kindOf(method) === 'processes') t.is(p.ident, p.pid)
  else t.not(p.ident, process.pid)

  await calls.join(p)
  t.is(p.exitcode, 0)
  t.false(p.isAlive())
  t.false(api.activeChildren().includes(p))
  reader.close()
})

row('_TestProcess.test_process_mainthread_native_id', async (t) => {
  const [reader, writer] = mp.Pipe({ duplex: false })
  const p = new mp.Process({ target: child.sendThreadId, args: [writer] })
  p.start()
  writer.close()
  const [pid, threadId] = (await reader.recv()) as [number, number]
  await p.join()
  t.is(p.pid, pid)
  t.true(Number.isInteger(threadId) && threadId > 0)
  t.not(threadId, child.threadId())
  reader.close()
})

/** Starts a child that sleeps, ends it by `kill` and returns its exit code. */
const exitcodeOfKilled = async (
  t: ExecutionContext,
  { calls }: GivenCalls,
  target: (...args: never[]) => unknown,
  kill: (p: mp.Process) => void,
  ...args: unknown[]
): Promise<number | null> => {
  const [reader, writer] = mp.Pipe({ duplex: false })
  const p = new mp.Process({ target, args: [writer, ...args], daemon: true })
  p.start()
  writer.close()
  t.true(p.isAlive())
  t.true(mp.activeChildren().includes(p))
  t.is(p.exitcode, null)

  for (const timeout of [0, -1]) {
    t.is(await calls.join(p, timeout), undefined)
    t.true(p.isAlive())
  }
  t.is(await calls.recv(reader), 'asleep')
  kill(p)
  t.is(await calls.join(p), undefined)
  t.false(p.isAlive())
  t.false(mp.activeChildren().includes(p))
  await calls.join(p)
  reader.close()
  return p.exitcode
}

rowInBothForms('_TestProcess.test_interrupt', async (t, given) => {
  const folder = temporaryFolder(t)
  const interrupt = (p: mp.Process) => p.interrupt()
  for (const target of [child.sleepWithErrorsTo, child.sleepThenThrowWhenInterrupted]) {
    const errors = joinPath(folder, target.name)
    t.is(await exitcodeOfKilled(t, given, target, interrupt, errors), 1)
    t.regex(readFileSync(errors, 'utf8'), /^Process Process-.*:\n(.*\n)*.*KeyboardInterrupt/)
  }
})

rowInBothForms('_TestProcess.test_interrupt_no_handler', async (t, given) => {
  const interrupt = (p: mp.Process) => p.interrupt()
  const target = child.sleepWithDefaultInterrupt
  t.is(await exitcodeOfKilled(t, given, target, interrupt), -SIGINT)
})

rowInBothForms('_TestProcess.test_terminate', async (t, given) => {
  for (const target of [child.sleepUntilKilled, child.blockUntilKilled]) {
    t.is(await exitcodeOfKilled(t, given, target, (p) => p.terminate()), -SIGTERM)
  }
})

rowInBothForms('_TestProcess.test_kill', async (t, given) => {
  for (const target of [child.sleepUntilKilled, child.blockUntilKilled]) {
    t.is(await exitcodeOfKilled(t, given, target, (p) => p.kill()), -SIGKILL)
  }
})

rowWithThreads('_TestProcess.test_cpu_count', (t) => {
  const count = mp.cpuCount()
  t.true(Number.isInteger(count))
  t.true(count >= 1)
  t.is(count, cpus().length)
})

rowWithThreadsInBothForms('_TestProcess.test_active_children', async (t, { calls, api }) => {
  t.true(Array.isArray(api.activeChildren()))
  const [reader, writer] = api.Pipe({ duplex: false })
  const p = new api.Process({ target: child.receiveOnce, args: [reader, calls.form] })
  t.false(api.activeChildren().includes(p))
  p.daemon = true
  p.start()
  t.true(api.activeChildren().includes(p))
  await calls.send(writer, 'go')
  await calls.join(p)
  t.false(api.activeChildren().includes(p))
  reader.close()
  writer.close()
})

rowWithThreadsInBothForms('_TestProcess.test_recursion', async (t, { method, calls, api }) => {
  const [reader, writer] = api.Pipe({ duplex: false })
  await child.sendPathOfRecursion(writer, [], calls.form, kindOf(method))
  const paths: unknown[] = []
  while (await calls.poll(reader)) paths.push(await calls.recv(reader))
  t.deepEqual(paths, [[], [0], [0, 0], [0, 1], [1], [1, 0], [1, 1]])
  reader.close()
  writer.close()
})

rowInBothForms('_TestProcess.test_sentinel', async (t, { calls }) => {
  const [reader, writer] = mp.Pipe({ duplex: false })
  const p = new mp.Process({ target: child.receiveOnce, args: [reader, calls.form] })
  t.throws(() => p.sentinel, { instanceOf: mp.ValueError, message: 'process not started' })
  p.start()
  const { sentinel } = p
  t.true(Number.isInteger(sentinel))
  t.deepEqual(await calls.wait([sentinel], 0), [])
  await calls.send(writer, 'go')
  await calls.join(p)
  t.deepEqual(await calls.wait([sentinel], 1000), [sentinel])
  reader.close()
  writer.close()
})

/** Runs a process to its end, closes it, and returns nothing but a weak reference to it. */
const closeProcess = async (
  t: ExecutionContext,
  { calls }: GivenCalls,
): Promise<WeakRef<mp.Process>> => {
  const [reader, writer] = mp.Pipe({ duplex: false })
  const p = new mp.Process({ target: child.receiveThenExit, kwargs: { connection: reader } })
  p.daemon = true
  p.start()
  t.true(p.isAlive())
  t.throws(() => p.close(), { instanceOf: mp.ValueError }, 'it still runs')

  await calls.send(writer, null)
  await calls.join(p)
  t.false(p.isAlive())
  t.is(p.exitcode, 0)
  p.close()
  const closed = { instanceOf: mp.ValueError, message: 'process object is closed' }
  t.throws(() => p.isAlive(), closed)
  await t.throwsAsync(calls.join(p), closed)
  t.throws(() => p.terminate(), closed)
  t.throws(() => p.kill(), closed)
  t.throws(() => p.exitcode, closed)
  p.close()
  reader.close()
  writer.close()
  return new WeakRef(p)
}

rowInBothForms('_TestProcess.test_close', async (t, given) => {
  t.true(await isCollected(await closeProcess(t, given)))
})

rowInBothForms('_TestProcess.test_many_processes', async (t, { calls, method }) => {
  const many = Array.from({ length: method === 'spawn' ? 5 : 100 })

  const brief = many.map(() => new mp.Process({ target: child.sleepBriefly }))
  for (const p of brief) p.start()
  for (const p of brief) await calls.join(p)
  t.deepEqual(new Set(brief.map((p) => p.exitcode)), new Set([0]))

  const long = many.map(() => new mp.Process({ target: child.sleepLong }))
  for (const p of long) p.start()
  for (const p of long) p.terminate()
  for (const p of long) await calls.join(p)
  t.deepEqual(new Set(long.map((p) => p.exitcode)), new Set([-SIGTERM]))
})

rowWithThreadsInBothForms('_TestProcess.test_lose_target_ref', async (t, { calls, api }) => {
  const [reader, writer] = api.Pipe({ duplex: false })
  const startWithMarked = (): [mp.Process, WeakRef<child.Marked>] => {
    const marked = new child.Marked()
    const p = new api.Process({ target: child.checkMarked, args: [writer, marked] })
    p.start()
    return [p, new WeakRef(marked)]
  }
  const [p, marked] = startWithMarked()
  await calls.join(p)
  t.is(p.exitcode, 0)
  t.true(await isCollected(marked))
  t.is(await calls.recv(reader), 5)
  reader.close()
  writer.close()
})

rowInBothForms('_TestProcess.test_child_fd_inflation', async (t, { calls }) => {
  const [results, resultWriter] = mp.Pipe({ duplex: false })
  const gate = new mp.Event()
  const children = Array.from({ length: 5 }, () => {
    const args = [resultWriter, gate, calls.form]
    return new mp.Process({ target: child.sendDescriptorCount, args })
  })
  for (const p of children) p.start()
  resultWriter.close()
  const counts: number[] = []
  for (const _ of children) counts.push(await calls.recv(results))
  gate.set()
  for (const p of children) await calls.join(p)
  t.is(new Set(counts).size, 1, `counts: ${counts}`)
  t.deepEqual(new Set(children.map((p) => p.exitcode)), new Set([0]))
  results.close()
})

rowInBothForms('_TestProcess.test_wait_for_threads', async (t, { method, calls }) => {
  const folder = temporaryFolder(t)
  // A forked child cannot have threads; that it is told so is asserted below.
  const targets = method === 'spawn' ? [child.leaveThreads, child.leaveTimers] : [child.leaveTimers]
  for (const target of targets) {
    const awaited = joinPath(folder, `${target.name}-awaited`)
    const abandoned = joinPath(folder, `${target.name}-abandoned`)
    const p = new mp.Process({ target, args: [awaited, abandoned] })
    p.start()
    await calls.join(p)
    t.is(p.exitcode, 0)
    t.is(readFileSync(awaited, 'utf8'), 'done')
    t.throws(() => readFileSync(abandoned), { code: 'ENOENT' })
  }
  if (method === 'spawn') return
  const [reader, writer] = mp.Pipe({ duplex: false })
  const p = new mp.Process({ target: child.tellWhatThreadsAre, args: [writer] })
  p.start()
  writer.close()
  t.regex(String(await calls.recv(reader)), /^Error: worker threads cannot be used .*'spawn'/)
  await calls.join(p)
  t.is(p.exitcode, 0)
  reader.close()
})

const withBrokenStreams = async (
  t: ExecutionContext,
  method: string,
  breaker: 'parent' | 'child',
): Promise<void> => {
  const folder = temporaryFolder(t)
  const program = new URL('../fixtures/conformance/broken-streams.js', import.meta.url)
  for (const stream of ['stdout', 'stderr']) {
    for (const how of ['remove', 'destroy', 'close']) {
      const output = joinPath(folder, `${stream}-${how}`)
      const args = [method, breaker, stream, how, output]
      const outcome = await runProgram(program, { args })
      t.like(outcome, { code: 0, stdout: '', stderr: '' }, args.join(' '))
      t.deepEqual(JSON.parse(readFileSync(output, 'utf8')), ['alive', 0], args.join(' '))
    }
  }
}

rowWithThreads('_TestProcess.test_error_on_stdio_flush_1', (t, { method }) =>
  withBrokenStreams(t, method, 'parent'),
)

rowWithThreads('_TestProcess.test_error_on_stdio_flush_2', (t, { method }) =>
  withBrokenStreams(t, method, 'child'),
)

rowInBothForms('_TestSubclassingProcess.test_stderr_flush', async (t, { calls }) => {
  const folder = temporaryFolder(t)
  for (const target of [child.divideByZero, child.divideByZeroLater]) {
    const errors = joinPath(folder, target.name)
    const p = new mp.Process({ target, args: [errors] })
    p.start()
    await calls.join(p)
    t.is(p.exitcode, 1)
    const text = readFileSync(errors, 'utf8')
    t.true(text.startsWith(`Process ${p.name}:\n`), text)
    t.true(text.includes('ZeroDivisionError: 1/0 MARKER'), text)
    t.regex(text, /divideByZero .*conformance\/process\.[jt]s:\d+:\d+/)
  }
})

rowInBothForms('_TestSubclassingProcess.test_sys_exit', async (t, { calls }) => {
  const folder = temporaryFolder(t)
  const exitcodeOf = async (target: (...args: never[]) => unknown, args: unknown[]) => {
    const p = new mp.Process({ target, args, daemon: true })
    p.start()
    await calls.join(p)
    return p.exitcode
  }

  const reasons = { list: [1, 2, 3], text: 'ignore this' }
  for (const [name, reason] of Object.entries(reasons)) {
    const errors = joinPath(folder, name)
    t.is(await exitcodeOf(child.systemExitWithErrorsTo, [errors, reason]), 1)
    const expected = typeof reason === 'string' ? reason : inspect(reason)
    t.is(readFileSync(errors, 'utf8').trimEnd(), expected)
  }

  const cases: [unknown[], number][] = [
    [[true], 1],
    [[false], 0],
    [[8], 8],
    [[null], 0],
    [[], 0],
  ]
  for (const [args, expected] of cases) {
    t.is(await exitcodeOf(child.systemExit, args), expected, `SystemExit(${args})`)
    t.is(await exitcodeOf(child.systemExitLater, args), expected, `later SystemExit(${args})`)
  }
  t.is(await exitcodeOf(child.processExit, [8]), 8)
  t.is(await exitcodeOf(child.processExit, []), 0)
})

row('TestBaseProcessKwargs.test_default_kwargs_not_shared_between_instances', async (t) => {
  const received: object[][] = []
  const spoil = (...args: object[]): void => {
    received.push(args)
    for (const argument of args) Object.assign(argument, { spoiled: true })
  }
  await new mp.Process({ target: spoil }).run()
  await new mp.Process({ target: spoil }).run()
  t.deepEqual(received, [[], []], 'without keyword arguments there is no object to share')

  const kwargs = { hello: 23 }
  const first = new mp.Process({ target: spoil, kwargs })
  const second = new mp.Process({ target: spoil, kwargs })
  await first.run()
  t.deepEqual(received.pop(), [{ hello: 23, spoiled: true }])
  t.deepEqual(kwargs, { hello: 23 }, "the caller's object is its own")
  Object.assign(kwargs, { late: true })
  await second.run()
  t.deepEqual(received.pop(), [{ hello: 23, spoiled: true }])
})

row('_TestAtExit.test_atexit', async (t) => {
  const folder = temporaryFolder(t)
  for (const target of [child.writeAtExit, child.writeAtExitAndExit]) {
    const file = joinPath(folder, target.name)
    const p = new mp.Process({ target, args: [file] })
    p.start()
    await p.join()
    t.is(p.exitcode, 0)
    t.is(readFileSync(file, 'utf8'), 'deadbeef')
  }
})
