/**
 * The engine's side of a queue, as a thread has it.
 * @module
 */
import { type Encoded, encode } from './codec/index.js'
import { KeyboardInterrupt } from './errors.js'
import { Finalize } from './finalize.js'
import { handOver, isHanded, partsOfHanded } from './handed-buffers.js'
import { allocate, type Block } from './heap.js'
import { isInterruptible } from './interruptible.js'
import { type Fill, type FrameParts, LargeMessage } from './large-message.js'
import { native } from './native.js'
import { checked, DONE, END, errorOf, LARGE, NOT_HELD, NOT_YET } from './native-status.js'
import {
  closeOwned,
  isPlain,
  type MessageParts,
  messageOf,
  objectFrom,
  objectFromSync,
  receiveScratch,
  shareSendScratch,
} from './objects.js'
import { PutLine } from './put-line.js'
import { TakeLine } from './take-line.js'
import { whenCopied } from './waiter.js'
import { atOnce, type Clock, clock, ENDLESS } from './waiting.js'

// Looking up one of very many functions takes as long as calling it.
const { queuePut, queueTake, queueTryTake } = native

/** How many bytes a queue's memory has. */
export const QUEUE_SIZE: number = native.queueSize()

/** A queue as a thread has it. Whoever uses it says what it is called and what its limits mean. */
export class QueueChannel implements MessageParts {
  readonly block: Block
  readonly handle: number
  readonly maxsize: number
  /** Those who wait in the Promise form. */
  readonly takers: TakeLine
  readonly putters: PutLine
  /** Whether messages that do not fit wait with their senders, and not with the feeder. */
  readonly direct: boolean
  /** The longest message that goes in whole. */
  readonly #longest: number
  /** A large message that was taken, or begun. */
  #large: LargeMessage | undefined

  /** The queue of a block, with the descriptors that came with it; or a new one. */
  constructor(
    maxsize: number,
    direct: boolean,
    came?: { block: Block; sockets: [number, number] },
  ) {
    this.block = came?.block ?? allocate(QUEUE_SIZE)
    this.maxsize = maxsize
    this.direct = direct
    const { handle } = this.block
    const opened =
      came === undefined
        ? native.createQueue(handle, maxsize)
        : native.openQueue(handle, ...came.sockets)
    this.handle = checked(opened, 'socketpair')
    this.#longest = native.queueLongestWhole(this.handle)
    this.takers = new TakeLine(this)
    this.putters = new PutLine(this)
    collected.register(this, this.handle, this)
  }

  /** This thread does not use it any more. */
  release(): void {
    collected.unregister(this)
    native.closeQueue(this.handle)
  }

  /** @internal The parts of the large message that was taken last. */
  readonly frame = (): FrameParts => {
    const large = this.#large!
    this.#large = undefined
    return large.toFrame()
  }

  /** @internal */
  readonly takeDescriptors = (): number[] => native.queueDescriptors(this.handle)

  /**
   * Puts in an object if that can be done now: {@link DONE}; `NOT_HELD` when there is no place for it,
   * `NOT_YET` when there is no room.
   *
   * @param wait - Whether to block for as long as a large message makes progress, rather than copy it.
   */
  offer(encoded: Encoded, wait: boolean): number {
    if (isPlain(encoded)) {
      shareSendScratch(encoded)
      if (!(wait && encoded.end - encoded.start >= this.#longest)) {
        return queuePut(this.handle, encoded.end, this.direct)
      }
      const message = encoded.bytes.subarray(encoded.start - 1, encoded.end)
      message[0] = PLAIN
      return native.queuePutParts(this.handle, [message], [], this.direct, true)
    }
    return this.#handOver(encoded) ?? this.#offerParts(encoded, wait)
  }

  #offerParts(encoded: Encoded, wait: boolean): number {
    const { parts, descriptors } = messageOf(encoded, false)
    return native.queuePutParts(this.handle, parts, descriptors, this.direct, wait)
  }

