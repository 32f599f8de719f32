/** Processes that are killed anywhere: whoever is left learns of it soon, and nothing is left behind. */
import { readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import test from 'ava'
import * as mp from 'node-multiprocessing'
import * as victims from '../fixtures/chaos-victims.js'
import { openDescriptorCount, within } from '../fixtures/connection-patience.js'
import { collectGarbage } from '../helpers/garbage.js'
import { childrenOf } from '../helpers/processes-of-this-program.js'
import { until } from '../helpers/until.js'
import { underWatchdog } from '../helpers/watchdog.js'

const files = (): string[] =>
  ['/dev/shm', tmpdir()].flatMap((folder) =>
    readdirSync(folder).filter(
      (name) => /pymp|multiprocessing|^mp-|memfd/.test(name) && !/test-|^mp-chaos-/.test(name),
    ),
  )

const start = (
  target: (connection: mp.Connection, ...rest: never[]) => unknown,
): [mp.Process, mp.Connection] => {
  const [ours, theirs] = mp.Pipe()
  const child = new mp.Process({ target, args: [theirs] })
  child.start()
  theirs.close()
  return [child, ours]
}

for (const form of ['Promise', 'Sync']) {
  test.serial(
    `a writer killed inside a message of 64 MiB: the reader is told [${form}]`,
    async (t) => {
      const [child, connection] = start(victims.sendForEver)
      // The first bytes of the message are there; the rest cannot be, as nobody reads.
      t.true(await connection.poll(30_000))
      child.kill()
      await child.join()
      const expected = { instanceOf: mp.OSError, message: 'got end of file during message' }
      if (form === 'Promise') await t.throwsAsync(within('recv', connection.recvBytes()), expected)
      else await underWatchdog(() => void t.throws(() => connection.recvBytesSync(), expected))
      connection.close()
      child.close()
    },
  )

  test.serial(
    `a reader killed inside a message of 64 MiB: the writer is told [${form}]`,
    async (t) => {
      const [child, connection] = start(victims.readSome)
      await connection.send('begin')
      t.is(await connection.recv(), 'reading')
      const large = Buffer.alloc(64 << 20)
      if (form === 'Promise') {
        const sending = connection.sendBytes(large).catch((error) => error)
        child.kill()
        t.is((await within('send', sending)).code, 'EPIPE')
      } else {
        await connection.send('die')
        await underWatchdog(
          () =>
            void t.throws(() => connection.sendBytesSync(large), {
              instanceOf: mp.OSError,
              code: 'EPIPE',
            }),
        )
      }
      await child.join()
      connection.close()
      child.close()
    },
  )
}

test.serial('two hundred processes killed at random moments of their talk', async (t) => {
  const warm = start(victims.talk)
  warm[0].kill()
  await warm[0].join()
  warm[0].close()
  warm[1].close()
  await collectGarbage()
  const before = { fds: openDescriptorCount(), files: files(), children: childrenOf(process.pid) }
  let dead = 0
  let random = 12_345
  const next = (limit: number): number => {
    random = (random * 1_103_515_245 + 12_345) & 0x7fff_ffff
    return random % limit
  }
  for (let round = 0; round < 20; round++) {
    const talks = Array.from({ length: 10 }, async () => {
      const [child, connection] = start(victims.talk)
      const killing = setTimeout(() => child.kill(), next(400))
      try {
        for (let i = 0; ; i++) {
          const size = [3, 5000, 70_000, 1 << 20][i % 4]!
          await connection.send({ i, bytes: new Uint8Array(size) })
          const answer = await connection.recv<{ i: number; bytes: Uint8Array }>()
          if (answer.i !== i || answer.bytes.length !== size) throw new Error('mixed up')
        }
      } catch (error) {
        if (!(error instanceof mp.EOFError || error instanceof mp.OSError)) throw error
        dead++
      } finally {
        clearTimeout(killing)
        connection.close()
        child.kill()
        await child.join()
        child.close()
      }
    })
    await within('a round ends', Promise.all(talks), 60_000)
  }
  t.is(dead, 200)
  t.is(mp.activeChildren().length, 0)
  for (let i = 0; i < 50 && openDescriptorCount() > before.fds; i++) await collectGarbage()
  // There may be one less: memory for very large messages is kept for a second.
  t.true(openDescriptorCount() <= before.fds)
  t.deepEqual(childrenOf(process.pid), before.children)
  t.deepEqual(files(), before.files)
})

test.serial(
  'a parent that is killed while its children talk to each other leaves none',
  async (t) => {
    const [reader, writer] = mp.Pipe(false)
    const owner = new mp.Process({ target: victims.ownTalkers, args: [writer] })
    owner.start()
    writer.close()
    const pids = await within('the children talk', reader.recv<number[]>())
    owner.kill()
    await owner.join()
    await until('the daemons are gone', () =>
      pids.every((pid) => {
        try {
          return !process.kill(pid, 0)
        } catch {
          return true
        }
      }),
    )
    t.is(owner.exitcode, -9)
    reader.close()
    owner.close()
  },
)
