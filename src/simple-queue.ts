/**
 * Queues without a thread. Mirrors `multiprocessing.SimpleQueue`.
 * @module
 */
import { inspect } from 'node:util'
import { registerReducer } from './codec/index.js'
import { OSError, ValueError } from './errors.js'
import { native } from './native.js'
import { BUSY, DONE, errorOf, LARGE, NOT_YET } from './native-status.js'
import { type CameQueue, rebuildQueue, reduceQueue } from './queue.js'
import { QueueChannel } from './queue-channel.js'
import { isObjectOf } from './same-object.js'
import { atOnce, checkedWait, ENDLESS, FOREVER, type WaitOptions } from './waiting.js'

const { queueIsEmpty, queuePending } = native

/**
 * A queue like {@link Queue}, but for one thing: what finds no room in the memory that all processes have
 * mapped, some two million bytes, waits in `put` until somebody has taken something. So when `put` is over,
 * the item is where others can take it, whatever becomes of this process.
 *
 * Typed arrays of 33 MiB and more need no room there, but are handed over in memory of their own, of which a
 * process has at most 384 MiB. When all of it is with others, `put` may wait 20 milliseconds for some to come
 * back; after that they are large items like others.
 *
 * Mirrors `multiprocessing.SimpleQueue`.
 */
export class SimpleQueue<T = any> {
  readonly #channel: QueueChannel
  #closed = false

  /** @throws OSError when no memory or no descriptors can be had. */
  constructor()
  /** @internal The queue that came in. */
  constructor(came: CameQueue)
  constructor(came?: CameQueue) {
    this.#channel = new QueueChannel(0, true, came)
    if (came === undefined) isObjectOf(this.#channel.block, this)
  }

  /**
   * Puts in an item, waiting until there is room for it; those of a thread who wait in this form are served
   * first come, first served.
   *
   * @throws PicklingError, naming the path to the culprit, for what cannot travel; ValueError when the
   * queue is closed; the signal's reason, after which a large item may still be on its way.
   */
  async put(item: T, { signal }: Pick<WaitOptions, 'signal'> = {}): Promise<void> {
    this.#checkOpen()
    checkedWait({ signal })
    const channel = this.#channel
    await channel.put(item, FOREVER, signal)
    if (queuePending(channel.handle) > 0) await channel.putters.untilSettled()
  }

  /**
   * The same, blocking the thread.
   *
   * @throws KeyboardInterrupt when SIGINT comes to the main thread of a program that listens for it.
   */
  putSync(item: T): void {
    this.#checkOpen()
    const channel = this.#channel
    channel.putSync(item, FOREVER)
    if (queuePending(channel.handle) === 0) return
    const piece = atOnce(ENDLESS)
    while (native.queueFlush(channel.handle, piece()) !== DONE) {}
  }

  /**
   * Takes out the item that has been in the queue for longest, waiting for one; those of a thread who wait
   * in this form are served first come, first served.
   *
   * @throws ValueError when the queue is closed; the signal's reason, and then no item is lost;
   * UnpicklingError for an item that cannot be rebuilt here, which is lost.
   */
  async get({ signal }: Pick<WaitOptions, 'signal'> = {}): Promise<T> {
    this.#checkOpen()
    checkedWait({ signal })
    const { takers } = this.#channel
    if (takers.isIdle) {
      const status = this.#channel.tryTake()
      if (status >= 0 || status === LARGE) return (await this.#channel.object(status)) as T
    }
    return (await takers.wait(FOREVER, signal)) as T
  }

  /**
   * The same, blocking the thread.
   *
   * @throws KeyboardInterrupt when SIGINT comes to the main thread of a program that listens for it.
   */
  getSync(): T {
    this.#checkOpen()
    const channel = this.#channel
    if (!channel.takers.isIdle) {
      const kept = channel.takers.keptSync()
      if (kept !== undefined) return kept.item as T
    }
    let status = channel.tryTake()
    if (status < 0 && status !== LARGE) {
      if (status !== NOT_YET && status !== BUSY) throw errorOf(status, 'get')
      status = channel.takeSync(ENDLESS)
    }
    return channel.objectSync(status) as T
  }

  /**
   * Whether there is nothing to take now.
   *
   * @throws OSError "handle is closed".
   */
  empty(): boolean {
    if (this.#closed) throw new OSError('handle is closed')
    return this.#channel.takers.arrived === 0 && queueIsEmpty(this.#channel.handle) === 1
  }

  /** Says that this thread will not use the queue any more, which others still can. May be repeated. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#channel.takers.failAll(() => this.#closedError())
    this.#channel.release()
  }

  /** The same as {@link SimpleQueue.close}, for `using`. */
  [Symbol.dispose](): void {
    this.close()
  }

  /** How it looks: `<SimpleQueue>`. */
  toString(): string {
    return `<${this.constructor.name}>`
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

  #checkOpen(): void {
    if (this.#closed) throw this.#closedError()
  }

  #closedError(): ValueError {
    return new ValueError(`Queue ${this} is closed`)
  }
}

registerReducer(SimpleQueue, {
  name: 'queues.SimpleQueue',
  trustedOnly: true,
  reduce: ({ channel }, context) => reduceQueue(channel, context),
  rebuild: (state, context) => rebuildQueue(state, context, (came) => new SimpleQueue(came)),
})
