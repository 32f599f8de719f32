/** Blocks of shared memory: how long they live, what they tell, what is not believed of them. */
import { constants } from 'node:buffer'
import { closeSync, openSync } from 'node:fs'
import { totalmem } from 'node:os'
import test from 'ava'
import * as mp from 'node-multiprocessing'
import { registerReducer } from '#codec'
import { allocate, type Block, blockOf, rebuildBlock, reduceBlock } from '#heap'
import { within } from './fixtures/connection-patience.js'
import * as others from './fixtures/shared-memory.js'
import { confined } from './helpers/confined-programs.js'
import { isCollected } from './helpers/garbage.js'
import { leftBehindSince, resourcesOf } from './helpers/resources.js'
import { until } from './helpers/until.js'

/** How objects that use blocks travel. */
class Owner {
  readonly block: Block
  constructor(block: Block) {
    this.block = block
  }
}
registerReducer(Owner, {
  name: 'test.Owner',
  trustedOnly: true,
  reduce: ({ block }, context) => reduceBlock(block, context),
  rebuild: (state, context) => new Owner(rebuildBlock(state, context)),
})

/** What is made of descriptions that a peer has made up. */
class Forged {
  readonly fd: number
  readonly state: (index: number) => unknown
  outcome: unknown

  constructor(fd: number, state: (index: number) => unknown) {
    this.fd = fd
    this.state = state
  }
}
registerReducer(Forged, {
  name: 'test.Forged',
  trustedOnly: true,
  reduce: ({ fd, state }, context) => state(context.handle(fd)),
  rebuild(state, context) {
    const forged = new Forged(-1, () => null)
    try {
      forged.outcome = rebuildBlock(state, context)
    } catch (error) {
      forged.outcome = error
    }
    return forged
  },
})

const roundTrip = async <T>(value: T): Promise<T> => {
  const [a, b] = mp.Pipe()
  try {
    const sending = a.send(value)
    const received = await within('the message', b.recv<T>())
    await sending
    return received
  } finally {
    a.close()
    b.close()
  }
}

test('a block is as long as it was asked to be, and zeros', (t) => {
  const places = new Set<string>()
  const kept: Block[] = []
  for (const size of [0, 1, 63, 64, 65, 1000, 4096, 100_000, 2 << 20, (2 << 20) + 1, 5 << 20]) {
    const block = allocate(size)
    t.is(block.buffer.byteLength, size)
    const bytes = new Uint8Array(block.buffer)
    t.true(bytes.every((byte) => byte === 0))
    bytes.fill(0xff)
    t.is(blockOf(block.buffer), block)
    places.add(`${block.segment}:${block.offset}`)
    kept.push(block)
  }
  t.is(places.size, kept.length)
  t.is(blockOf(new ArrayBuffer(8)), undefined)
})

test('sizes that are none, or cannot be had, are errors', (t) => {
  for (const size of [-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, '8', null, undefined]) {
    t.throws(() => allocate(size as number), {
      instanceOf: mp.ValueError,
      message: /^a size in bytes is wanted, not /,
    })
  }
  const tooMuch = 2 ** 46
  if (tooMuch > constants.MAX_LENGTH) {
    t.throws(() => allocate(tooMuch), {
      instanceOf: mp.ValueError,
      message: /^a block cannot have/,
    })
  } else {
    t.true(totalmem() < tooMuch)
    t.throws(() => allocate(tooMuch), { instanceOf: mp.OSError, code: 'ENOMEM' })
  }
})

test('more than a file may have is an error, and nobody is killed', (t) => {
  const outcome = confined(
    t,
    // In units of 512 bytes.
    'ulimit -f 200000',
    `
mp.share(new Uint8Array(1000))
try {
  mp.share(new Uint8Array(300_000_000))
} catch (error) {
  console.log(error instanceof mp.OSError, error.code)
}
`,
  )
  t.deepEqual(outcome, { status: 0, signal: null, stdout: 'true EFBIG\n', stderr: '' })
})

test('blocks in objects: the same memory is one Block', async (t) => {
  const block = allocate(100)
  const one = new Owner(block)
  const two = new Owner(block)
  const [first, second, view] = await roundTrip([one, two, new Uint8Array(block.buffer)] as const)
  t.not(first, one)
  t.is(first.block, block)
  t.is(second.block, block)
  t.is(view.buffer, block.buffer)
})

test.serial('the buffer keeps the block, and nothing else does', async (t) => {
  const before = others.segments()
  const kept = new Uint8Array(allocate(3 << 20).buffer, 5, 1)
  const gone = (() => new WeakRef(new Uint8Array(allocate(3 << 20).buffer)))()
  t.is(others.segments(), before + 2)
  t.true(await isCollected(gone))
  await until('one is unmapped', () => others.segments() === before + 1)
  kept[0] = 9
  t.is(blockOf(kept.buffer)!.buffer.byteLength, 3 << 20)
})

