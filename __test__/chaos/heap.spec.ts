/**
 * Whoever sends and receives shared memory may be killed at any moment: nothing is used again while
 * somebody has it, what nobody has comes back, and no descriptor stays.
 */
import test, { type ExecutionContext } from 'ava'
import * as mp from 'node-multiprocessing'
import { allocate } from '#heap'
import { within } from '../fixtures/connection-patience.js'
import { killAtAnyTime, type Note } from '../fixtures/shared-memory-chaos.js'
import { collectGarbage } from '../helpers/garbage.js'
import { killAll } from '../helpers/processes-of-this-program.js'
import { leftBehindSince, resourcesOf } from '../helpers/resources.js'

/** How long, in milliseconds. */
const DURATION = Number(process.env.CHAOS_DURATION ?? 10_000)

const SIZE = 1024

/** It keeps a segment, which so is not among those that come and go. */
const first = allocate(64)

/** Has the engine look which memory others do not need any more, as it does when it needs more itself. */
const needMore = (): void => {
  for (let i = 0; i < 10; i++) allocate(2 << 20)
}

const isIntact = (view: Uint32Array, number: number): boolean =>
  view.every((word) => word === number)

test.afterEach.always(() => {
  killAll(
    mp
      .activeChildren()
      .map((child) => child.pid ?? 0)
      .filter(Boolean),
  )
})

/** Exchanges memory with children that are killed, and says how often. */
const killAtRandom = async (
  t: ExecutionContext,
  method: string,
  life: number,
): Promise<{ rounds: number; killed: number }> => {
  const context = mp.getContext(method)
  const end = Date.now() + DURATION / mp.getAllStartMethods().length
  let number = 1
  let rounds = 0
  let killed = 0
  let children = 0
  let kept: [Uint32Array, number][] = []
  while (Date.now() < end) {
    const [connection, theirs] = context.Pipe()
    const child = new context.Process({ target: killAtAnyTime, args: [theirs] })
    child.start()
    theirs.close()
    const dieSoon = (within: number): void => {
      killer ??= setTimeout(() => child.kill(), Math.random() * within)
    }
    let killer: NodeJS.Timeout | undefined
    // Some before they have received anything.
    if (++children % 3 === 0) dieSoon(life)
    try {
      for (;;) {
        number++
        const view = new Uint32Array(allocate(SIZE).buffer)
        if (!view.every((word) => word === 0)) t.fail('memory that is used again is zeros')
        view.fill(number)
        await connection.send({ view, number } satisfies Note)
        // Nobody here has it while it is on its way.
        const note = await within('an answer', connection.recv<Note>(), 60_000)
        dieSoon(life)
        if (!isIntact(note.view, note.number)) t.fail(`${note.number} was written over`)
        kept.push([note.view, note.number])
        rounds++
      }
    } catch (error) {
      if (!(error instanceof mp.EOFError || error instanceof mp.OSError)) throw error
    }
    clearTimeout(killer)
    await within('its end', child.join(), 60_000)
    if (child.exitcode === -9) killed++
    connection.close()
    child.close()
    for (const [view, its] of kept) {
      if (!isIntact(view, its)) t.fail(`${its} was written over`)
    }
    kept = kept.slice(-100)
  }
  return { rounds, killed }
}

for (const method of mp.getAllStartMethods()) {
  test.serial(`senders and receivers are killed at random [${method}]`, async (t) => {
    const context = mp.getContext(method)
    /** For how long a child may live, in milliseconds. */
    const life = 60
    const warm = new context.Process()
    warm.start()
    await warm.join()
    warm.close()
    await collectGarbage()
    const before = resourcesOf()
    const { rounds, killed } = await killAtRandom(t, method, life)
    t.log(`${rounds} messages, ${killed} killed`)
    t.true(killed > 0 && rounds > 0)
    await collectGarbage()
    needMore()
    t.deepEqual(await leftBehindSince(before), { descriptors: [], children: [] })
    t.is(first.buffer.byteLength, 64)
  })
}
