/** Rows of `_TestHeap`: that blocks lie side by side and add up is tested in `crates/shm`. */
import type { ExecutionContext } from 'ava'
import { allocate, type Block } from '#heap'
import { leftBehindSince, resourcesOf } from '../helpers/resources.js'
import { nothingIsLeftBehind, row } from '../helpers/row.js'

/** The last segment stays, for the next block; this one is it. */
const first = allocate(64)

nothingIsLeftBehind()

/** The same numbers in each run. */
const randomly = (seed: number): (() => number) => {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff
    return state / 0x8000_0000
  }
}

/** Sizes like the reference's: many small ones, and a few that are large. */
const logNormal = (random: () => number): number => {
  const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
  return Math.trunc(Math.exp(normal) * 1000)
}

/** Writes a number of its own into a block, at both ends. */
const mark = ({ buffer }: Block, number: number): void => {
  const view = new DataView(buffer)
  view.setUint32(0, number)
  view.setUint32(buffer.byteLength - 4, number)
}

const isMarked = ({ buffer }: Block, number: number): boolean => {
  const view = new DataView(buffer)
  return view.getUint32(0) === number && view.getUint32(buffer.byteLength - 4) === number
}

/** Allocates and frees, and looks where what is left lies. */
const allocateAtRandom = async (t: ExecutionContext): Promise<void> => {
  const random = randomly(4711)
  const blocks = new Map<number, Block>()
  for (let i = 0; i < 5000; i++) {
    const block = allocate(Math.max(4, logNormal(random)))
    if (!new Uint8Array(block.buffer).every((byte) => byte === 0)) t.fail('memory is zeros')
    mark(block, i)
    blocks.set(i, block)
    if (blocks.size > 50) {
      const numbers = [...blocks.keys()]
      blocks.delete(numbers[Math.trunc(random() * numbers.length)]!)
    }
    if (i % 100 === 0) await new Promise(setImmediate)
  }
  for (const [number, block] of blocks) t.true(isMarked(block, number))
  const places = [...blocks.values()].map(
    (b) => [b.segment, b.offset, b.buffer.byteLength] as const,
  )
  places.sort(([a, b], [c, d]) => a - c || b - d)
  for (const [index, [segment, offset, size]] of places.entries()) {
    t.is(offset % 64, 0)
    const [nextSegment, nextOffset] = places[index + 1] ?? []
    if (nextSegment === segment) t.true(offset + size <= nextOffset!)
  }
}

row('_TestHeap.test_heap', async (t) => {
  const before = resourcesOf()
  await allocateAtRandom(t)
  t.deepEqual((await leftBehindSince(before)).descriptors, [])
  t.is(first.buffer.byteLength, 64)
})
