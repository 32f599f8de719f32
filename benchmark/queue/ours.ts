/** Ours. @module */
import * as mp from 'node-multiprocessing'
import { type Pair, startPair } from '../child-pair.js'
import { contextSwitches } from '../context-switches.js'
import { filling } from '../large-buffers/contents.js'
import { type SmallMessage, smallMessage } from '../message.js'
import { verifySum } from '../one-way-objects/sum.js'
import { batches, messagesPerSecond } from '../rate.js'
import { type Duration, meanTime, meanTimeSync } from '../timing.js'
import * as children from './children.js'

interface Amounts {
  readonly warmup: number
  readonly count: number
}

interface SizedAmounts extends Amounts {
  readonly size: number
}

type AnyQueue = mp.Queue | mp.SimpleQueue

const oneWaySync = async (amounts: Amounts, queue: AnyQueue): Promise<number> => {
  const sizes = batches(amounts)
  const { connection, end } = startPair(children.addUpSync, queue, sizes)
  const rate = await messagesPerSecond(sizes, (count) => {
    for (let id = 0; id < count; id++) queue.putSync(smallMessage(id))
    verifySum(connection.recvSync(), count)
  })
  await end()
  return rate
}

/** `putSync` to `getSync`. */
export const oneWayQueueSync = (amounts: Amounts) => oneWaySync(amounts, new mp.Queue())

/** The same, of a `SimpleQueue`. */
export const oneWaySimpleSync = (amounts: Amounts) => oneWaySync(amounts, new mp.SimpleQueue())

/** `put` to `get`, with both event loops running. */
export const oneWayQueue = async (amounts: Amounts): Promise<number> => {
  const sizes = batches(amounts)
  const queue = new mp.Queue()
  const { connection, end } = startPair(children.addUp, queue, sizes)
  const rate = await messagesPerSecond(sizes, async (count) => {
    for (let id = 0; id < count; id++) await queue.put(smallMessage(id))
    verifySum(await connection.recv(), count)
  })
  await end()
  return rate
}

/** So many go at once. */
const MANY = 500

/** `putManySync` to `getManySync`. */
export const oneWayMany = async (amounts: Amounts): Promise<number> => {
  const sizes = batches(amounts)
  const queue = new mp.Queue<SmallMessage>()
  const { connection, end } = startPair(children.addUpMany, queue, sizes)
  const rate = await messagesPerSecond(sizes, (count) => {
    for (let id = 0; id < count; ) {
      const items: SmallMessage[] = []
      while (items.length < MANY && id < count) items.push(smallMessage(id++))
      queue.putManySync(items)
    }
    verifySum(connection.recvSync(), count)
  })
  await end()
  return rate
}

/** How many there are on each side where there are several. */
const SIDE = 4

const severalToSeveral = async (amounts: Amounts, queue: AnyQueue): Promise<number> => {
  const sizes = batches(amounts)
  const shares = sizes.map((size) => size / SIDE)
  const pairs = (target: typeof children.putObjects): Pair[] =>
    Array.from({ length: SIDE }, () => startPair(target, queue, shares))
  const consumers = pairs(children.addUpWhenTold)
  const producers = pairs(children.putObjects)
  const rate = await messagesPerSecond(sizes, (count) => {
    for (const { connection } of [...consumers, ...producers]) connection.sendSync('go')
    let sum = 0
    for (const { connection } of consumers) sum += connection.recvSync<number>()
    const share = count / SIDE
    if (sum !== (SIDE * share * (share - 1)) / 2) throw new Error(`they add up to ${sum}`)
  })
  for (const { end } of [...producers, ...consumers]) await end()
  return rate
}

/** Four put in, four take, blocking. */
export const severalQueue = (amounts: Amounts) => severalToSeveral(amounts, new mp.Queue())

/** The same, of a `SimpleQueue`. */
export const severalSimple = (amounts: Amounts) => severalToSeveral(amounts, new mp.SimpleQueue())

const manyBuffers = (size: number): Uint8Array[] =>
  Array.from({ length: MANY }, () => new Uint8Array(size).fill(filling))

/** Small buffers, `putManySync` to `getManySync`. */
export const smallMany = async (amounts: SizedAmounts): Promise<number> => {
  const sizes = batches(amounts)
  const queue = new mp.Queue<Uint8Array>()
  const buffers = manyBuffers(amounts.size)
  const { connection, end } = startPair(children.countBytesMany, queue, sizes)
  const rate = await messagesPerSecond(sizes, (count) => {
    for (let i = 0; i < count; i += MANY) queue.putManySync(buffers.slice(0, count - i))
    if (connection.recvSync() !== count * amounts.size) throw new Error('bytes were lost')
  })
  await end()
  return rate
}

/** Small buffers, `putSync` to `getSync`. */
export const smallOneByOne = async (amounts: SizedAmounts): Promise<number> => {
  const sizes = batches(amounts)
  const queue = new mp.Queue<Uint8Array>()
  const buffers = manyBuffers(amounts.size)
  const { connection, end } = startPair(children.countBytes, queue, sizes)
  const rate = await messagesPerSecond(sizes, (count) => {
    for (let i = 0; i < count; i++) queue.putSync(buffers[i % MANY]!)
    if (connection.recvSync() !== count * amounts.size) throw new Error('bytes were lost')
  })
  await end()
  return rate
}

