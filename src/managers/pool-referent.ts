/**
 * Pools in a manager's server: those of the package, under Python's names.
 * @module
 */
import { TimeoutError, ValueError } from '../errors.js'
import { Pool } from '../pool.js'
import { OWNED } from './referents.js'

/** What becomes of a call: as `AsyncResult`. */
class Outcome {
  readonly #promise: Promise<unknown>
  #state: 'pending' | 'fulfilled' | 'rejected' = 'pending'

  constructor(promise: Promise<unknown>) {
    this.#promise = promise
    promise.then(
      () => {
        this.#state = 'fulfilled'
      },
      () => {
        this.#state = 'rejected'
      },
    )
  }

  async get(timeout: unknown = null): Promise<unknown> {
    await this.wait(timeout)
    if (this.#state === 'pending') throw new TimeoutError()
    return await this.#promise
  }

  async wait(timeout: unknown = null): Promise<void> {
    const settled = this.#promise.then(ignore, ignore)
    if (timeout === null) return await settled
    let timer: NodeJS.Timeout | undefined
    const over = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, Number(timeout) * 1000)
    })
    await Promise.race([settled, over])
    clearTimeout(timer)
  }

  ready(): boolean {
    return this.#state !== 'pending'
  }

  successful(): boolean {
    if (this.#state === 'pending') throw new ValueError(`${this} not ready`)
    return this.#state === 'fulfilled'
  }

  toString(): string {
    return `<AsyncResult ${this.#state}>`
  }
}

const ignore = (): void => {}

type Method = (...args: unknown[]) => unknown

/** Goes through the results one by one as they are asked for. */
async function* inTurn(results: Promise<unknown[]>): AsyncGenerator<unknown> {
  yield* await results
}

/**
 * A pool under Python's names. What the pool has of a method under its own name, in camel case, is what is
 * called; else what can be made of `map`, `starmap` and `apply`.
 */
export const poolReferent = (...args: unknown[]): unknown => {
  const [first, initializer = null, initargs = []] = args
  const options = isOptions(first) ? first : { processes: first, initializer, initargs }
  const pool = new Pool(options as ConstructorParameters<typeof Pool>[0])
  const methods = pool as unknown as Record<string, Method | undefined>
  const later =
    (name: string, plain: string): Method =>
    (...given) =>
      methods[name]?.(...given) ?? new Outcome(methods[plain]!(...given) as Promise<unknown>)
  const iterated =
    (name: string): Method =>
    (...given) =>
      methods[name]?.(...given) ?? inTurn(methods.map!(...given) as Promise<unknown[]>)
  return {
    apply: (...given: unknown[]) => methods.apply!(...given),
    map: (...given: unknown[]) => methods.map!(...given),
    starmap: (...given: unknown[]) => methods.starmap!(...given),
    apply_async: later('applyAsync', 'apply'),
    map_async: later('mapAsync', 'map'),
    starmap_async: later('starmapAsync', 'starmap'),
    imap: iterated('imap'),
    imap_unordered: iterated('imapUnordered'),
    close: () => pool.close(),
    terminate: () => pool.terminate(),
    join: () => pool.join(),
    [OWNED]: () => pool.terminate(),
    toString: () => pool.toString(),
  }
}

const isOptions = (value: unknown): value is object => typeof value === 'object' && value !== null