test.serial('a hundred thousand blocks take no more memory than those in use', async (t) => {
  const before = resourcesOf()
  let sum = 0
  for (let i = 0; i < 100; i++) {
    for (let j = 0; j < 1000; j++) {
      const view = new Uint32Array(allocate(256).buffer)
      sum += view[7]!
      view[7] = 1
    }
    await new Promise(setImmediate)
  }
  t.is(sum, 0)
  t.true((await leftBehindSince(before)).descriptors.length < 8)
})

for (const method of mp.getAllStartMethods()) {
  test.serial(
    `tags: one for each thread that has the block, new in a copy [${method}]`,
    async (t) => {
      const view = mp.share(new Int32Array(4))
      const own = blockOf(view.buffer)!
      const tags = [own.tag]
      const inherited: number[] = [others.inherited.tag]
      for (let i = 0; i < 2; i++) {
        const [connection, theirs] = mp.Pipe()
        const child = new (mp.getContext(method).Process)({
          target: others.tellTags,
          args: [view, theirs],
        })
        child.start()
        theirs.close()
        const [ofInherited, ofSent, same] = await within(
          'the tags',
          connection.recv<[number, number, boolean]>(),
          60_000,
        )
        t.true(same)
        tags.push(ofSent)
        if (method === 'fork') inherited.push(ofInherited)
        connection.sendSync(null)
        await child.join()
        connection.close()
        child.close()
      }
      for (const all of [tags, inherited]) {
        t.is(new Set(all).size, all.length)
        t.true(all.every((tag) => Number.isInteger(tag) && tag > 0 && tag < 2 ** 30))
      }
      t.true(own.tag === tags[0])
    },
  )
}

for (const method of mp.getAllStartMethods()) {
  test.serial(`what a child still had is taken back when it has ended [${method}]`, async (t) => {
    const { Process } = mp.getContext(method)
    const warm = new Process()
    warm.start()
    await warm.join()
    warm.close()
    const before = others.segments()
    const [connection, theirs] = mp.Pipe()
    // Together they fill more than one arena. A function makes them, so that this one has none of them.
    const begin = () => {
      const views = Array.from({ length: 200 }, () => mp.share(new Int32Array(20_000)))
      const child = new Process({ target: others.have, args: [views, theirs] })
      child.start()
      return { child, collected: views.map((view) => new WeakRef(view)) }
    }
    const { child, collected } = begin()
    theirs.close()
    try {
      await within('the child', connection.recv(), 60_000)
      for (const reference of collected) t.true(await isCollected(reference))
      t.true(others.segments() > before)
    } finally {
      child.kill()
      await child.join()
      child.close()
      connection.close()
    }
    await until('the memory is back', () => others.segments() <= before)
  })
}

for (const method of mp.getAllStartMethods()) {
  test(`shared memory without bytes comes in [${method}]`, async (t) => {
    const [connection, theirs] = mp.Pipe()
    const child = new (mp.getContext(method).Process)({ target: others.sendEmpty, args: [theirs] })
    child.start()
    theirs.close()
    const received = connection.recv<[Float64Array, ArrayLike<number>, ArrayLike<number>]>()
    const [view, raw, array] = await within('the message', received, 60_000)
    t.deepEqual([view.length, raw.length, array.length], [0, 0, 0])
    t.true(view instanceof Float64Array)
    t.is((await roundTrip(array)).length, 0)
    await child.join()
    child.close()
    connection.close()
  })
}

test('descriptions that no honest peer sends', async (t) => {
  const block = allocate(100)
  // Sending it once tells where it is.
  let offset = 0
  class Spy {
    readonly block = block
  }
  registerReducer(Spy, {
    name: 'test.Spy',
    trustedOnly: true,
    reduce(spy, context) {
      const state = reduceBlock(spy.block, context) as [number, number, number]
      offset = state[1]
      return state
    },
    rebuild: () => new Spy(),
  })
  await roundTrip(new Spy())
  t.true(offset >= 4096)

  const file = openSync('/dev/null', 'r+')
  const before = resourcesOf()
  const states: ((index: number) => unknown)[] = [
    () => null,
    () => [],
    (index) => [index, offset],
    (index) => [index, offset, 100, 1],
    (index) => [index, -64, 100],
    (index) => [index, offset, 1.5],
    (index) => [index, offset, '100'],
    (index) => [index, offset, 2 ** 60],
    (index) => [index, 2 ** 52, 100],
    (index) => [index, offset, 100],
    (index) => [index + 1, offset, 100],
  ]
  for (const state of states) {
    const { outcome } = await roundTrip(new Forged(file, state))
    t.true(outcome instanceof mp.UnpicklingError, String(outcome))
  }
  closeSync(file)
  t.deepEqual((await leftBehindSince(before)).descriptors, [])
})
