/**
 * A pool's worker, seen from the pool.
 * @module
 */
import { registerAfterFork } from './after-fork.js'
import { type Connection, Pipe } from './connection.js'
import { OSError, UnpicklingError } from './errors.js'
import { provideReference } from './functions.js'
import { native } from './native.js'
import { type Received, takeObject, takeObjectSync } from './objects.js'
import type { Chunk } from './pool.js'
import { type Answer, poolWorkerMain, type Task } from './pool-worker-main.js'
import type { Process } from './process.js'
import { stateOf } from './process-state.js'
import { atOnce, ENDLESS } from './waiting.js'

provideReference(poolWorkerMain, {
  module: new URL('./pool.cjs', import.meta.url).href,
  path: ['default', 'poolWorkerMain'],
})

const ANSWER = { maximum: Number.MAX_SAFE_INTEGER, asObject: true }

/** What the pool wants to know of a worker. */
export interface PoolWorkerEvents {
  answered(worker: PoolWorker, chunk: Chunk, answer: Answer): void
  died(worker: PoolWorker, chunks: Chunk[]): void
}

/** The worker's process, the connection to it, and what it has been given and not answered. */
export class PoolWorker {
  readonly process: Process
  readonly connection: Connection
  readonly #events: PoolWorkerEvents
  #given: Chunk[] = []
  #dismissed = false
  #ready = false
  /** Whether somebody blocks for its answers right now. */
  #blocked = false

  constructor(
    type: typeof Process,
    initializer: ((...args: any[]) => unknown) | null,
    initargs: unknown[],
    events: PoolWorkerEvents,
  ) {
    const [ours, theirs] = Pipe()
    // A copy of this process that held it too would keep the worker from seeing the end.
    this.connection = ours
    registerAfterFork(this as PoolWorker, (other) => other.dismiss())
    const args = [theirs, initializer, initargs]
    const worker = new type({ target: poolWorkerMain, args, daemon: true })
    worker.name = worker.name.replace('Process', 'PoolWorker')
    try {
      worker.start()
    } catch (error) {
      ours.close()
      throw error
    } finally {
      theirs.close()
    }
    this.process = worker
    this.#events = events
    ours.stream.expect(
      ANSWER,
      () => {
        this.#ready = true
      },
      () => this.#ended(),
    )
    stateOf(worker).child?.onEnd(() => {
      // With answers outstanding, those that were still sent are taken first.
      if (this.#given.length === 0) this.#ended()
    })
  }

  /** Whether it has ever been ready for tasks: one that has not may be unable to start. */
  get proven(): boolean {
    return this.#ready
  }

  /** How many chunks it has not answered. */
  get outstanding(): number {
    return this.#given.length
  }

  /** Whether it can be given chunks. */
  get alive(): boolean {
    return !this.#dismissed && !this.connection.closed
  }

  /** Sends it a chunk; throws when that cannot be encoded. */
  give(chunk: Chunk): void {
    const { fn, kind } = chunk.job
    const task: Task = { kind, fn: fn as Task['fn'], items: chunk.items }
    try {
      // That the worker is gone, the end of its answers will say.
      void this.connection.stream.postObject(task)?.catch(() => {})
    } catch (error) {
      if (!(error instanceof OSError)) throw error
    }
    this.#given.push(chunk)
    this.#expectAnswer()
  }

  /** Of workers with something outstanding, those with an answer, blocking until there are any. */
  static ready(workers: readonly PoolWorker[]): PoolWorker[] {
    for (;;) {
      const readers = workers.map(({ connection }) => connection.fileno())
      const sending = workers.filter(({ connection }) => connection.stream.sending)
      const writers = sending.map(({ connection }) => connection.fileno())
      const found = native.waitReady(readers, writers, atOnce(ENDLESS)())
      const answered = found.filter((index) => index < readers.length)
      for (const { connection } of sending) connection.stream.flush()
      if (answered.length > 0) return answered.map((index) => workers[index]!)
    }
  }

  /** Takes its next answer, blocking. */
  serve(): void {
    this.#blocked = true
    try {
      this.connection.stream.serveSync()
    } finally {
      this.#blocked = false
    }
  }

  /** Tells it that nothing more will come. */
  dismiss(): void {
    if (!this.alive) return
    this.#dismissed = true
    this.connection.close()
  }

  /** Ends it at once; returns what it had not answered. */
  terminate(): Chunk[] {
    this.#dismissed = true
    this.process.terminate()
    const left = this.#given.splice(0)
    this.connection.close()
    return left
  }

  #expectAnswer(): void {
    this.connection.stream.expect(
      ANSWER,
      (message) => this.#take(message),
      () => this.#ended(),
    )
  }

  #take(message: Received): void {
    const chunk = this.#given.shift()
    if (chunk === undefined) return
    const answered = (answer: unknown): void => this.#events.answered(this, chunk, answer as Answer)
    const failed = (cause: unknown): void =>
      answered({ ok: false, error: new UnpicklingError('the result cannot be rebuilt', { cause }) })
    try {
      // A caller who blocks cannot wait for a module to be imported.
      const answer = this.#blocked ? takeObjectSync(message, true) : takeObject(message, true)
      if (answer instanceof Promise) answer.then(answered, failed)
      else answered(answer)
    } catch (error) {
      failed(error)
    }
  }

  /** The end of its answers is its own end, or soon will be. */
  #ended(): void {
    if (this.#dismissed) return
    this.#dismissed = true
    const left = this.#given.splice(0)
    this.connection.close()
    this.process.joinSync(1000)
    this.#events.died(this, left)
  }
}
