/**
 * The inside of a pool: gives out tasks, takes in results, and sees to it that there are workers.
 *
 * Tasks are numbered in the order in which they go into the queue. What was given and not answered is kept;
 * when a worker dies, the board says which numbers it had, and how many of those it had begun.
 * @module
 */
import { constants } from 'node:os'
import { registerAfterFork } from './after-fork.js'
import { encode } from './codec/index.js'
import { UnpicklingError, ValueError, WorkerDiedError } from './errors.js'
import { native } from './native.js'
import { BUSY, checked, DONE, errorOf, LARGE, NOT_YET } from './native-status.js'
import {
  type Arrived,
  arrivedAmong,
  arrivedFrom,
  closeOwned,
  isPlain,
  messageOf,
  objectOfGraph,
  objectOfGraphSync,
  rebuildSync,
  rebuildWithModules,
  receiveScratch,
} from './objects.js'
import { CALL_OFFS, PoolChannel } from './pool-channel.js'
import { type Chunk, errorOfFailure, type Job } from './pool-jobs.js'
import {
  FAILED,
  type Failure,
  HEAD,
  LONGEST_SHORT,
  type LongTask,
  numberAt,
  RESULT,
  SKIPPED,
  TaskBatch,
} from './pool-wire.js'
import { PoolWorker, type WorkerStart } from './pool-worker.js'
import { forgetWait, whenOver } from './waiter.js'
import { atOnce, type Clock, clock, ENDLESS } from './waiting.js'
import { READABLE, Watcher } from './watcher.js'

/** What a pool can be. */
export type PoolState = 'RUN' | 'CLOSE' | 'TERMINATE'

/** What is told of what happens in a pool. */
export interface PoolObserver {
  started(worker: PoolWorker): void
  ended(worker: PoolWorker): void
  answered(chunk: Chunk, failed: boolean): void
}

/** How many bytes of results are taken at once. */
const RESULTS = 256 * 1024
/** How many tasks are on their way at most, and how many bytes, when every worker has some. */
const MOST_GIVEN = 8192
const MOST_BYTES = 1536 * 1024
/** After so many tasks they are sent though the program has not come to rest. */
const FLUSH = 64
/** How long results are taken without a break, in milliseconds. */
const SLICE = 8
/** How long a worker stays at one task before those that it has taken besides go to others. */
const STEAL = 5
const LONGEST_STEAL = 50
/** How long a worker has to end when the pool is terminated, before it is killed, in milliseconds. */
const GRACE = 1000
/** How long to wait before a worker is started again that could not be, in milliseconds. */
const RESTART = 100
/** How often that is tried when no worker is left. */
const RESTARTS = 5

/** See the module. */
export class PoolCore {
  readonly channel: PoolChannel
  readonly workers: PoolWorker[] = []
  readonly observer: PoolObserver
  readonly #start: WorkerStart
  #wanted: number
  #state: PoolState = 'RUN'
  /** Why the pool can do nothing any more. */
  #broken: Error | undefined
  /** How many workers died one after the other without ever having been ready. */
  #stillborn = 0
  /** How many workers were told to leave and have not. */
  #toLeave = 0
  #freePlaces: number[] = []
  #nextPlace = 0

  /** Calls of which there are chunks to be cut, the first first. */
  #jobs: Job[] = []
  #firstJob = 0
  /** Calls that are not over, or of which chunks are under way. */
  readonly #open = new Set<Job>()
  /** How many of them somebody waits for. */
  #live = 0
  /** Chunks that were given to a worker that is gone, or too busy. */
  readonly #again: Chunk[] = []
  /** What was given and not answered, by number. */
  readonly #given = new Map<number, Chunk>()
  #givenBytes = 0
  #nextNumber = 0
  readonly #batch = new TaskBatch(RESULTS)
  #batched = 0
  #flushing = false
  readonly #freeCells: number[] = []
  #nextCell = 1

