/**
 * Pools in a manager's server: those of the package, under Python's names.
 * @module
 */
import type { AsyncResult } from '../async-result.js'
import { Pool } from '../pool.js'
import { OWNED } from './referents.js'

/** The outcome of a call, with times in seconds. A result of the pool's itself would be waited for. */
class Outcome {
  readonly #result: AsyncResult

  constructor(result: AsyncResult) {
    this.#result = result
  }

  async get(timeout: unknown = null): Promise<unknown> {
    return await this.#result.get(milliseconds(timeout))
  }

  async wait(timeout: unknown = null): Promise<void> {
    await this.#result.wait(milliseconds(timeout))
  }

  ready(): boolean {
    return this.#result.ready()
  }

  successful(): boolean {
    return this.#result.successful()
  }

  toString(): string {
    return this.#result.toString()
  }
}

const milliseconds = (seconds: unknown): number | null =>
  seconds === null ? null : Number(seconds) * 1000

type Method = (...args: any[]) => unknown
type AsyncMethod = (...args: any[]) => AsyncResult

/** A pool under Python's names. */
export const poolReferent = (...args: unknown[]): unknown => {
  const [first, initializer = null, initargs = []] = args
  const options = isOptions(first) ? first : { processes: first, initializer, initargs }
  const pool = new Pool(options as ConstructorParameters<typeof Pool>[0])
  const same =
    (method: Method): Method =>
    (...given) =>
      method.apply(pool, given)
  const later =
    (method: AsyncMethod): Method =>
    (...given) =>
      new Outcome(method.apply(pool, given))
  return {
    apply: same(pool.apply),
    map: same(pool.map),
    starmap: same(pool.starmap),
    apply_async: later(pool.applyAsync as AsyncMethod),
    map_async: later(pool.mapAsync as AsyncMethod),
    starmap_async: later(pool.starmapAsync as AsyncMethod),
    imap: same(pool.imap),
    imap_unordered: same(pool.imapUnordered),
    close: same(pool.close),
    terminate: same(pool.terminate),
    join: same(pool.join),
    [OWNED]: same(pool.terminate),
    toString: same(pool.toString),
  }
}

const isOptions = (value: unknown): value is object => typeof value === 'object' && value !== null