  /** Puts in an object whose very large buffers are handed over; nothing when that is not the way. */
  #handOver(encoded: Encoded): number | undefined {
    if (encoded.buffers === null) return undefined
    if (this.maxsize > 0 && native.queueIsFull(this.handle) === 1) return NOT_HELD
    const handed = handOver(encoded)
    if (handed === undefined) return undefined
    const { message, descriptors, file } = handed
    try {
      return native.queuePutParts(this.handle, [message], descriptors, this.direct, false)
    } finally {
      native.closeDescriptor(file)
    }
  }

  /** Puts in an object, blocking: whether there was a place for it in time. */
  putSync(item: unknown, time: number): boolean {
    const encoded = encode(item, 'obj')
    const { owned } = encoded
    try {
      let status = this.putters.isEmpty || time === 0 ? this.offer(encoded, true) : NOT_YET
      if (status !== DONE) status = this.#putWaiting(encoded, time, status)
      return status === DONE
    } finally {
      if (owned !== null) closeOwned({ owned })
    }
  }

  /** What the encoder has made is kept, as others may use it meanwhile. */
  #putWaiting(encoded: Encoded, time: number, first: number): number {
    const { parts, descriptors } = messageOf(encoded, false)
    const left = clock(time)
    const piece = atOnce(left)
    const interruptible = time !== 0 && isInterruptible()
    const room = lengthOf(parts)
    let status = first
    while (status !== DONE) {
      if (status !== NOT_HELD && status !== NOT_YET) throw errorOf(status, 'put')
      if (left() === 0) return NOT_HELD
      const woken =
        status === NOT_YET && native.queuePending(this.handle) > 0
          ? native.queueFlush(this.handle, Math.min(GLANCE, piece() >>> 0))
          : native.queueRoom(
              this.handle,
              Math.min(room, this.#longest),
              this.maxsize > 0,
              piece(),
              interruptible,
            )
      if (woken !== DONE && woken !== NOT_YET) throw errorOf(woken, 'futex')
      status = native.queuePutParts(this.handle, parts, descriptors, this.direct, true)
    }
    return status
  }

  /** Puts in an object: whether there was a place for it in time. What cannot travel throws at once. */
  put(item: unknown, time: number, signal: AbortSignal | undefined): boolean | Promise<boolean> {
    const encoded = encode(item, 'obj')
    const { owned } = encoded
    let keep = false
    try {
      const status = this.putters.isEmpty || time === 0 ? this.offer(encoded, false) : NOT_YET
      if (status === DONE) return true
      if (status !== NOT_HELD && status !== NOT_YET) throw errorOf(status, 'put')
      if (time === 0) return false
      keep = true
      const { parts, descriptors } = messageOf(encoded, false)
      return this.putters
        .wait(parts, descriptors, lengthOf(parts), time, signal)
        .finally(() => closeOwned({ owned }))
    } finally {
      if (!keep && owned !== null) closeOwned({ owned })
    }
  }

  /** Takes out a message, blocking: a length or {@link LARGE}, for `object`; `NOT_YET` when time is over. */
  takeSync(left: Clock): number {
    const piece = atOnce(left)
    const interruptible = isInterruptible()
    for (;;) {
      const status = queueTake(this.handle, piece(), interruptible)
      if (status >= 0) return status
      if (status === LARGE) {
        if (this.#fill()) return LARGE
      } else if (status !== NOT_YET) {
        throw errorOf(status, 'get')
      } else if (left() === 0) {
        return NOT_YET
      }
    }
  }

  /** Takes out a message if there is one: as {@link QueueChannel.takeSync}, or `BUSY` for one in pieces. */
  tryTake(): number {
    for (;;) {
      const status = queueTryTake(this.handle)
      if (status !== LARGE || this.#fill()) return status
    }
  }

  /** Takes all of the large message that was begun elsewhere; false when there is no message any more. */
  finish(): boolean {
    return this.#fill()
  }

  /** Takes all of the large message that was begun; false when there is no message any more. */
  #fill(): boolean {
    try {
      this.#large ??= new LargeMessage(native.queueAnnounced(this.handle), true)
      const piece = atOnce(ENDLESS)
      for (;;) {
        const status = this.#large.fill(this.handle, piece, isInterruptible() ? attentively : fill)
        if (status === 0) return true
        if (status === END) break
        if (status !== NOT_YET) throw errorOf(status, 'get')
      }
    } catch (error) {
      // A wait that was interrupted goes on with the next call.
      if (!(error instanceof KeyboardInterrupt)) {
        this.#large = undefined
        native.queueForget(this.handle)
      }
      throw error
    }
    this.#large = undefined
    return false
  }

  /** The object of a message that was taken just now. */
  object(status: number): unknown {
    if (status > 0 && isHanded(receiveScratch)) return objectFrom(LARGE, this.#takeHanded(status))
    return objectFrom(status, this)
  }

  /** The same; modules that it needs are loaded at once. */
  objectSync(status: number): unknown {
    if (status > 0 && isHanded(receiveScratch)) {
      return objectFromSync(LARGE, this.#takeHanded(status))
    }
    return objectFromSync(status, this)
  }

  /** The parts of a message in the receive scratch whose buffers were handed over. */
  #takeHanded(length: number): MessageParts {
    const descriptors = this.takeDescriptors()
    const file = descriptors.pop() ?? -1
    return {
      takeDescriptors: () => descriptors,
      frame: () => partsOfHanded(receiveScratch.subarray(0, length), descriptors.length, file),
    }
  }

  /** How many there are, as far as this thread knows. */
  get length(): number {
    return Math.max(0, native.queueLength(this.handle)) + this.takers.arrived
  }

  /** How many bytes a message may have that goes in whole. */
  get longest(): number {
    return this.#longest
  }
}

const fill: Fill = (...from) => native.queueFill(...from, false)
const attentively: Fill = (...from) => native.queueFill(...from, true)

/** The first byte of a message that is a graph and nothing else. */
const PLAIN = 1

/** How many bytes parts have. */
export const lengthOf = (parts: readonly Uint8Array[]): number => {
  let length = 0
  for (const part of parts) length += part.length
  return length
}

/** How often one looks, in milliseconds, who blocks until others' items have gone before. */
const GLANCE = 20

const collected = new FinalizationRegistry((handle: number) => native.closeQueue(handle))

/** As the reference has it, after children have ended that are no daemons. */
const FLUSH_PRIORITY = -5

let atExit: Finalize | undefined

/** The process does not end before what was put in, by any of its threads, is where others can take it. */
const flushAtExit = (): void => {
  atExit?.cancel()
  if (!native.isMainThread()) return
  atExit = new Finalize(null, () => native.flushQueues(), { exitpriority: FLUSH_PRIORITY })
}

flushAtExit()
whenCopied(() => {
  native.renewQueues()
  // A copy has no finalizers, or has run them when it practised its end.
  flushAtExit()
})