  readonly #results = new Uint8Array(RESULTS)
  readonly #lengths = new DataView(this.#results.buffer)
  #watcher: Watcher | undefined
  #looking = false
  /** A long result is being taken by a thread of the engine's: the number of that wait. */
  #reading: number | undefined
  /** Workers that have ended, and whose results are not all taken yet. */
  readonly #mourned: PoolWorker[] = []
  /** Whether somebody blocks for results right now. */
  #blocked = false
  #stealTimer: NodeJS.Timeout | undefined
  #stealAfter = STEAL
  #seen = new Map<PoolWorker, string>()
  #restarts = 0
  #restartTimer: NodeJS.Timeout | undefined
  /** Called when there are no workers any more. */
  #whenEmpty: (() => void)[] = []
  /** The object that the program has, as long as it waits for something. */
  holder: object | undefined
  /** Whether its queues and board are given back. */
  #isReleased = false
  #owner: WeakRef<object>

  constructor(owner: object, wanted: number, start: WorkerStart, observer: PoolObserver) {
    this.#owner = new WeakRef(owner)
    this.#wanted = wanted
    this.#start = start
    this.observer = observer
    this.channel = new PoolChannel(Math.max(MOST_WORKERS, wanted) * start.concurrency)
    registerAfterFork(this as PoolCore, (core) => core.#becomeCopy())
    try {
      this.#recruit()
    } catch (error) {
      this.terminate()
      this.#endAll()
      throw error
    }
  }

  get state(): PoolState {
    return this.#state
  }

  /** How many workers there are to be. */
  get wanted(): number {
    return this.#wanted
  }

  /** How many tasks wait to be given to a worker, as far as they have been cut, or are with one. */
  get length(): { waiting: number; running: number } {
    if (this.#isReleased) return { waiting: 0, running: 0 }
    const waiting = Math.max(0, native.queueLength(this.channel.tasks.handle))
    return {
      waiting: waiting + this.#again.length + this.#batched,
      running: Math.max(0, this.#given.size - waiting - this.#batched),
    }
  }

  /** @throws ValueError "Pool not running"; what has broken it. */
  checkRunning(): void {
    if (this.#broken) throw this.#broken
    if (this.#state !== 'RUN') throw new ValueError('Pool not running')
  }

  /** Takes on a call. */
  submit(job: Job): void {
    this.checkRunning()
    this.#open.add(job)
    this.#live++
    this.#jobs.push(job)
    if (job.isExhausted && job.outstanding === 0) this.#endIfDone(job)
    this.#keepAlive()
    this.#fill()
  }

  /** There may be more chunks than there were. */
  more(): void {
    if (this.#state !== 'TERMINATE') this.#fill()
  }

  /** The call's outcome is known otherwise: what is left of it need not be done. */
  drop(job: Job): void {
    if (this.#isReleased) return
    if (job.cell !== 0) this.channel.callOff(job.cell, true)
    this.#endIfDone(job)
    this.#keepAlive()
  }

  /** Gives a call a number under which it can be called off, if there is one left. */
  makeCancellable(job: Job): void {
    const cell = this.#freeCells.pop() ?? (this.#nextCell < CALL_OFFS ? this.#nextCell++ : 0)
    if (cell === 0) return
    this.channel.callOff(cell, false)
    job.cell = cell
  }

  /** Fails a call, and ends the workers that are at it. */
  cancel(job: Job, reason: unknown): void {
    if (job.isOver) return
    job.abort(reason)
    this.drop(job)
    this.#collect()
    if (job.outstanding === 0) return
    for (const worker of this.workers) {
      if (this.#claimed(worker, false).some(({ chunk, begun }) => begun && chunk.job === job)) {
        worker.isSentenced = true
        worker.handle.kill()
      }
    }
  }

  /** Changes how many workers there are. */
  resize(wanted: number): void {
    this.checkRunning()
    this.#wanted = wanted
    this.#dismissSurplus()
    this.#recruit()
  }

  /** Takes no more calls; the workers leave when those that were taken are done. */
  close(): void {
    if (this.#state !== 'RUN') return
    this.#state = 'CLOSE'
    this.#dismissIfDone()
  }

  /** Ends the workers at once; calls that are not done fail. */
  terminate(error: Error = new ValueError('Pool was terminated')): void {
    if (this.#state === 'TERMINATE') return
    this.#state = 'TERMINATE'
    clearTimeout(this.#stealTimer)
    clearTimeout(this.#restartTimer)
    for (const job of this.#open) job.abort(error)
    for (const chunk of [...this.#given.values(), ...this.#again.splice(0)]) this.#settled(chunk)
    this.#given.clear()
    this.#jobs = []
    this.#firstJob = 0
    for (const job of [...this.#open]) this.#endIfDone(job)
    this.#batch.take()
    this.#batched = 0
    for (const worker of this.workers) worker.handle.terminate()
    this.#keepAlive()
    const killer = setTimeout(() => this.#killAll(), GRACE)
    killer.unref()
    this.#whenEmpty.push(() => clearTimeout(killer))
    if (this.workers.length === 0) this.#emptied()
  }

  /** Waits until there are no workers any more. */
  async join(options: { signal?: AbortSignal | undefined }, left: Clock): Promise<void> {
    for (;;) {
      const worker = this.workers[0]
      if (worker === undefined) return
      const time = left()
      if (time === 0) return
      await worker.handle.join({ ...options, timeout: time < 0 ? null : time })
      if (worker.handle.exitcode !== null) this.#bury(worker)
    }
  }

  /** The same, blocking; what is under way is brought to its end first. */
  joinSync(): void {
    this.serveWhile(() => this.#state === 'CLOSE' && this.#open.size > 0, ENDLESS)
    this.#dismissIfDone()
    const killing = this.#state === 'TERMINATE'
    const grace = clock(GRACE)
    while (this.workers.length > 0) {
      const worker = this.workers[0]!
      if (killing && grace() === 0) this.#killAll()
      worker.handle.joinSync(killing ? Math.max(1, grace()) : -1)
      if (worker.handle.exitcode !== null) this.#bury(worker)
    }
  }

  /** Takes in results, blocking, without the event loop, as long as they are needed and there is time. */
  serveWhile(isNeeded: () => boolean, left: Clock): void {
    const was = this.#blocked
    this.#blocked = true
    try {
      this.#flush()
      while (isNeeded() && !this.#isReleased) {
        if (this.#collect() || this.#mourn()) continue
        if (!isNeeded() || left() === 0) return
        this.#fill()
        this.#flush()
        if (native.poolLook(this.channel.pool, this.channel.results.handle, true) === 1) continue
        this.#sleep(left)
      }
    } finally {
      this.#blocked = was
    }
  }

  /** Sleeps until there are results, or a worker ends. */
  #sleep(left: Clock): void {
    const sentinels: number[] = []
    for (const { handle } of this.workers) {
      if (handle.sentinel !== undefined) sentinels.push(handle.sentinel)
    }
    const all = sentinels.length === this.workers.length
    const time = atOnce(left)()
    const most = all ? LONGEST_STEAL : STEAL
    const slice = time < 0 ? most : Math.min(time, most)
    const found = native.waitReady([this.channel.descriptor, ...sentinels], [], slice)
    if (found.includes(0)) native.poolHear(this.channel.pool)
    for (const worker of this.workers) if (worker.handle.exitcode !== null) this.#lose(worker)
    if (found.length === 0) this.#steal()
  }

  // Giving.

  #nextChunk(): Chunk | undefined {
    const again = this.#again.shift()
    if (again !== undefined) return again
    let place = this.#firstJob
    while (place < this.#jobs.length) {
      const job = this.#jobs[place]!
      if (!job.isOver) {
        let chunk: Chunk | undefined
        try {
          chunk = job.next()
        } catch (error) {
          job.abort(error)
        }
        if (chunk !== undefined) {
          if (job.isExhausted) this.#forgetAt(place)
          return chunk
        }
      }
      if (job.isOver || job.isExhausted) {
        place = this.#forgetAt(place)
        this.#endIfDone(job)
      } else {
        place++
      }
    }
    return undefined
  }

  /** Forgets a call; where the next one is then. */
  #forgetAt(place: number): number {
    if (place !== this.#firstJob) {
      this.#jobs.splice(place, 1)
      return place
    }
    this.#jobs[place] = undefined!
    this.#firstJob++
    // Moving them all for each one that goes would take time when there are many.
    if (this.#firstJob > 512 && this.#firstJob * 2 > this.#jobs.length) {
      this.#jobs = this.#jobs.slice(this.#firstJob)
      this.#firstJob = 0
    }
    return this.#firstJob
  }

  get #hasRoom(): boolean {
    if (this.#given.size < 2 * this.workers.length * this.#start.concurrency) return true
    return this.#given.size < MOST_GIVEN && this.#givenBytes < MOST_BYTES
  }

  #fill(): void {
    if (this.#state === 'TERMINATE') return
    while (this.#hasRoom) {
      const chunk = this.#nextChunk()
      if (chunk === undefined) break
      this.#give(chunk)
    }
    if (this.#batched > 0 && !this.#flushing) {
      this.#flushing = true
      queueMicrotask(() => {
        this.#flushing = false
        this.#flush()
      })
    }
    this.#dismissIfDone()
  }

  #give(chunk: Chunk): void {
    const { job } = chunk
    if (job.isOver) {
      this.#settled(chunk)
      return
    }
    try {
      this.#encode(chunk)
    } catch (error) {
      job.abort(error)
      this.#settled(chunk)
      this.drop(job)
      return
    }
    chunk.number = this.#nextNumber++
    chunk.sent = performance.now()
    this.#given.set(chunk.number, chunk)
    this.#givenBytes += chunk.bytes
  }

  #encode(chunk: Chunk): void {
    const { job, flags, items, into } = chunk
    const fn = job.function
    if (fn.bytes !== null && into === null) {
      const encoded = encode(items, 'args')
      const { start, end } = encoded
      chunk.bytes = end - start + fn.bytes.length + HEAD
      if (isPlain(encoded) && chunk.bytes <= LONGEST_SHORT) {
        for (const again of [true, false]) {
          if (this.#batch.add(flags, job.cell, fn, encoded)) {
            if (++this.#batched >= FLUSH) this.#flush()
            return
          }
          if (again) this.#flush()
        }
      }
      if (encoded.owned !== null) closeOwned({ owned: encoded.owned })
    }
    this.#sendLong(chunk)
  }

  #sendLong(chunk: Chunk): void {
    const { job, flags, items, into } = chunk
    this.#flush()
    const task: LongTask = [flags, job.cell, job.function.number, job.fn, items, into]
    const encoded = encode(task, 'task')
    const { owned } = encoded
    try {
      const { parts, descriptors } = messageOf(encoded, false)
      chunk.bytes = parts.reduce((sum, part) => sum + part.length, 0)
      const { handle } = this.channel.tasks
      const status = native.queuePutParts(handle, parts, descriptors, false, false)
      if (status !== DONE) throw errorOf(status, 'put')
      this.#lookSoon()
    } finally {
      if (owned !== null) closeOwned({ owned })
    }
  }

  #flush(): void {
    if (this.#batched === 0) return
    const count = this.#batched
    this.#batched = 0
    const put = native.queuePutMany(this.channel.tasks.handle, this.#batch.take(), false)
    if (put !== count) {
      this.#break(put < 0 ? errorOf(put, 'put') : new Error(`${count - put} tasks were not put in`))
      return
    }
    this.#lookSoon()
  }

  // Taking in.

  /** Looks for results when what the program does now is done. */
  #lookSoon(): void {
    this.#armSteal()
    if (this.#looking || this.#blocked) return
    this.#looking = true
    setImmediate(() => this.#look())
  }

  #look(): void {
    this.#looking = false
    if (this.#isReleased || (this.#given.size === 0 && this.#mourned.length === 0)) return
    const { pool, results } = this.channel
    if (native.poolLook(pool, results.handle, true) === 1) this.#serve()
  }

  #serve(): void {
    this.#collect()
    this.#mourn()
    this.#fill()
    this.#keepAlive()
    // The pool has been called, and is not again before it has looked.
    if (this.#given.size > 0) this.#lookSoon()
  }

  /** Takes the results that are there; says whether there were some. */
  #collect(): boolean {
    if (this.#isReleased) return false
    if (this.#reading !== undefined && !this.#collectReading(this.#reading)) return false
    const { pool, results } = this.channel
    const end = performance.now() + SLICE
    let some = false
    for (;;) {
      const count = native.queueTakeMany(results.handle, this.#results, Number.MAX_SAFE_INTEGER)
      if (count > 0) {
        native.poolFound(pool)
        some = true
        let at = 0
        for (let i = 0; i < count; i++) {
          const end = at + 4 + this.#lengths.getUint32(at, true)
          this.#answer(this.#results, at + 4, end)
          at = (end + 7) & ~7
        }
        if (!this.#blocked && performance.now() > end) return true
        continue
      }
      checked(count, 'get')
      const status = results.tryTake()
      if (status === BUSY) {
        if (!this.#blocked) this.#read()
        else if (!this.#takeSync()) return some
        if (!this.#blocked) return some
      } else if (status >= 0 || status === LARGE) {
        native.poolFound(pool)
        this.#answerOne(status)
      } else if (status === NOT_YET) {
        return some
      } else {
        throw errorOf(status, 'get')
      }
      some = true
    }
  }

  #takeSync(): boolean {
    const { results } = this.channel
    const status = results.takeSync(clock(STEAL))
    if (status === NOT_YET) return false
    this.#answerOne(status)
    return true
  }

  /** A result that was taken by itself. */
  #answerOne(status: number): void {
    if (status >= 0 && receiveScratch[0] === RESULT) this.#answer(receiveScratch, 0, status)
    else this.#answerLong(arrivedFrom(status, this.channel.results))
  }

  /** Has a thread of the engine's take a result in pieces, as its worker may take its time. */
  #read(): void {
    const ticket = checked(native.queueReadLater(this.channel.results.handle), 'get')
    this.#reading = ticket
    whenOver(ticket, () => {
      if (this.#reading !== ticket) return
      if (this.#collectReading(ticket)) this.#serve()
    })
  }

  /** Takes over what the thread has taken; false while it is still at it. */
  #collectReading(ticket: number): boolean {
    const { results } = this.channel
    const status = native.queueTakeRead(results.handle, ticket)
    if (status === BUSY) return false
    this.#reading = undefined
    forgetWait(ticket)
    if (status === LARGE) {
      const taken = results.takeDescriptors()
      const [graph, descriptors, ...buffers] = native.queueLarge(results.handle)
      const parts = {
        frame: () => ({ graph: new Uint8Array(graph), buffers, descriptors }),
        takeDescriptors: () => taken,
      }
      this.#answerLong(arrivedFrom(LARGE, parts))
    } else if (status !== NOT_YET) {
      throw errorOf(status, 'get')
    }
    return true
  }

  /** A result in the short form, or one among those that is not. */
  #answer(bytes: Uint8Array, at: number, end: number): void {
    if (bytes[at] !== RESULT) {
      this.#answerLong(arrivedAmong(bytes, at, end))
      return
    }
    const chunk = this.#given.get(numberAt(bytes, at))
    if (chunk === undefined) return
    const flags = bytes[at + 1]!
    const graph = at + HEAD
    try {
      // A caller who blocks cannot wait for a module to be imported.
      const value = this.#blocked
        ? objectOfGraphSync(bytes, graph, end)
        : objectOfGraph(bytes, graph, end)
      if (value instanceof Promise) this.#later(chunk, flags, value)
      else this.#outcome(chunk, flags, value)
    } catch (error) {
      this.#unreadable(chunk, error)
    }
  }

  #answerLong(message: Arrived): void {
    const { bytes, start } = message
    const chunk = this.#given.get(numberAt(bytes, start))
    const flags = bytes[start + 1]!
    const object = { ...message, start: start + HEAD }
    try {
      // What nobody waits for may have brought descriptors.
      const value =
        this.#blocked || chunk === undefined ? rebuildSync(object) : rebuildWithModules(object)
      if (chunk === undefined) return
      if (value instanceof Promise) this.#later(chunk, flags, value)
      else this.#outcome(chunk, flags, value)
    } catch (error) {
      if (chunk !== undefined) this.#unreadable(chunk, error)
    }
  }

  /** What needs modules that are not there yet. It is answered, whatever becomes of its worker. */
  #later(chunk: Chunk, flags: number, value: Promise<unknown>): void {
    const { number } = chunk
    this.#given.delete(number)
    const later = (then: () => void): void => {
      if (this.#state === 'TERMINATE') return
      this.#given.set(number, chunk)
      then()
      this.#fill()
      this.#keepAlive()
    }
    value.then(
      (value) => later(() => this.#outcome(chunk, flags, value)),
      (error) => later(() => this.#unreadable(chunk, error)),
    )
  }

  #unreadable(chunk: Chunk, cause: unknown): void {
    this.#fail(chunk, new UnpicklingError('the result cannot be rebuilt', { cause }))
  }

  #outcome(chunk: Chunk, flags: number, value: unknown): void {
    if (!this.#given.delete(chunk.number)) return
    this.#givenBytes -= chunk.bytes
    const { job } = chunk
    const failed = (flags & FAILED) !== 0
    this.observer.answered(chunk, failed)
    if (failed) job.failed(chunk, errorOfFailure(value as Failure), (value as Failure)[2])
    else if ((flags & SKIPPED) === 0) job.done(chunk, value)
    this.#settled(chunk)
  }

  #fail(chunk: Chunk, error: unknown): void {
    if (!this.#given.delete(chunk.number)) return
    this.#givenBytes -= chunk.bytes
    this.observer.answered(chunk, true)
    chunk.job.failed(chunk, error)
    this.#settled(chunk)
  }

  /** A chunk is neither to be done nor under way any more. */
  #settled({ job }: Chunk): void {
    job.outstanding--
    if (job.outstanding === 0) this.#endIfDone(job)
  }

  #endIfDone(job: Job): void {
    if (job.isOver && this.#open.has(job) && !this.#ended.has(job)) {
      this.#ended.add(job)
      this.#live--
    }
    if (job.outstanding > 0 || !(job.isOver || job.isExhausted)) return
    if (!this.#open.delete(job)) return
    if (!this.#ended.has(job)) this.#live--
    if (job.cell !== 0) {
      this.channel.callOff(job.cell, false)
      this.#freeCells.push(job.cell)
      job.cell = 0
    }
    job.onEnd?.()
  }

  /** Calls whose outcome is known. */
  readonly #ended = new WeakSet<Job>()

  // Workers.

  /** Starts as many workers as are missing. */
  #recruit(): void {
    this.channel.workers = this.#wanted
    while (this.workers.length - this.#toLeave < this.#wanted) this.#hire()
  }

  /** Lets those leave that are too many, but no more than that. */
  #dismissSurplus(): void {
    const surplus = this.workers.length - this.#toLeave - this.#wanted
    const { pool, tasks } = this.channel
    const leaving = native.poolLeaving(pool)
    const now = Math.max(0, leaving + surplus)
    this.#toLeave += now - leaving
    if (now === leaving) return
    const status = native.poolDismiss(pool, tasks.handle, false, now)
    if (status !== DONE) throw errorOf(status, 'dismiss')
  }

  #hire(): void {
    const place = this.#freePlaces.pop() ?? this.#nextPlace++
    let worker: PoolWorker
    try {
      worker = new PoolWorker(this.channel, place * this.#start.concurrency, this.#start)
    } catch (error) {
      this.#freePlaces.push(place)
      throw error
    }
    this.workers.push(worker)
    worker.handle.onEnd(() => this.#lose(worker))
    this.observer.started(worker)
  }

  /** A worker has ended: what it has answered is taken first. */
  #lose(worker: PoolWorker): void {
    if (this.#mourned.includes(worker) || !this.workers.includes(worker)) return
    this.#mourned.push(worker)
    // It may be in the middle of something else that this was found out.
    if (!this.#blocked) setImmediate(() => this.#serve())
  }

  /** Deals with workers that have ended; says whether there were some. */
  #mourn(): boolean {
    if (this.#mourned.length === 0 || this.#reading !== undefined) return false
    for (const worker of this.#mourned.splice(0)) this.#bury(worker)
    return true
  }

  #bury(worker: PoolWorker): void {
    const place = this.workers.indexOf(worker)
    if (place === -1) return
    this.#collect()
    this.workers.splice(place, 1)
    const mourned = this.#mourned.indexOf(worker)
    if (mourned !== -1) this.#mourned.splice(mourned, 1)
    this.#seen.delete(worker)
    this.observer.ended(worker)
    if (this.#state !== 'TERMINATE') {
      const { isProven } = worker
      const isExpected = worker.isSentenced || (isProven && worker.handle.exitcode === 0)
      for (const { chunk, begun } of this.#claimed(worker, true)) {
        if (begun) this.#lost(chunk, worker)
        else this.#giveBack(chunk)
      }
      if (isProven) this.#stillborn = 0
      else if (!isExpected) this.#stillborn += wasEnded(worker) ? ENDED : 1
    }
    worker.handle.release()
    this.#freePlaces.push(worker.place / this.#start.concurrency)
    if (this.#toLeave > 0) {
      // It has left, or it cannot any more.
      this.#toLeave--
      this.#dismissSurplus()
    }
    if (this.#stillborn >= this.#wanted + 1) this.#breakAs(worker)
    this.#replace()
    if (this.workers.length === 0) this.#emptied()
  }

  #lost(chunk: Chunk, worker: PoolWorker): void {
    const { job } = chunk
    if (!job.isOver && (worker.isSentenced || chunk.deaths++ < job.retries)) {
      this.#giveBack(chunk)
      return
    }
    const { id, exitcode } = worker.handle
    const task = job.lost(chunk)
    this.#fail(
      chunk,
      new WorkerDiedError(
        `worker ${id} ended with ${howOf(exitcode)} while it had a task`,
        id,
        exitcode,
        task,
      ),
    )
  }

  /** Somebody else is to do it. */
  #giveBack(chunk: Chunk): void {
    if (!this.#given.delete(chunk.number)) return
    this.#givenBytes -= chunk.bytes
    this.#again.push(chunk)
  }

  /** What of a worker's claims is not answered; `clear` forgets them. */
  #claimed(worker: PoolWorker, clear: boolean, recall = false): Claimed[] {
    const { pool, tasks } = this.channel
    const all: Claimed[] = []
    for (const { number } of worker.places) {
      const [first, count, begun] = native.poolClaim(pool, tasks.handle, number, recall, clear)
      checked(first!, 'claim')
      for (let i = 0; i < count!; i++) {
        const chunk = this.#given.get(first! + i)
        if (chunk !== undefined) all.push({ chunk, begun: i < begun! })
      }
    }
    return all
  }

  /** Whether there is or may be something to do. */
  get #isNeeded(): boolean {
    return this.#state === 'RUN' || (this.#state === 'CLOSE' && this.#open.size > 0)
  }

  /** Others take the places of workers that have ended, while there is or may be something to do. */
  #replace(): void {
    if (!this.#isNeeded || this.#broken !== undefined) return
    try {
      this.#recruit()
      this.#restarts = 0
    } catch (error) {
      if (this.workers.length === 0 && ++this.#restarts > RESTARTS) {
        this.#break(error as Error)
        return
      }
      clearTimeout(this.#restartTimer)
      this.#restartTimer = setTimeout(() => this.#replace(), RESTART)
    }
  }

  #breakAs(worker: PoolWorker): void {
    const how = howOf(worker.handle.exitcode)
    this.#break(
      new WorkerDiedError(
        `the pool is broken: workers ended one after the other, the last with ${how}, before they could do anything`,
        0,
        null,
      ),
    )
  }

  #break(error: Error): void {
    this.#broken ??= error
    this.terminate(this.#broken)
  }

  #killAll(): void {
    for (const { handle } of this.workers) handle.kill()
  }

  #endAll(): void {
    for (const worker of [...this.workers]) {
      worker.handle.joinSync(GRACE)
      worker.handle.kill()
      worker.handle.joinSync(-1)
      this.#bury(worker)
    }
  }

  /** After close, the workers may go when nothing is left. */
  #dismissIfDone(): void {
    if (this.#state !== 'CLOSE' || this.#open.size > 0 || this.#isReleased) return
    const { pool, tasks } = this.channel
    native.poolDismiss(pool, tasks.handle, true, 0)
  }

  #emptied(): void {
    if (this.#isReleased || this.#isNeeded) return
    for (const done of this.#whenEmpty.splice(0)) done()
    clearTimeout(this.#stealTimer)
    // What nobody takes any more is not kept for anybody.
    const { tasks } = this.channel
    const left = clock(GRACE)
    while (native.queuePending(tasks.handle) > 0 && left() !== 0) tasks.takeSync(clock(1))
    this.#watcher?.close()
    this.#watcher = undefined
    this.holder = undefined
    if (this.#reading !== undefined) forgetWait(this.#reading)
    this.#reading = undefined
    this.#isReleased = true
    this.channel.release()
  }

  // Stealing.

  #armSteal(): void {
    if (this.#stealTimer !== undefined || this.#blocked || this.#start.concurrency > 1) return
    this.#stealTimer = setTimeout(() => {
      this.#stealTimer = undefined
      if (this.#given.size === 0 || this.#state === 'TERMINATE') return
      this.#stealAfter = this.#steal() ? STEAL : Math.min(this.#stealAfter * 2, LONGEST_STEAL)
      this.#armSteal()
    }, this.#stealAfter)
    this.#stealTimer.unref()
  }

  /** When others have nothing to do, they get what a worker has taken and not come to; says whether. */
  #steal(): boolean {
    if (this.workers.length < 2 || this.#given.size === 0) return false
    const { tasks } = this.channel
    if (native.queueLength(tasks.handle) > 0 || this.#start.concurrency > 1) return false
    let some = false
    for (const worker of this.workers) {
      const claimed = this.#claimed(worker, false)
      const begun = claimed.filter((each) => each.begun)
      const state = `${begun[0]?.chunk.number} ${claimed.length}`
      const before = this.#seen.get(worker)
      this.#seen.set(worker, state)
      if (claimed.length === begun.length || before !== state) continue
      for (const { chunk, begun } of this.#claimed(worker, false, true)) {
        if (begun) continue
        this.#giveBack(chunk)
        some = true
      }
    }
    if (some) {
      this.#fill()
      this.#flush()
    }
    return some
  }

  // The event loop.

  /** The loop is kept alive while somebody waits for results. */
  #keepAlive(): void {
    const isLive = this.#live > 0
    this.holder = isLive ? (this.#owner.deref() ?? this.holder) : undefined
    if (this.#watcher === undefined) {
      if (!isLive) return
      this.#watcher = new Watcher(this.channel.descriptor, () => {
        native.poolHear(this.channel.pool)
        this.#serve()
      })
    }
    this.#watcher.want(isLive || this.#given.size > 0 ? READABLE : 0)
    this.#watcher.keepAlive(isLive)
  }

  /** In a copy of the process: all this is the original's. */
  #becomeCopy(): void {
    this.#state = 'TERMINATE'
    this.workers.length = 0
    this.#mourned.length = 0
    this.#open.clear()
    this.#given.clear()
    this.#jobs = []
    this.#firstJob = 0
    this.#again.length = 0
    clearTimeout(this.#stealTimer)
    clearTimeout(this.#restartTimer)
    this.#watcher = undefined
  }
}

/** A task that a worker has. */
interface Claimed {
  readonly chunk: Chunk
  readonly begun: boolean
}

/** Somebody who ends workers before they are ready is no initializer that throws, and forgiven more often. */
const ENDED = 1 / 16

const wasEnded = ({ handle: { exitcode } }: PoolWorker): boolean =>
  exitcode === -constants.signals.SIGKILL || exitcode === -constants.signals.SIGTERM

/** How many workers a pool can be resized to, if it did not begin with more. */
export const MOST_WORKERS = 1024

const howOf = (exitcode: number | null): string =>
  exitcode !== null && exitcode < 0 ? `signal ${-exitcode}` : `exit code ${exitcode}`
