/**
 * What a pool and its workers share: two queues, and the board where each worker says what it has taken.
 * @module
 */
import { type DecodeContext, type EncodeContext, registerReducer } from './codec/index.js'
import { UnpicklingError } from './errors.js'
import { allocate, type Block, rebuildBlock, reduceBlock } from './heap.js'
import { native } from './native.js'
import { checked } from './native-status.js'
import { rebuildQueue, reduceQueue } from './queue.js'
import { QueueChannel } from './queue-channel.js'

const [CELLS, CELL_COUNT, PLACES, PLACE_SIZE] = native.poolLayout() as [
  number,
  number,
  number,
  number,
]

/** How many words a place has. */
const PLACE_WORDS = PLACE_SIZE / 4

/** The words of a place that the facade reads and writes; the engine's `claims.rs` has the rest. */
const NEXT = 3
const STATE = 4
/** Two doubles: for how many milliseconds the worker was busy, and how many tasks it has done. */
const BUSY = 3
const DONE = 4

/** Where the number of workers stands. */
const WORKERS = 0

/** How many calls can be called off at a time before workers begin with them. */
export const CALL_OFFS: number = CELL_COUNT - 1

/** How far a worker is: it has not been ready yet, or it has. */
export const STARTING = 0
export const READY = 1

/** What came of a channel that was sent. */
interface Came {
  readonly tasks: QueueChannel
  readonly results: QueueChannel
  readonly block: Block
  readonly descriptor: number
}

/** A pool's queues and board, as one of its processes has them. */
export class PoolChannel {
  readonly tasks: QueueChannel
  readonly results: QueueChannel
  readonly block: Block
  /** The engine's number. */
  readonly pool: number
  readonly words: Int32Array
  readonly doubles: Float64Array

  /** A new one, with so many places; or the one that came. */
  constructor(places: number, came?: Came) {
    this.tasks = came?.tasks ?? new QueueChannel(0, false)
    this.results = came?.results ?? new QueueChannel(0, true)
    this.block = came?.block ?? allocate(PLACES + places * PLACE_SIZE)
    this.pool = checked(native.openPool(this.block.handle, came?.descriptor ?? -1), 'eventfd')
    this.words = new Int32Array(this.block.buffer)
    this.doubles = new Float64Array(this.block.buffer)
    // What is still on its way to workers need not arrive when the process ends.
    native.queueAbandon(this.tasks.handle, true)
    collected.register(this, this.pool, this)
  }

  /** Readable when there are results, and the pool sleeps. */
  get descriptor(): number {
    return native.poolDescriptor(this.pool)
  }

  /** How many workers share what there is to do. */
  get workers(): number {
    return Atomics.load(this.words, CELLS / 4 + WORKERS)
  }

  set workers(count: number) {
    Atomics.store(this.words, CELLS / 4 + WORKERS, count)
  }

  /** Whether tasks with this number of a call are not to be begun any more. */
  isCalledOff(cell: number): boolean {
    return Atomics.load(this.words, CELLS / 4 + 1 + cell) !== 0
  }

  /** Says so. */
  callOff(cell: number, now: boolean): void {
    Atomics.store(this.words, CELLS / 4 + 1 + cell, now ? 1 : 0)
  }

  /** A place by its number. */
  place(number: number): WorkerPlace {
    return new WorkerPlace(this, number)
  }

  /** This thread does not use it any more. */
  release(): void {
    if (!collected.unregister(this)) return
    native.closePool(this.pool)
    this.tasks.release()
    this.results.release()
  }
}

const collected = new FinalizationRegistry((pool: number) => native.closePool(pool))

/** Where a worker says what it has. */
export class WorkerPlace {
  readonly number: number
  readonly #words: Int32Array
  readonly #doubles: Float64Array
  readonly #word: number
  readonly #double: number

  constructor({ words, doubles }: PoolChannel, number: number) {
    this.number = number
    this.#words = words
    this.#doubles = doubles
    this.#word = PLACES / 4 + number * PLACE_WORDS
    this.#double = this.#word / 2
  }

  /** The number of the first task that was claimed last. */
  get first(): number {
    const low = Atomics.load(this.#words, this.#word) >>> 0
    return low + Atomics.load(this.#words, this.#word + 1) * 2 ** 32
  }

  /** Begins with a task of those that were claimed; false when they were taken back. */
  begin(index: number): boolean {
    return Atomics.compareExchange(this.#words, this.#word + NEXT, index, index + 1) === index
  }

  /** How far the worker is. */
  get state(): number {
    return Atomics.load(this.#words, this.#word + STATE)
  }

  set state(state: number) {
    Atomics.store(this.#words, this.#word + STATE, state)
  }

  /** For how many milliseconds the worker was busy, and how many tasks it has done. */
  get work(): { busy: number; done: number } {
    return {
      busy: this.#doubles[this.#double + BUSY]!,
      done: this.#doubles[this.#double + DONE]!,
    }
  }

  set work({ busy, done }: { busy: number; done: number }) {
    this.#doubles[this.#double + BUSY] = busy
    this.#doubles[this.#double + DONE] = done
  }

  /** Adds to them. */
  add(busy: number, done: number): void {
    this.#doubles[this.#double + BUSY]! += busy
    this.#doubles[this.#double + DONE]! += done
  }
}

registerReducer(PoolChannel, {
  name: 'pool.PoolChannel',
  trustedOnly: true,
  reduce: ({ tasks, results, block, descriptor }: PoolChannel, context: EncodeContext) => [
    reduceQueue(tasks, context),
    reduceQueue(results, context),
    reduceBlock(block, context),
    context.handle(descriptor),
  ],
  rebuild(state: unknown, context: DecodeContext) {
    const [tasks, results, board, descriptor] = Array.isArray(state) ? state : []
    if (!Number.isInteger(descriptor)) throw new UnpicklingError('a pool is malformed')
    const queue = (sent: unknown, direct: boolean): QueueChannel =>
      rebuildQueue(sent, context, (came) => new QueueChannel(came.maxsize, direct, came))
    return new PoolChannel(0, {
      tasks: queue(tasks, false),
      results: queue(results, true),
      block: rebuildBlock(board, context),
      descriptor: context.handle(descriptor),
    })
  },
})
