import { writeSync } from 'node:fs'
import { workerData } from 'node:worker_threads'
import { descendantsOf, killAll } from './processes-of-this-program.js'

/** How long the test has to fail by itself once its processes are killed, in milliseconds. */
const grace = 10_000

const deadline = workerData as BigInt64Array

let announced = 0

setInterval(() => {
  const end = Number(Atomics.load(deadline, 0))
  if (end === 0 || Date.now() < end) return
  const hung = descendantsOf(process.pid)
  if (announced !== end)
    writeSync(2, `watchdog: a test hangs; killing the processes ${hung.join(' ')}\n`)
  announced = end
  killAll(hung)
  if (Date.now() > end + grace) process.kill(process.pid, 'SIGKILL')
}, 1000)
