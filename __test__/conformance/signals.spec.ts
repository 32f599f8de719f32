import type { ExecutionContext } from 'ava'
import * as mp from 'node-multiprocessing'
import { blockingSize, exchangeUnderSignals } from '../fixtures/conformance/connection.js'
import { signalSleeper, waitForRelease } from '../fixtures/conformance/signals.js'
import { nothingIsLeftBehind, rowInBothForms } from '../helpers/row.js'
import { until, untilAsleep } from '../helpers/until.js'

nothingIsLeftBehind()

/** Counts the SIGUSR1 that reach this process until the test ends. */
const countSignals = (t: ExecutionContext): { count: number } => {
  const signals = { count: 0 }
  const handler = (): void => {
    signals.count++
  }
  process.on('SIGUSR1', handler)
  t.teardown(() => process.removeListener('SIGUSR1', handler))
  return signals
}

rowInBothForms('_TestPollEintr.test_poll_eintr', async (t, { calls }) => {
  const signals = countSignals(t)
  const [start, starter] = mp.Pipe({ duplex: false })
  const [gate, opener] = mp.Pipe({ duplex: false })
  const killer = new mp.Process({ target: signalSleeper, args: [process.pid, start, opener] })
  const p = new mp.Process({ target: waitForRelease, args: [gate] })
  killer.start()
  p.start()
  for (const connection of [start, gate, opener]) connection.close()
  await calls.send(starter, 'go')
  await calls.join(p)
  await calls.join(killer)
  await until('the signal has been handled', () => signals.count > 0)
  t.is(signals.count, 1)
  t.is(p.exitcode, 0)
  t.is(killer.exitcode, 0)
  starter.close()
})

rowInBothForms('TestIgnoreEINTR.test_ignore', async (t, { calls }) => {
  const [connection, childConnection] = mp.Pipe()
  const args = [childConnection, calls.form]
  const p = new mp.Process({ target: exchangeUnderSignals, args, daemon: true })
  p.start()
  childConnection.close()
  const pid = p.pid ?? 0

  t.is(await calls.recv(connection), 'ready')
  await untilAsleep(pid)
  process.kill(pid, 'SIGUSR1')
  await untilAsleep(pid)
  await calls.send(connection, 1234)
  t.is(await calls.recv(connection), 1234)
  await untilAsleep(pid)
  process.kill(pid, 'SIGUSR1')
  t.true(Buffer.alloc(blockingSize, 'x').equals(await calls.recvBytes(connection)))
  t.is(await calls.recv(connection), 2)
  await calls.join(p)
  t.is(p.exitcode, 0)
  connection.close()
})
