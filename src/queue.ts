/**
 * Queues. Mirrors `multiprocessing.Queue`.
 * @module
 */
import { inspect } from 'node:util'
import {
  type AcquireOptions,
  type AcquireSyncOptions,
  acquireSyncTime,
  acquireTime,
} from './acquiring.js'
import { type DecodeContext, type EncodeContext, registerReducer } from './codec/index.js'
import {
  AssertionError,
  Empty,
  Full,
  OSError,
  PicklingError,
  UnpicklingError,
  ValueError,
} from './errors.js'
import { type Block, reduceBlock } from './heap.js'
import { native } from './native.js'
import { BUSY, checked, DONE, errorOf, LARGE, NOT_YET } from './native-status.js'
import { Batch, batchOf, takeBatch } from './queue-batch.js'
import { QUEUE_SIZE, QueueChannel } from './queue-channel.js'
import { isObjectOf, rebuildOver } from './same-object.js'
import {
  atOnce,
  checkedWait,
  clock,
  FOREVER,
  milliseconds,
  NO_TIME,
  show,
  type TimeoutOptions,
  type WaitOptions,
  waitOptions,
} from './waiting.js'

/** Options of {@link Queue.getMany}. */
export interface GetManyOptions extends AcquireOptions {
  /** The most items to take; as many as there are if not given. */
  max?: number
}

/** Options of {@link Queue.getManySync}. */
export interface GetManySyncOptions extends AcquireSyncOptions {
  /** The most items to take; as many as there are if not given. */
  max?: number
}

/** What came of a queue in a message. */
export interface CameQueue {
  readonly block: Block
  readonly sockets: [number, number]
  readonly maxsize: number
}

/** The most items that a queue can be limited to. */
const LARGEST_MAXSIZE = 2 ** 31 - 1

/**
 * A first-in first-out queue of objects that any number of processes and threads share: any of them puts
 * in, any takes out, and each item is taken once. Items of one thread are taken in the order in which it
 * has put them in.
 *
 * An item is encoded in `put` itself; what cannot travel is an error there. It then lies in memory that all
 * processes have mapped. What finds no room there is kept in the process that has put it, where a thread
 * brings it in as there is room: so `put` does not wait for somebody to take, unless the queue has a
 * `maxsize`. The process ends when the last of it is in; see {@link Queue.cancelJoinThread}.
 *
 * Any process may be killed at any time: what it has put in and nobody has taken stays, but for what was
 * kept in it; what it has taken is lost with it; and nobody waits for it.
 *
 * A queue may be sent at any time, over a connection, through a queue, as an argument of a process.
 *
 * Mirrors `multiprocessing.Queue`; see "Exchanging objects between processes" in the reference's manual.
 */
export class Queue<T = any> {
  readonly #channel: QueueChannel
  #closed = false
  #used = false
  #lastLength = 0
  #released = false

