/**
 * What a pool's worker does, in its own process.
 * @module
 */
import { inspect } from 'node:util'
import { encode } from './codec/index.js'
import { MaybeEncodingError, PicklingError } from './errors.js'
import { blockOf } from './heap.js'
import { isInterruptible } from './interruptible.js'
import { native } from './native.js'
import { checked, DONE, END, errorOf, LARGE, NOT_YET } from './native-status.js'
import {
  closeOwned,
  isPlain,
  messageOf,
  objectAmong,
  objectOfGraph,
  shareSendScratch,
} from './objects.js'
import { type PoolChannel, READY, type WorkerPlace } from './pool-channel.js'
import { type Calls, isThenable, perform } from './pool-loops.js'
import {
  FAILED,
  type Failure,
  HEAD,
  headResult,
  LONGEST_SHORT,
  type LongTask,
  PARTIAL,
  SKIPPED,
  TASK,
} from './pool-wire.js'
import { lengthOf } from './queue-channel.js'
import { forgetWait, whenOver } from './waiter.js'
import { atOnce, clock, FOREVER } from './waiting.js'

/** What a worker is told as it starts. */
export interface WorkerSettings {
  readonly channel: PoolChannel
  /** Its first place on the board. */
  readonly place: number
  /** How many tasks it has under way at a time. */
  readonly concurrency: number
  /** After how many tasks it is to make room for another one. */
  readonly maxtasks: number | null
  /** Likewise after how many bytes. */
  readonly maxMemory: number | null
  /** It is only a rehearsal, in a process that goes on. */
  readonly isRehearsal?: boolean
}

type AnyFunction = (...args: any[]) => unknown

/** Takes tasks and answers them until it is to leave. */
export const poolWorkerMain = async (
  settings: WorkerSettings,
  initializer: AnyFunction | null,
  initargs: unknown[],
): Promise<void> => {
  const { channel, place, concurrency, isRehearsal = false } = settings
  // Who is interrupted is the pool's process; it says when its workers are to end.
  if (native.isMainThread() && !isRehearsal) native.ignoreInterrupts()
  await initializer?.(...initargs)
  channel.place(place).state = READY
  const work = new Work(settings)
  const lines: Promise<void>[] = []
  for (let i = 0; i < concurrency; i++) {
    lines.push(new WorkerLine(channel, channel.place(place + i), concurrency === 1, work).run())
  }
  await Promise.all(lines)
  if (isRehearsal) return channel.release()
  // A task may have left something open, which is nothing to wait for without end.
  setTimeout(() => process.exit(), GRACE).unref()
}

/** What the places of a worker have in common. */
class Work {
  /** The functions that it has been sent, by their numbers. */
  readonly functions = new Map<number, AnyFunction>()
  /** What is left of what it may do. */
  tasks: number | null
  readonly memory: number | null
  leaving = false
  /** Those who wait. */
  readonly waiting = new Set<() => void>()
  /** The memory of the last large task: the next one has other parts of it, and mapping it again is slow. */
  inUse: (ArrayBufferLike | undefined)[] = []
  #checked = 0

  constructor({ maxtasks, maxMemory }: WorkerSettings) {
    this.tasks = maxtasks
    this.memory = maxMemory
  }

  /** A worker that has done its share leaves, and somebody else takes its place. */
  spend(done: number, now: number): void {
    if (this.tasks !== null) {
      this.tasks -= done
      if (this.tasks <= 0) this.leave()
    }
    if (this.memory !== null && now - this.#checked > MEMORY_CHECK) {
      this.#checked = now
      if (process.memoryUsage.rss() > this.memory) this.leave()
    }
  }

  leave(): void {
    this.leaving = true
    for (const wake of this.waiting) wake()
  }
}

/** A task, taken apart. */
interface Task extends Calls {
  readonly cell: number
}

/** How long tasks are that are taken together, in milliseconds, and how many at most. */
const TOGETHER = 0.2
const MOST = 64
/** How long a worker goes on without letting its event loop turn, in milliseconds. */
const TURN = 10
/** How long it sleeps at most without doing so. */
const SLEEP = 1000
/** How often it asks how much memory it has. */
const MEMORY_CHECK = 5
/** How many bytes of tasks are taken at once. */
const SIZE = 64 * 1024

/** One after the other, the tasks of one place. */
class WorkerLine {
  readonly #channel: PoolChannel
  readonly #place: WorkerPlace
  readonly #alone: boolean
  readonly #work: Work
  readonly #batch = new Uint8Array(SIZE)
  readonly #view = new DataView(this.#batch.buffer)
  #most = 1
  #turned = 0
  #nap = SHORTEST_NAP

  constructor(channel: PoolChannel, place: WorkerPlace, alone: boolean, work: Work) {
    this.#channel = channel
    this.#place = place
    this.#alone = alone
    this.#work = work
  }

