/**
 * Tasks of one thread, which exclude each other though they are all of the same thread.
 * @module
 */
import type { AsyncLocalStorage } from 'node:async_hooks'
import { whenCopied } from './waiter.js'
import { clock, endEarly, milliseconds, type WaitOptions } from './waiting.js'

/** A task that runs within `runExclusive`, and those that it runs within. */
interface Task {
  readonly outer: Task | undefined
}

let storage: AsyncLocalStorage<Task> | undefined

/** Loaded when first needed: few programs do. */
const tasks = (): AsyncLocalStorage<Task> => {
  if (storage === undefined) {
    const { AsyncLocalStorage } = process.getBuiltinModule('node:async_hooks')
    storage = new AsyncLocalStorage()
  }
  return storage
}

/** A turn that a task has. */
export type Turn = object

/** Lets one task of this thread in at a time, and lets that one in again. */
export class TaskLock {
  #turn: Task | undefined
  #waiting: (() => void)[] = []
  #copy = copied

  /** The task that the caller runs in, if it is the one that is in. */
  get current(): Turn | undefined {
    if (this.#copy !== copied) this.#renew()
    if (this.#turn === undefined) return undefined
    for (let task = storage?.getStore(); task !== undefined; task = task.outer) {
      if (task === this.#turn) return task
    }
    return undefined
  }

  /**
   * Waits for a turn, first come, first served.
   *
   * @returns The turn, and what is left of the time.
   * @throws The signal's reason; TimeoutError.
   */
  async enter({ timeout, signal }: WaitOptions): Promise<[Turn, WaitOptions]> {
    if (this.#copy !== copied) this.#renew()
    const turn: Task = { outer: storage?.getStore() }
    const left = clock(milliseconds(timeout))
    if (this.#turn === undefined) this.#turn = turn
    else await this.#wait(turn, { timeout, signal })
    const still = left()
    return [turn, { timeout: still < 0 ? null : still, signal }]
  }

  /** Takes a turn back that was given up for a while, whatever time that takes. */
  async reenter(turn: Turn): Promise<void> {
    if (this.#turn === undefined) this.#turn = turn as Task
    else await this.#wait(turn as Task, {})
  }

  /** The task is no longer in. */
  leave(turn: Turn): void {
    if (this.#turn !== turn) return
    this.#turn = undefined
    this.#waiting.shift()?.()
  }

  /** Runs a function as the task whose turn it is. */
  run<T>(turn: Turn, work: () => T): T {
    return tasks().run(turn as Task, work)
  }

  #wait(turn: Task, options: WaitOptions): Promise<void> {
    return new Promise((resolve, reject) => {
      const stop = endEarly(options, (reason) => {
        this.#waiting.splice(this.#waiting.indexOf(admit), 1)
        reject(reason)
      })
      const admit = (): void => {
        stop()
        this.#turn = turn
        resolve()
      }
      this.#waiting.push(admit)
    })
  }

  #renew(): void {
    this.#copy = copied
    this.#turn = undefined
    this.#waiting = []
  }
}

let copied = 0
whenCopied(() => {
  copied++
})
