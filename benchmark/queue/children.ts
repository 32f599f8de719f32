/** Children at the other end of a queue. Each has a connection to tell its parent what it has seen. @module */
import type { Connection, Queue, SimpleQueue } from 'node-multiprocessing'
import { verifyContents } from '../large-buffers/contents.js'
import { type SmallMessage, smallMessage } from '../message.js'

type AnyQueue = Queue | SimpleQueue

/** Adds up the identifiers of each batch, with its thread blocked while it waits. */
export function addUpSync(connection: Connection, queue: AnyQueue, batches: readonly number[]) {
  for (const count of batches) {
    let sum = 0
    for (let i = 0; i < count; i++) sum += (queue.getSync() as SmallMessage)[0]
    connection.sendSync(sum)
  }
}

/** The same, but says how much memory this process has, in MiB. */
export function addUpAndWeigh(connection: Connection, queue: AnyQueue, batches: readonly number[]) {
  for (const count of batches) {
    for (let i = 0; i < count; i++) {
      if ((queue.getSync() as SmallMessage)[0] !== i) throw new Error(`message ${i} is another`)
    }
    connection.sendSync(process.memoryUsage.rss() / 2 ** 20)
  }
}

/** As `addUpSync`, with its event loop running. */
export async function addUp(connection: Connection, queue: AnyQueue, batches: readonly number[]) {
  for (const count of batches) {
    let sum = 0
    for (let i = 0; i < count; i++) sum += ((await queue.get()) as SmallMessage)[0]
    await connection.send(sum)
  }
}

/** The same as `addUpSync`, many at once. */
export function addUpMany(connection: Connection, queue: Queue, batches: readonly number[]) {
  for (const count of batches) {
    let sum = 0
    let left = count
    while (left > 0) {
      const items = queue.getManySync({ max: left }) as SmallMessage[]
      left -= items.length
      for (const [id] of items) sum += id
    }
    connection.sendSync(sum)
  }
}

/** As `addUpSync`, each batch when it is told to, lest it take from the one before what is not for it. */
export function addUpWhenTold(connection: Connection, queue: AnyQueue, batches: readonly number[]) {
  for (const count of batches) {
    connection.recvSync()
    let sum = 0
    for (let i = 0; i < count; i++) sum += (queue.getSync() as SmallMessage)[0]
    connection.sendSync(sum)
  }
}

/** Puts in each batch when it is told to. */
export function putObjects(connection: Connection, queue: AnyQueue, batches: readonly number[]) {
  for (const count of batches) {
    connection.recvSync()
    for (let id = 0; id < count; id++) queue.putSync(smallMessage(id))
  }
}

/** Takes buffers, one by one, and says how many bytes there were in each batch. */
export function countBytes(connection: Connection, queue: AnyQueue, batches: readonly number[]) {
  for (const count of batches) {
    let bytes = 0
    for (let i = 0; i < count; i++) bytes += (queue.getSync() as Uint8Array).length
    connection.sendSync(bytes)
  }
}

/** The same, many at once. */
export function countBytesMany(connection: Connection, queue: Queue, batches: readonly number[]) {
  for (const count of batches) {
    let bytes = 0
    let left = count
    while (left > 0) {
      const items = queue.getManySync({ max: left }) as Uint8Array[]
      left -= items.length
      for (const { length } of items) bytes += length
    }
    connection.sendSync(bytes)
  }
}

/** Takes large buffers, with its thread blocked while it waits. */
export function takeLargeSync(
  connection: Connection,
  queue: AnyQueue,
  batches: readonly number[],
  size: number,
) {
  for (const count of batches) {
    for (let i = 0; i < count; i++) verifyContents(queue.getSync(), size)
    connection.sendSync(count)
  }
}

/** The same, with its event loop running. */
export async function takeLarge(
  connection: Connection,
  queue: AnyQueue,
  batches: readonly number[],
  size: number,
) {
  for (const count of batches) {
    for (let i = 0; i < count; i++) verifyContents(await queue.get(), size)
    await connection.send(count)
  }
}

/** Sends back what it gets, until it gets null, with its thread blocked while it waits. */
export function echoSync(_connection: Connection, there: AnyQueue, back: AnyQueue) {
  for (;;) {
    const message = there.getSync()
    if (message === null) return
    back.putSync(message)
  }
}

/** The same, with its event loop running. */
export async function echo(_connection: Connection, there: AnyQueue, back: AnyQueue) {
  for (;;) {
    const message = await there.get()
    if (message === null) return
    await back.put(message)
  }
}

/** More than has room in a queue. */
const MUCH = 8 * 2 ** 20

/** Waits for an item, with its thread blocked; it has put in much before. */
export function waitSync(connection: Connection, queue: AnyQueue, back: Queue) {
  back.putSync(new Uint8Array(MUCH))
  connection.sendSync(process.pid)
  queue.getSync()
}

/** The same, with its event loop running. */
export async function wait(connection: Connection, queue: AnyQueue, back: Queue) {
  await back.put(new Uint8Array(MUCH))
  await connection.send(process.pid)
  await queue.get()
}