  async run(): Promise<void> {
    this.#turned = performance.now()
    while (!this.#work.leaving) {
      let status = this.#take(0)
      if (status === NOT_YET) status = await this.#wait()
      if (status === END) {
        this.#work.leave()
        return
      }
      if (status === NOT_YET) continue
      if (status !== LARGE) checked(status, 'take')
      const begun = performance.now()
      const done = status === LARGE ? await this.#long() : await this.#short(status)
      const now = performance.now()
      this.#place.add(now - begun, done)
      if (this.#alone && done > 0) {
        this.#most = Math.max(1, Math.min(MOST, Math.floor((TOGETHER * done) / (now - begun))))
      }
      this.#work.spend(done, now)
      if (now - this.#turned > TURN) await this.#turn()
    }
  }

  #take(timeout: number): number {
    const { pool, tasks, workers } = this.#channel
    const most = Math.max(1, Math.min(this.#most, this.#work.tasks ?? MOST))
    const { number } = this.#place
    const interruptible = timeout !== 0 && isInterruptible()
    return native.poolTake(
      pool,
      tasks.handle,
      this.#batch,
      number,
      most,
      workers,
      timeout,
      interruptible,
    )
  }

  /** Waits: asleep, if nothing else is going on here, or with the event loop. */
  async #wait(): Promise<number> {
    await this.#turn()
    if (this.#alone && process.getActiveResourcesInfo().length === 0) {
      const status = this.#take(atOnce(clock(SLEEP))())
      if (status === NOT_YET) this.#work.inUse = []
      return status
    }
    const { handle } = this.#channel.tasks
    const ticket = native.queueItemsLater(handle, this.#nap, FOREVER)
    if (ticket === DONE) return NOT_YET
    checked(ticket, 'futex')
    // It may have been told to leave just before.
    let status = this.#take(0)
    if (status === NOT_YET) {
      await this.#woken(ticket)
      native.queueItemsOver(handle, false)
      status = this.#take(0)
    } else {
      forgetWait(ticket)
      native.queueItemsOver(handle, false)
    }
    if (status === NOT_YET) this.#work.inUse = []
    this.#nap = status === NOT_YET ? Math.min(this.#nap * 2, LONGEST_NAP) : SHORTEST_NAP
    return status
  }

  #woken(ticket: number): Promise<void> {
    return new Promise((resolve) => {
      const { waiting } = this.#work
      const wake = (): void => {
        waiting.delete(wake)
        forgetWait(ticket)
        resolve()
      }
      waiting.add(wake)
      whenOver(ticket, wake)
    })
  }

  /** Lets the event loop turn. */
  async #turn(): Promise<void> {
    await new Promise<void>((resolve) => setImmediate(resolve))
    this.#turned = performance.now()
  }

  /** Does the tasks in the batch: how many of them. */
  async #short(count: number): Promise<number> {
    let at = 0
    // Others may use the place meanwhile, if they are taken back.
    const { first } = this.#place
    for (let i = 0; i < count; i++) {
      const end = at + 4 + this.#view.getUint32(at, true)
      if (!this.#place.begin(i)) return i
      const waiting = this.#do(first + i, () => this.#read(at + 4, end))
      if (waiting !== undefined) await waiting
      at = (end + 7) & ~7
    }
    return count
  }

  /** Does the task that comes in pieces. */
  async #long(): Promise<number> {
    const { tasks } = this.#channel
    const { first } = this.#place
    if (!tasks.finish()) return 0
    if (!this.#place.begin(0)) return 0
    await this.#do(first, () => this.#fromLong(tasks.object(LARGE)))
    return 1
  }

