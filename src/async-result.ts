/**
 * What a call of a pool comes to. Mirrors `multiprocessing.pool.AsyncResult`.
 * @module
 */
import { TimeoutError, ValueError } from './errors.js'
import type { PoolCore } from './pool-core.js'
import type { Sink } from './pool-jobs.js'
import {
  checkedWait,
  clock,
  endEarly,
  milliseconds,
  type TimeoutOptions,
  type WaitOptions,
  waitOptions,
} from './waiting.js'

/** What is called with the outcome of a call, once. */
export interface Callbacks<T> {
  /** Called with what the call came to. */
  callback?: ((value: T) => unknown) | null | undefined
  /** Called with what it failed with. */
  errorCallback?: ((error: unknown) => unknown) | null | undefined
}

type Outcome<T> = { readonly value: T } | { readonly error: unknown }

/** An error in a function of the program's that nobody called: as in an event listener. */
export const runAside = (run: () => void): void => {
  try {
    run()
  } catch (error) {
    process.nextTick(() => {
      throw error
    })
  }
}

/**
 * The outcome of a call that was given to a pool, when there is one. It can be awaited. An outcome that
 * nobody asks for is lost, also if it is an error.
 *
 * Mirrors `multiprocessing.pool.AsyncResult`.
 */
export class AsyncResult<T = any> implements PromiseLike<T> {
  readonly #core: PoolCore
  #outcome: Outcome<T> | undefined
  readonly #waiting = new Set<() => void>()

  /** @internal `begin` gives the call to the pool. */
  constructor(
    core: PoolCore,
    { callback, errorCallback }: Callbacks<T>,
    begin: (sink: Sink) => void,
  ) {
    this.#core = core
    const settle = (outcome: Outcome<T>): void => {
      if (this.#outcome !== undefined) return
      this.#outcome = outcome
      if ('error' in outcome) runAside(() => errorCallback?.(outcome.error))
      else runAside(() => callback?.(outcome.value))
      for (const wake of this.#waiting) wake()
      this.#waiting.clear()
    }
    begin({
      resolve: (value) => settle({ value: value as T }),
      reject: (error) => settle({ error }),
    })
  }

  /**
   * What the call came to, when that is known.
   *
   * @param options - Milliseconds to wait at most, or options.
   * @throws What the call failed with; TimeoutError; the signal's reason.
   */
  async get(options: number | null | WaitOptions = {}): Promise<T> {
    await this.wait(options)
    return this.#now()
  }

  /** The same, blocking. @throws KeyboardInterrupt, too. */
  getSync(options: number | null | TimeoutOptions = {}): T {
    this.waitSync(options)
    return this.#now()
  }

  /**
   * Waits until it is known, or for so long.
   *
   * @throws The signal's reason.
   */
  async wait(options: number | null | WaitOptions = {}): Promise<void> {
    const wanted = waitOptions(options)
    const time = checkedWait(wanted)
    if (this.#outcome !== undefined || time === 0) return
    await new Promise<void>((resolve, reject) => {
      const wake = (): void => {
        stop()
        this.#waiting.delete(wake)
        resolve()
      }
      const stop = endEarly(
        wanted,
        (reason) => {
          this.#waiting.delete(wake)
          if (reason === undefined) resolve()
          else reject(reason)
        },
        () => undefined,
      )
      this.#waiting.add(wake)
    })
  }

  /** The same, blocking. */
  waitSync(options: number | null | TimeoutOptions = {}): void {
    const left = clock(milliseconds(waitOptions(options).timeout))
    this.#core.serveWhile(() => this.#outcome === undefined, left)
  }

  /** Whether it is known. */
  ready(): boolean {
    return this.#outcome !== undefined
  }

  /**
   * Whether the call has not failed.
   *
   * @throws ValueError when that is not known.
   */
  successful(): boolean {
    if (this.#outcome === undefined) throw new ValueError(`${this} not ready`)
    return 'value' in this.#outcome
  }

  /** For `await`: the same as {@link AsyncResult.get} without end. */
  // biome-ignore lint/suspicious/noThenProperty: it is to be awaited
  then<A = T, B = never>(
    fulfilled?: ((value: T) => A | PromiseLike<A>) | null,
    rejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.get().then(fulfilled, rejected)
  }

  /** As of a Promise. */
  catch<B = never>(rejected?: ((reason: unknown) => B | PromiseLike<B>) | null): Promise<T | B> {
    return this.get().catch(rejected)
  }

  /** As of a Promise. */
  finally(settled?: (() => void) | null): Promise<T> {
    return this.get().finally(settled)
  }

  /** How it looks: `<AsyncResult>`. */
  toString(): string {
    return `<${this.constructor.name}>`
  }

  #now(): T {
    const outcome = this.#outcome
    if (outcome === undefined) throw new TimeoutError()
    if ('error' in outcome) throw outcome.error
    return outcome.value
  }
}

/** The same for all results of a `mapAsync`. Mirrors `multiprocessing.pool.MapResult`. */
export class MapResult<T = any> extends AsyncResult<T[]> {}
