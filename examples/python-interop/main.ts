/** Counts primes, together with a Python process: whoever is free takes the next range. */
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { type Connection, pickle } from 'node-multiprocessing'
import { Listener } from 'node-multiprocessing/connection'

const LIMIT = 200_000
const STEP = 5_000

type Range = [start: number, stop: number]

interface Found {
  readonly range: Range
  readonly primes: number[]
}

const isPrime = (n: number): boolean => {
  for (let d = 2; d * d <= n; d++) if (n % d === 0) return false
  return n > 1
}

const ranges: Range[] = []
for (let start = 0; start < LIMIT; start += STEP) ranges.push([start, start + STEP])

/** The Node side's share: one range, with a turn of the event loop after it. */
const workHere = async (results: Found[]): Promise<number> => {
  let done = 0
  for (let range = ranges.shift(); range !== undefined; range = ranges.shift()) {
    const [start, stop] = range
    const primes = Array.from({ length: stop - start }, (_, i) => start + i).filter(isPrime)
    results.push({ range, primes })
    done++
    await new Promise((resolve) => setImmediate(resolve))
  }
  return done
}

/** Python's share, one range at a time. */
const workThere = async (connection: Connection, results: Found[]): Promise<number> => {
  let done = 0
  for (let range = ranges.shift(); range !== undefined; range = ranges.shift()) {
    // Python wants a tuple where it unpacks one; a list would do as well.
    await connection.send({ range: pickle.tuple(...range) })
    const answer = await connection.recv<Found | Error>()
    if (answer instanceof Error) throw answer
    results.push(answer)
    done++
  }
  await connection.send(null)
  return done
}

/** Beside this file, or where it was compiled from. */
const worker = ['worker.py', '../../../examples/python-interop/worker.py']
  .map((path) => fileURLToPath(new URL(path, import.meta.url)))
  .find((path) => existsSync(path))!

const authkey = randomBytes(32)
const listener = new Listener({ authkey, serializer: 'pickle' })
const python = spawn(process.env.PYTHON ?? 'python3', [worker, String(listener.address)], {
  stdio: 'inherit',
  env: { ...process.env, JOB_KEY: authkey.toString('hex') },
})
const ended = once(python, 'exit')
const connection = await listener.accept({ timeout: 30_000 })
listener.close()
const { worker: name, version } = await connection.recv()
console.log(`${name} 3 is here: ${version[0] === 3}`)

const results: Found[] = []
const [there, here] = await Promise.all([workThere(connection, results), workHere(results)])
connection.close()
await ended

const count = results.reduce((sum, { primes }) => sum + primes.length, 0)
console.log(`${count} primes below ${LIMIT}`)
console.log(there > 0 && here > 0 ? 'both have worked' : 'one has slept')