  /**
   * @param maxsize - How many items there may be at a time; 0, or less, for as many as there are.
   * @throws TypeError for what is no whole number; ValueError for more than 2147483647; OSError when no
   * memory or no descriptors can be had.
   */
  constructor(maxsize?: number)
  /** @internal The queue that came in. */
  constructor(came: CameQueue)
  constructor(maxsize: number | CameQueue = 0) {
    if (typeof maxsize === 'object' && maxsize !== null) {
      this.#channel = new QueueChannel(maxsize.maxsize, false, maxsize)
      return
    }
    this.#channel = new QueueChannel(checkedMaxsize(maxsize), false)
    isObjectOf(this.#channel.block, this)
  }

  /**
   * Puts in an item. Waits only if the queue has a `maxsize` and is full; those of a thread who wait in
   * this form are served first come, first served.
   *
   * Large typed arrays in it may be changed afterwards: they are copied, or in the queue, when the call
   * returns.
   *
   * @param item - Anything that can travel.
   * @param options - `timeout` in milliseconds; with `block: false` it is put in only if there is a place
   * now, and the timeout is ignored.
   * @throws Full when there is no place, or not in time; PicklingError, naming the path to the culprit, for
   * what cannot travel; ValueError when the queue is closed; the signal's reason, and then it is not put in;
   * TypeError for options of a wrong type; OSError `ENOMEM` for more than there is memory.
   */
  async put(item: T, options?: AcquireOptions): Promise<void> {
    this.#checkOpen()
    const time = options === undefined ? FOREVER : acquireTime(options)
    this.#used = true
    try {
      const put = this.#channel.put(item, time, options?.signal)
      if (!(typeof put === 'boolean' ? put : await put)) throw new Full()
    } catch (error) {
      this.#refuse(error, item)
    }
  }

  /**
   * The same, blocking the thread.
   *
   * @throws KeyboardInterrupt when SIGINT comes to the main thread of a program that listens for it.
   */
  putSync(item: T, options?: AcquireSyncOptions): void {
    this.#checkOpen()
    const time = options === undefined ? FOREVER : acquireSyncTime(options)
    this.#used = true
    try {
      if (!this.#channel.putSync(item, time)) throw new Full()
    } catch (error) {
      this.#refuse(error, item)
    }
  }

  /** Puts in an item if there is a place now: `putSync` with `block: false`. */
  putNowait(item: T): void {
    this.putSync(item, NO_BLOCK)
  }

  /**
   * Puts in several items, in order, at the cost of little more than one.
   *
   * @param items - They are encoded as they are put in: when one cannot travel, or there is no more place,
   * those before it are in.
   * @param options - As for {@link Queue.put}; the time is for all of them together.
   * @throws What {@link Queue.put} throws; the Full that says there was no place has the number of items
   * that were put in as `done`.
   */
  async putMany(items: Iterable<T>, options: AcquireOptions = {}): Promise<void> {
    this.#checkOpen()
    const time = acquireTime(options)
    const left = clock(time)
    this.#used = true
    const batch = new Batch<T>(this.#channel, items, (error, item) => this.#refuse(error, item))
    while (!batch.advance()) {
      const put = this.#channel.put(batch.next, left(), options.signal)
      if (!(typeof put === 'boolean' ? put : await put)) throw new Full(undefined, batch.done)
      batch.took()
    }
  }

  /** The same, blocking the thread; throws what {@link Queue.putSync} throws. */
  putManySync(items: Iterable<T>, options: AcquireSyncOptions = {}): void {
    this.#checkOpen()
    const left = clock(acquireSyncTime(options))
    this.#used = true
    const batch = new Batch<T>(this.#channel, items, (error, item) => this.#refuse(error, item))
    while (!batch.advance()) {
      if (!this.#channel.putSync(batch.next, left())) throw new Full(undefined, batch.done)
      batch.took()
    }
  }

  /**
   * Takes out the item that has been in the queue for longest. Those of a thread who wait in this form are
   * served first come, first served; a wait keeps the event loop alive, and blocks nothing. Modules that
   * the item needs are imported first.
   *
   * @param options - `timeout` in milliseconds; with `block: false` an item is taken only if there is one
   * now, and the timeout is ignored.
   * @throws Empty when there is none, or not in time; ValueError when the queue is closed; the signal's
   * reason, and then no item is lost; UnpicklingError for an item that cannot be rebuilt here, which is
   * lost; TypeError for options of a wrong type.
   */
  async get(options?: AcquireOptions): Promise<T> {
    this.#checkOpen()
    const time = options === undefined ? FOREVER : acquireTime(options)
    const { takers } = this.#channel
    if (takers.isIdle) {
      const status = this.#channel.tryTake()
      if (status >= 0 || status === LARGE) return (await this.#channel.object(status)) as T
    }
    return (await takers.wait(time, options?.signal)) as T
  }

  /**
   * The same, blocking the thread. A module that the item needs and that has a top-level await cannot be
   * imported this way: UnpicklingError.
   *
   * @throws KeyboardInterrupt when SIGINT comes to the main thread of a program that listens for it.
   */
  getSync(options?: AcquireSyncOptions): T {
    this.#checkOpen()
    const time = options === undefined ? FOREVER : acquireSyncTime(options)
    const channel = this.#channel
    if (!channel.takers.isIdle) {
      const kept = channel.takers.keptSync()
      if (kept !== undefined) return kept.item as T
    }
    let status = channel.tryTake()
    if (status < 0 && status !== LARGE) {
      if (status !== NOT_YET && status !== BUSY) throw errorOf(status, 'get')
      status = channel.takeSync(time === 0 ? NO_TIME : clock(time))
      if (status === NOT_YET) throw new Empty()
    }
    return channel.objectSync(status) as T
  }

  /** Takes out an item if there is one now: `getSync` with `block: false`. */
  getNowait(): T {
    return this.getSync(NO_BLOCK)
  }

  /**
   * Takes out several items: waits for the first as {@link Queue.get} does, and takes what else is there.
   *
   * @param options - `max` is the most items to take; the rest as for {@link Queue.get}.
   * @returns At least one item, in order.
   * @throws What {@link Queue.get} throws; ValueError for a `max` below 1.
   */
  async getMany(options: GetManyOptions = {}): Promise<T[]> {
    const max = checkedMax(options.max)
    const first = await this.get(options)
    const items: unknown[] = [first]
    takeBatch(this.#channel, max - 1, (bytes, start, end) => items.push(batchOf(bytes, start, end)))
    return (await Promise.all(items)) as T[]
  }

  /** The same, blocking the thread; throws what {@link Queue.getSync} throws. */
  getManySync(options: GetManySyncOptions = {}): T[] {
    const max = checkedMax(options.max)
    const items: unknown[] = [this.getSync(options)]
    takeBatch(this.#channel, max - 1, (bytes, start, end) =>
      items.push(batchOf.sync(bytes, start, end)),
    )
    return items as T[]
  }

  /**
   * How many items there are. Others may change that before it can be used, and what is kept in other
   * processes is not counted.
   */
  qsize(): number {
    return this.#released ? this.#lastLength : this.#channel.length
  }

  /**
   * Whether there is nothing to take now. Others may change that before it can be used.
   *
   * @throws OSError "handle is closed" when the queue was used, and is closed.
   */
  empty(): boolean {
    if (this.#closed && this.#used) throw new OSError('handle is closed')
    if (this.#released) return this.#lastLength === 0
    return this.#channel.takers.arrived === 0 && native.queueIsEmpty(this.#channel.handle) === 1
  }

  /** Whether there are as many items as the queue's `maxsize`. Others may change that at any time. */
  full(): boolean {
    if (this.#released || this.#channel.maxsize === 0) return false
    return checked(native.queueIsFull(this.#channel.handle), 'full') === 1
  }

  /**
   * Says that this thread will not use the queue any more, which others still can. What it has put in is
   * still brought in. Those who wait here get a ValueError. May be repeated.
   */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#channel.takers.failAll(() => this.#closedError())
    if (native.queuePending(this.#channel.handle) === 0) this.#release()
  }

  /** The same as {@link Queue.close}, for `using`. */
  [Symbol.dispose](): void {
    this.close()
  }

  /**
   * Waits until what this process has put in is where others can take it, even if it ends then.
   *
   * @param options - `timeout` in milliseconds, as options or as a plain number; `signal`.
   * @throws AssertionError when the queue is not closed; the signal's reason.
   */
  async joinThread(options: number | null | WaitOptions = {}): Promise<void> {
    if (!this.#closed) throw notClosed(this)
    const wanted = waitOptions(options)
    const left = clock(checkedWait(wanted))
    while (!this.#released && native.queuePending(this.#channel.handle) > 0) {
      wanted.signal?.throwIfAborted()
      if (left() === 0) return
      await new Promise((resolve) => setTimeout(resolve, GLANCE))
    }
    this.#release()
  }

  /** The same, blocking the thread. */
  joinThreadSync(options: number | null | TimeoutOptions = {}): void {
    if (!this.#closed) throw notClosed(this)
    if (this.#released) return
    const left = clock(milliseconds(waitOptions(options).timeout))
    const piece = atOnce(left)
    while (native.queueFlush(this.#channel.handle, piece()) !== DONE) if (left() === 0) return
    this.#release()
  }

  /** The process may end before what it has put in is where others can take it: it is lost then. */
  cancelJoinThread(): void {
    if (!this.#released) native.queueAbandon(this.#channel.handle, true)
  }

  /**
   * Called, on the class of the queue, with an item that cannot travel. Throws the error, unless a subclass
   * overrides it: then the item is dropped, and `put` returns.
   *
   * Mirrors `Queue._on_queue_feeder_error`.
   */
  static _onQueueFeederError(error: unknown, _item: unknown): void {
    throw error
  }

  /** How it looks: `<Queue(maxsize=0)>`. */
  toString(): string {
    return `<${this.constructor.name}(maxsize=${this.#channel.maxsize})>`
  }

  /** The same, in the console. */
  [inspect.custom](): string {
    return this.toString()
  }

  /** @internal */
  get channel(): QueueChannel {
    this.#checkOpen()
    return this.#channel
  }

  #release(): void {
    if (this.#released) return
    this.#lastLength = this.#channel.length
    this.#released = true
    this.#channel.release()
  }

  #refuse(error: unknown, item: T): void {
    if (!(error instanceof PicklingError)) throw error
    const type = this.constructor as typeof Queue
    type._onQueueFeederError(error, item)
  }

  #checkOpen(): void {
    if (this.#closed) throw this.#closedError()
  }

  #closedError(): ValueError {
    return new ValueError(`Queue ${this} is closed`)
  }
}

const NO_BLOCK = { block: false }

/** How often one looks who waits for the feeder in the Promise form, in milliseconds. */
const GLANCE = 2

const notClosed = (queue: unknown): AssertionError =>
  new AssertionError(`Queue ${queue} not closed`)

const checkedMaxsize = (maxsize: unknown): number => {
  if (typeof maxsize !== 'number' || !Number.isInteger(maxsize)) {
    throw new TypeError(`maxsize must be a whole number, not ${show(maxsize)}`)
  }
  if (maxsize > LARGEST_MAXSIZE) {
    throw new ValueError(`maxsize ${maxsize} is more than ${LARGEST_MAXSIZE}`)
  }
  return Math.max(0, maxsize)
}

const checkedMax = (max: unknown): number => {
  if (max === undefined || max === Number.POSITIVE_INFINITY) return Number.MAX_SAFE_INTEGER
  if (typeof max !== 'number' || !Number.isInteger(max)) {
    throw new TypeError(`max must be a whole number, not ${show(max)}`)
  }
  if (max < 1) throw new ValueError(`max must be at least 1, not ${max}`)
  return max
}

/** What of a queue travels. */
export const reduceQueue = (channel: QueueChannel, context: EncodeContext): unknown => {
  const [reader, writer] = native.queueSockets(channel.handle)
  const block = reduceBlock(channel.block, context)
  return [block, context.handle(reader!), context.handle(writer!), channel.maxsize]
}

/** The queue that was sent. @throws UnpicklingError for what is none. */
export const rebuildQueue = <T extends object>(
  state: unknown,
  context: DecodeContext,
  make: (came: CameQueue) => T,
): T => {
  const [sent, reader, writer, maxsize] = Array.isArray(state) ? state : []
  for (const number of [reader, writer, maxsize]) {
    if (!Number.isInteger(number)) throw new UnpicklingError('a queue is malformed')
  }
  return rebuildOver(sent, context, QUEUE_SIZE, (block) =>
    make({ block, sockets: [context.handle(reader), context.handle(writer)], maxsize }),
  )
}

registerReducer(Queue, {
  name: 'queues.Queue',
  trustedOnly: true,
  reduce: ({ channel }, context) => reduceQueue(channel, context),
  rebuild: (state, context) => rebuildQueue(state, context, (came) => new Queue(came)),
})
