/**
 * A process that was started, seen from the one that started it.
 * @module
 */
import { constants } from 'node:os'
import { native } from './native.js'
import { checked } from './native-status.js'
import { atOnce, checkedWait, clock, endEarly, type WaitOptions } from './waiting.js'
import { READABLE, Watcher } from './watcher.js'

const collected = new FinalizationRegistry((descriptors: readonly number[]) => close(descriptors))

const close = (descriptors: readonly number[]): void => {
  for (const fd of descriptors) native.closeKeptDescriptor(fd)
}

/** How long a child that has ended waits for its fork server to say how, in milliseconds. */
const PATIENCE = 1000

const NO_SUCH_PROCESS = -1000 - constants.errno.ESRCH

/** A running or ended child; each start method makes one. */
export class Child {
  readonly pid: number
  /** Becomes readable when the child has ended. */
  readonly sentinel: number
  #exitcode: number | null = null
  #watcher: Watcher | undefined
  readonly #keepsAlive: boolean
  /** Where the exit code of a fork server's child comes from; a child of our own has none. */
  readonly #channel: number | undefined
  readonly #waiters = new Set<() => void>()
  readonly #observers: (() => void)[] = []

  /** `keepsAlive` says whether the event loop stays alive for it. */
  constructor(pid: number, pidfd: number, keepsAlive: boolean, channel?: number) {
    this.pid = pid
    this.sentinel = pidfd
    this.#keepsAlive = keepsAlive
    this.#channel = channel
    for (const fd of this.#descriptors()) native.keepDescriptor(fd)
    collected.register(this, this.#descriptors(), this)
    this.#watcher = new Watcher(pidfd, () => this.poll())
    this.#watcher.want(READABLE)
    this.#watcher.keepAlive(keepsAlive)
  }

  /** The exit code, if it has ended; reaps it. */
  poll(): number | null {
    if (this.#exitcode === null) {
      this.#exitcode = this.collect()
      if (this.#exitcode !== null) this.#ended()
    }
    return this.#exitcode
  }

  /** The exit code, once it has ended; asked until then. */
  protected collect(): number | null {
    return this.#channel === undefined
      ? native.collectProcess(this.sentinel)
      : native.collectForked(this.sentinel, this.#channel, PATIENCE)
  }

  /** Waits for the end, blocking. */
  waitSync(timeout: number): void {
    const left = clock(timeout)
    const slice = atOnce(left)
    while (this.poll() === null) {
      const ended = native.waitReady([this.sentinel], [], slice()).length > 0
      if (!ended && left() === 0) return
    }
  }

  /** Waits for the end or the timeout. */
  async wait(options: WaitOptions): Promise<void> {
    const time = checkedWait(options)
    if (this.poll() !== null || time === 0) return
    await new Promise<void>((resolve, reject) => {
      const leave = (): void => {
        stop()
        this.#waiters.delete(done)
        if (this.#waiters.size === 0) this.#watcher?.keepAlive(this.#keepsAlive)
      }
      const done = (): void => {
        leave()
        resolve()
      }
      const stop = endEarly(
        options,
        (reason) => {
          leave()
          reject(reason)
        },
        () => resolve(),
      )
      this.#waiters.add(done)
      this.#watcher?.keepAlive(true)
    })
  }

  /** Calls a function when it has ended, without keeping the event loop alive for that. */
  onEnd(done: () => void): void {
    if (this.#exitcode === null) this.#observers.push(done)
    else done()
  }

  /** Sends a signal; one that comes too late is no error. */
  signal(number: number): void {
    if (this.poll() !== null) return
    const status = native.signalProcess(this.sentinel, number)
    if (status !== NO_SUCH_PROCESS) checked(status, 'kill')
  }

  /** Lets go of the sentinel. */
  close(): void {
    this.#watcher?.close()
    if (collected.unregister(this)) close(this.#descriptors())
  }

  #descriptors(): number[] {
    return this.#channel === undefined ? [this.sentinel] : [this.sentinel, this.#channel]
  }

  #ended(): void {
    this.#watcher?.close()
    this.#watcher = undefined
    for (const done of this.#waiters) done()
    for (const done of this.#observers.splice(0)) done()
  }
}
