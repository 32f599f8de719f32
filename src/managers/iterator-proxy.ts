/**
 * Proxies for iterators.
 * @module
 */
import { BaseProxy } from './proxy.js'
import { exposed } from './types.js'
import type { Step } from './values.js'

/**
 * An iterator in a manager's server: what a generator returned, or the keys of a dictionary. It can be
 * iterated with `for` and `for await`, once.
 *
 * Mirrors `managers.IteratorProxy`.
 */
export class IteratorProxy<T = any> extends BaseProxy {
  static override readonly _exposed_: readonly string[] = exposed.Iterator

  /** The next step. @throws What the iterator throws. */
  async next(): Promise<IteratorResult<T, any>> {
    return stepOf(await this._callmethod('__next__'))
  }

  /** The same, blocking. */
  nextSync(): IteratorResult<T, any> {
    return stepOf(this._callmethodSync('__next__'))
  }

  /** Gives a generator a value, and returns its next step. */
  async send(value: unknown): Promise<IteratorResult<T, any>> {
    return stepOf(await this._callmethod('send', [value]))
  }

  /** The same, blocking. */
  sendSync(value: unknown): IteratorResult<T, any> {
    return stepOf(this._callmethodSync('send', [value]))
  }

  /** Throws an error inside a generator, and returns its next step. */
  async throw(error: unknown): Promise<IteratorResult<T, any>> {
    return stepOf(await this._callmethod('throw', [error]))
  }

  /** The same, blocking. */
  throwSync(error: unknown): IteratorResult<T, any> {
    return stepOf(this._callmethodSync('throw', [error]))
  }

  /** Ends a generator. */
  async close(): Promise<void> {
    await this._callmethod('close')
  }

  /** The same, blocking. */
  closeSync(): void {
    this._callmethodSync('close')
  }

  /** For `for`; blocks for each step. */
  *[Symbol.iterator](): Generator<T> {
    for (;;) {
      const { done, value } = this.nextSync()
      if (done) return
      yield value
    }
  }

  /** For `for await`. */
  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    for (;;) {
      const { done, value } = await this.next()
      if (done) return
      yield value
    }
  }
}

const stepOf = ({ done, value }: Step): IteratorResult<any, any> => ({ done, value })