type Receive = typeof children.takeLargeSync | typeof children.takeLarge

const large = async (
  { size, ...amounts }: SizedAmounts,
  queue: AnyQueue,
  receive: Receive,
  put: (bytes: Uint8Array) => void | Promise<void>,
): Promise<number> => {
  const sizes = batches(amounts)
  const { connection, end } = startPair(receive as typeof children.takeLarge, queue, sizes, size)
  const bytes = new Uint8Array(size).fill(filling)
  const rate = await messagesPerSecond(sizes, async (count) => {
    for (let i = 0; i < count; i++) await put(bytes)
    if ((await connection.recv()) !== count) throw new Error('buffers were lost')
  })
  await end()
  return (rate * size) / 1e9
}

/** Large buffers, `putSync` to `getSync`. */
export const largeQueueSync = (amounts: SizedAmounts): Promise<number> => {
  const queue = new mp.Queue()
  return large(amounts, queue, children.takeLargeSync, (bytes) => queue.putSync(bytes))
}

/** The same, of a `SimpleQueue`. */
export const largeSimpleSync = (amounts: SizedAmounts): Promise<number> => {
  const queue = new mp.SimpleQueue()
  return large(amounts, queue, children.takeLargeSync, (bytes) => queue.putSync(bytes))
}

/** Large buffers, `put` to `get`, with both event loops running. */
export const largeQueue = (amounts: SizedAmounts): Promise<number> => {
  const queue = new mp.Queue()
  return large(amounts, queue, children.takeLarge, (bytes) => queue.put(bytes))
}

const verify = (message: unknown, id: number): void => {
  if ((message as SmallMessage)[0] !== id) throw new Error(`message ${id} came back as another`)
}

const roundTripOver = async (
  duration: Duration,
  there: AnyQueue,
  back: AnyQueue,
): Promise<number> => {
  const { end } = startPair(children.echoSync, there, back)
  let id = 0
  const mean = meanTimeSync(duration, () => {
    there.putSync(smallMessage(++id))
    verify(back.getSync(), id)
  })
  there.putSync(null)
  await end()
  return mean * 1e3
}

/** Both sides block. */
export const roundTripQueueSync = (duration: Duration) =>
  roundTripOver(duration, new mp.Queue(), new mp.Queue())

/** The same, of `SimpleQueue`s. */
export const roundTripSimpleSync = (duration: Duration) =>
  roundTripOver(duration, new mp.SimpleQueue(), new mp.SimpleQueue())

/** Both sides await. */
export const roundTripQueue = async (duration: Duration): Promise<number> => {
  const there = new mp.Queue()
  const back = new mp.Queue()
  const { end } = startPair(children.echo, there, back)
  let id = 0
  const mean = await meanTime(duration, async () => {
    await there.put(smallMessage(++id))
    verify(await back.get(), id)
  })
  await there.put(null)
  await end()
  return mean * 1e3
}

interface Patience {
  /** How long a child may go on with what it did before, in milliseconds. */
  readonly settle: number
  /** For how long its context switches are counted, in milliseconds. */
  readonly duration: number
}

const idle = async (
  { settle, duration }: Patience,
  queue: AnyQueue,
  target: typeof children.waitSync | typeof children.wait,
): Promise<number> => {
  const back = new mp.Queue()
  const { connection, end } = startPair(target as typeof children.wait, queue, back)
  back.getSync()
  const switches = await contextSwitches(connection.recvSync<number>(), settle, duration)
  queue.putSync(null)
  await end()
  return switches
}

/** A child blocks in `getSync`. */
export const idleQueueSync = (given: Patience) => idle(given, new mp.Queue(), children.waitSync)

/** A child awaits `get`. */
export const idleQueue = (given: Patience) => idle(given, new mp.Queue(), children.wait)

/** A child blocks in `getSync` of a `SimpleQueue`. */
export const idleSimpleSync = (given: Patience) =>
  idle(given, new mp.SimpleQueue(), children.waitSync)

interface Span {
  /** How many messages pass before memory is looked at for the first time. */
  readonly warmup: number
  /** How many have passed when it is looked at again. */
  readonly count: number
}

const residentMiB = (): number => process.memoryUsage.rss() / 2 ** 20

/** By how much both sides together grow while messages pass. */
export const growth = async ({ warmup, count }: Span): Promise<number> => {
  const queue = new mp.Queue<SmallMessage>()
  const spans = [warmup, count - warmup]
  const { connection, end } = startPair(children.addUpAndWeigh, queue, spans)
  const sizes: number[] = []
  for (const messages of spans) {
    for (let id = 0; id < messages; id++) queue.putSync(smallMessage(id))
    sizes.push(connection.recvSync<number>() + residentMiB())
  }
  await end()
  return Math.max(0, sizes[1]! - sizes[0]!)
}
