/** Programs that share memory, and their trackers, killed at any moment: nothing is left of what they made. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import test, { type ExecutionContext } from 'ava'
import { write } from '../fixtures/process-programs.js'
import { killGroup } from '../helpers/process-group.js'
import { childrenOf, killAll } from '../helpers/processes-of-this-program.js'
import { imports } from '../helpers/shared-memory-programs.js'
import { until } from '../helpers/until.js'

const PREFIX = `mp-chaos-${process.pid}-`

const left = (): string[] => readdirSync('/dev/shm').filter((name) => name.startsWith(PREFIX))

/** Makes blocks and takes them away, in the program and in two children, for ever. */
const writeProgram = (t: ExecutionContext): string =>
  write(
    t,
    `${imports}
    class Block extends SharedMemory {
      static makeName() {
        return '${PREFIX}' + super.makeName()
      }
    }
    export const work = (connection) => {
      const blocks = []
      for (let i = 0; ; i++) {
        blocks.push(new Block({ create: true, size: 1 + (i * 997) % 20_000 }))
        if (i === 10) connection.sendSync('busy')
        if (blocks.length > 20) {
          const [block] = blocks.splice((i * 31) % 20, 1)
          new SharedMemory(block.name).close()
          block.close()
          block.unlink()
        }
      }
    }
    if (mp.isMainProcess) {
      const [a, b] = mp.Pipe()
      for (const method of ['forkserver', 'spawn']) {
        new (mp.getContext(method).Process)({ target: work, args: [b], daemon: true }).start()
        a.recvSync()
      }
      work({ sendSync: () => console.log(tracker.programTracker().pid) })
    }`,
  ).main

/** Starts it; resolves to it and its tracker when all of it is busy. */
const start = async (main: string) => {
  const child = spawn(process.execPath, [main], {
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  // What the trackers say, too.
  let warnings = ''
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    warnings = (warnings + text).slice(-4000)
  })
  const [said] = (await once(child.stdout!, 'data')) as [Buffer]
  const tracker = Number(said.toString())
  return { pid: child.pid!, tracker, ended: once(child, 'exit'), warnings: () => warnings }
}

/** Waits until nothing is left of what a program has made; logs what was said when something stays. */
const untilNothingIsLeft = async (t: ExecutionContext, warnings: () => string): Promise<void> => {
  try {
    await until('nothing is left', () => left().length === 0)
  } catch (error) {
    t.log(`${left().length} blocks are left; trackers: ${trackers().join(' ')}`)
    t.log(warnings())
    throw error
  }
}

/** All trackers that run, with whether each is stopped or waits. */
const trackers = (): string[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const status = readFileSync(`/proc/${pid}/stat`, 'utf8')
        return status.includes('(mp-tracker)') ? [status.split(' ').slice(0, 5).join(',')] : []
      } catch {
        return []
      }
    })

let random = 4711
const next = (limit: number): number => {
  random = (random * 1_103_515_245 + 12_345) & 0x7fff_ffff
  return (random >> 8) % limit
}

/** A process that has ended has no command line. */
const runs = (pid: number): boolean => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8') !== ''
  } catch {
    return false
  }
}

/** `MP_CHAOS_ROUNDS` says how many programs are killed in each test. */
const ROUNDS = Number(process.env.MP_CHAOS_ROUNDS ?? 12)

test.serial('programs that are killed with all of their processes at once', async (t) => {
  t.timeout(120_000 + ROUNDS * 10_000)
  const main = writeProgram(t)
  for (let round = 0; round < ROUNDS; round++) {
    const { pid, tracker, ended, warnings } = await start(main)
    await sleep(next(60))
    t.true(left().length > 20)
    killGroup(pid)
    await ended
    await untilNothingIsLeft(t, warnings)
    await until('its tracker has ended', () => !runs(tracker))
  }
})

test.serial('programs that are killed process by process', async (t) => {
  t.timeout(120_000 + ROUNDS * 10_000)
  const main = writeProgram(t)
  for (let round = 0; round < ROUNDS; round++) {
    const { pid, tracker, ended, warnings } = await start(main)
    const victims = [...childrenOf(pid), pid].filter((victim) => victim !== tracker)
    while (victims.length > 0) {
      killAll(victims.splice(next(victims.length), 1))
      await sleep(next(20))
    }
    await ended
    killGroup(pid)
    await untilNothingIsLeft(t, warnings)
    await until('its tracker has ended', () => !runs(tracker))
  }
  t.deepEqual(left(), [])
})

test.serial(
  'trackers that are killed are replaced, and their successors know all they knew',
  async (t) => {
    t.timeout(120_000 + ROUNDS * 10_000)
    const main = writeProgram(t)
    for (let round = 0; round < ROUNDS; round++) {
      const { pid, tracker, ended, warnings } = await start(main)
      let victim: number | undefined = tracker
      for (let kill = 0; kill < 5; kill++) {
        killAll([victim!])
        await sleep(next(30))
        // Whoever of the program has something to say first has started the next.
        await until('there is another', () => {
          victim = trackersOf(pid).find((other) => other !== victim)
          return victim !== undefined
        })
      }
      killGroup(pid)
      await ended
      await untilNothingIsLeft(t, warnings)
      await until('the last tracker has ended', () => !runs(victim!))
    }
    t.deepEqual(left(), [])
  },
)

/** The trackers that processes of a group have started. */
const trackersOf = (group: number): number[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const status = readFileSync(`/proc/${pid}/stat`, 'utf8')
        const parent = Number(status.slice(status.lastIndexOf(')') + 2).split(' ')[1])
        return (
          readFileSync(`/proc/${pid}/comm`, 'utf8') === 'mp-tracker\n' &&
          runs(pid) &&
          groupOf(parent) === group
        )
      } catch {
        return false
      }
    })

const groupOf = (pid: number): number => {
  const status = readFileSync(`/proc/${pid}/stat`, 'utf8')
  return Number(status.slice(status.lastIndexOf(')') + 2).split(' ')[2])
}