  #read(at: number, end: number): Task | Promise<Task> {
    const bytes = this.#batch
    if (bytes[at] !== TASK) {
      return this.#fromLong(objectAmong(bytes, at, end, this.#channel.tasks.takeDescriptors))
    }
    const flags = bytes[at + 1]!
    const cell = this.#view.getUint16(at + 2, true)
    const number = this.#view.getUint32(at + 4, true)
    const graph = at + HEAD + this.#view.getUint32(at + 8, true)
    const items = objectOfGraph(bytes, graph, end)
    const fn = this.#work.functions.get(number) ?? objectOfGraph(bytes, at + HEAD, graph)
    const made = (fn: unknown, items: unknown): Task => {
      this.#keep(number, fn as AnyFunction)
      return { flags, cell, fn: fn as AnyFunction, items, into: null }
    }
    if (fn instanceof Promise || items instanceof Promise) {
      return Promise.all([fn, items]).then(([fn, items]) => made(fn, items))
    }
    return made(fn, items)
  }

  #keep(number: number, fn: AnyFunction): void {
    if (this.#work.functions.has(number)) return
    if (this.#work.functions.size >= MOST_FUNCTIONS) this.#work.functions.clear()
    this.#work.functions.set(number, fn)
  }

  #fromLong(object: unknown): Task | Promise<Task> {
    if (object instanceof Promise) return object.then((object) => this.#fromLong(object))
    const [flags, cell, number, fn, items, into] = object as LongTask
    this.#work.inUse = [items, into].map(makeQuick)
    return {
      flags,
      cell,
      fn: (this.#work.functions.get(number) ?? fn) as AnyFunction,
      items,
      into: into as Task['into'],
    }
  }

  /** Does a task and answers it; nothing to wait for, mostly. */
  #do(number: number, read: () => Task | Promise<Task>): undefined | Promise<void> {
    let task: Task | Promise<Task>
    try {
      task = read()
    } catch (error) {
      // It could not be rebuilt: that is its outcome.
      return this.#fail(number, error)
    }
    if (!(task instanceof Promise)) return this.#run(number, task)
    return task.then(
      (task) => this.#run(number, task),
      (error) => this.#fail(number, error),
    )
  }

  #run(number: number, task: Task): undefined | Promise<void> {
    if (task.cell !== 0 && this.#channel.isCalledOff(task.cell)) {
      return this.#answer(number, SKIPPED, undefined)
    }
    const values: unknown[] = []
    const partly = (task.flags & PARTIAL) === 0 ? undefined : values
    let value: unknown
    try {
      value = perform(task, values)
    } catch (error) {
      return this.#fail(number, error, partly)
    }
    if (!isThenable(value)) return this.#answer(number, 0, value)
    return Promise.resolve(value).then(
      (value) => this.#answer(number, 0, value),
      (error) => this.#fail(number, error, partly),
    )
  }

  #fail(number: number, error: unknown, values?: unknown[]): undefined | Promise<void> {
    const stack = error instanceof Error ? error.stack : undefined
    const failure: Failure = [error, stack, values]
    return this.#answer(number, FAILED, failure)
  }

  #answer(number: number, flags: number, value: unknown): undefined | Promise<void> {
    try {
      this.#send(number, flags, value)
    } catch (error) {
      if (!(error instanceof PicklingError)) throw error
      const culprit = flags & FAILED ? (value as Failure)[0] : value
      const refused = new MaybeEncodingError(error.message, inspect(culprit))
      const failure: Failure = [refused, refused.stack, undefined]
      this.#send(number, FAILED, failure)
    }
    return undefined
  }

  #send(number: number, flags: number, value: unknown): void {
    const { pool, results } = this.#channel
    const encoded = encode(value, 'result')
    const { start, end, owned } = encoded
    if (!isPlain(encoded) || end - start + HEAD > LONGEST_SHORT) {
      if (owned !== null) closeOwned({ owned })
      this.#sendLong(number, flags, value)
      return
    }
    const at = headResult(encoded, flags, number)
    shareSendScratch(encoded)
    for (;;) {
      const status = native.poolAnswer(pool, results.handle, at, end)
      if (status === DONE) return
      this.#waitForRoom(status, end - at)
    }
  }

  #waitForRoom(status: number, room: number): void {
    if (status !== NOT_YET) throw errorOf(status, 'put')
    const { pool, results } = this.#channel
    native.poolCall(pool)
    native.queueRoom(results.handle, Math.min(room, results.longest), false, GLANCE, false)
  }

  #sendLong(number: number, flags: number, value: unknown): void {
    const { pool, results } = this.#channel
    const encoded = encode(value, 'result')
    const { owned } = encoded
    try {
      const { parts, descriptors } = messageOf(encoded, false, headResult(encoded, flags, number))
      for (;;) {
        const status = native.queuePutParts(results.handle, parts, descriptors, true, false)
        if (status === DONE) break
        this.#waitForRoom(status, lengthOf(parts))
      }
    } finally {
      if (owned !== null) closeOwned({ owned })
    }
    // What comes in pieces is with the pool when this worker goes on, so that it is not lost with it.
    for (let time = 0.1; ; time = Math.min(time * 2, GLANCE)) {
      native.poolCall(pool)
      if (native.queueFlush(results.handle, time) === DONE) break
    }
    native.poolCall(pool)
  }
}

/**
 * Large parts of shared memory come from elsewhere: to find each of their pages would take long. Gives what
 * keeps the memory mapped here.
 */
const makeQuick = (part: unknown): ArrayBufferLike | undefined => {
  if (!ArrayBuffer.isView(part) || part.byteLength < LARGE_PART) return undefined
  const block = blockOf(part.buffer)
  if (block) native.touchBlock(block.handle, part.byteOffset, part.byteLength)
  return block?.buffer
}

const LARGE_PART = 1 << 20
const MOST_FUNCTIONS = 1000
/** How long a worker that has left waits for what its tasks have left open, in milliseconds. */
const GRACE = 1000
const SHORTEST_NAP = 50
const LONGEST_NAP = 4000
/** How often a worker that waits for room looks again, in milliseconds. */
const GLANCE = 20
