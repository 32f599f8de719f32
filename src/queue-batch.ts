/**
 * Many items in one go: each has its length in front, in four bytes, at a multiple of eight.
 * @module
 */
import { encode } from './codec/index.js'
import { native } from './native.js'
import { checked } from './native-status.js'
import { closeOwned, isPlain, objectAmong, objectAmongSync } from './objects.js'
import type { QueueChannel } from './queue-channel.js'

/** How many bytes go at once. */
const SIZE = 256 * 1024

/** Batches that nobody uses just now. */
const free: Uint8Array[] = []

const borrow = (): Uint8Array => free.pop() ?? new Uint8Array(SIZE)

const giveBack = (batch: Uint8Array): void => {
  if (free.length < 2) free.push(batch)
}

/** The first byte of a message that is a graph and nothing else. */
const PLAIN = 1

const lengths = (batch: Uint8Array): DataView => new DataView(batch.buffer, batch.byteOffset)

/** The object of a message in a batch: modules that it needs are imported first. */
export const batchOf = Object.assign(objectAmong, { sync: objectAmongSync })

/** Takes what is there, so many items at most, and shows each to `each`. */
export const takeBatch = (
  channel: QueueChannel,
  max: number,
  each: (bytes: Uint8Array, start: number, end: number) => void,
): void => {
  if (max < 1 || !channel.takers.isIdle) return
  const batch = borrow()
  try {
    const count = checked(native.queueTakeMany(channel.handle, batch, max), 'get')
    const view = lengths(batch)
    let at = 0
    for (let i = 0; i < count; i++) {
      const end = at + 4 + view.getUint32(at, true)
      each(batch, at + 4, end)
      at = (end + 7) & ~7
    }
  } finally {
    giveBack(batch)
  }
}

/** Items on their way into a queue. */
export class Batch<T> {
  readonly #channel: QueueChannel
  readonly #items: Iterator<T>
  readonly #refuse: (error: unknown, item: T) => void
  /** Those that were encoded, but could not be put in yet. */
  #waiting: T[] = []
  /** How many were put in. */
  done = 0

  constructor(
    channel: QueueChannel,
    items: Iterable<T>,
    refuse: (error: unknown, item: T) => void,
  ) {
    this.#channel = channel
    this.#items = items[Symbol.iterator]()
    this.#refuse = refuse
  }

  /** The item that has to go by itself. */
  get next(): T {
    return this.#waiting[0]!
  }

  /** It has gone. */
  took(): void {
    this.#waiting.shift()
    this.done++
  }

  /** Puts in what can be put in together; true when that is all. */
  advance(): boolean {
    if (this.#waiting.length > 0) return false
    const batch = borrow()
    const view = lengths(batch)
    try {
      for (;;) {
        const gathered: T[] = []
        let end = 0
        let alone: { item: T } | undefined
        let refused: { error: unknown; item: T } | undefined
        let over = false
        while (alone === undefined && refused === undefined) {
          const { value: item, done } = this.#items.next()
          if (done) {
            over = true
            break
          }
          try {
            const encoded = encode(item, 'obj')
            const { bytes, start, end: stop, owned } = encoded
            const length = stop - start + 1
            if (!isPlain(encoded) || end + length + SLACK > SIZE) {
              if (owned !== null) closeOwned({ owned })
              alone = { item }
              break
            }
            view.setUint32(end, length, true)
            batch[end + 4] = PLAIN
            if (length > SHORT || bytes.length > KEPT)
              batch.set(bytes.subarray(start, stop), end + 5)
            else copyWords(viewOf(bytes), start, stop, view, end + 5)
            end = (end + 4 + length + 7) & ~7
            gathered.push(item)
          } catch (error) {
            refused = { error, item }
          }
        }
        const put = gathered.length === 0 ? 0 : this.#put(batch.subarray(0, Math.min(end, SIZE)))
        this.done += put
        this.#waiting = gathered.slice(put)
        if (alone !== undefined) this.#waiting.push(alone.item)
        if (this.#waiting.length > 0) return false
        if (refused !== undefined) this.#refuse(refused.error, refused.item)
        if (over) return true
      }
    } finally {
      giveBack(batch)
    }
  }

  #put(batch: Uint8Array): number {
    const { handle, direct, putters } = this.#channel
    if (!putters.isEmpty) return 0
    return checked(native.queuePutMany(handle, batch, direct), 'put')
  }
}

/** Copying up to so many bytes in a loop is faster. */
const SHORT = 256

/** More of the encoder's bytes are not kept from being collected. */
const KEPT = 2 ** 20

/** The length in front, and what is copied too much at the end. */
const SLACK = 8

let lastBytes = new Uint8Array(0)
let lastView = lengths(lastBytes)

/** The encoder's bytes, which are the same ones nearly always. */
const viewOf = (bytes: Uint8Array): DataView => {
  if (bytes !== lastBytes) {
    lastView = lengths(bytes)
    lastBytes = bytes as Uint8Array<ArrayBuffer>
  }
  return lastView
}

/** Copies four bytes at a time, so up to three too many. There is room for them on both sides. */
const copyWords = (
  from: DataView,
  start: number,
  stop: number,
  to: DataView,
  target: number,
): void => {
  for (let i = start, at = target; i < stop; i += 4, at += 4) {
    to.setInt32(at, from.getInt32(i, true), true)
  }
}
