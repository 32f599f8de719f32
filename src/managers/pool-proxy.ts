/**
 * Proxies for pools.
 * @module
 */
import type { Callbacks } from '../async-result.js'
import type { AsyncMapOptions } from '../pool.js'
import type { Both, Spellings } from './calls.js'
import type { IteratorProxy } from './iterator-proxy.js'
import { inSeconds } from './lock-proxies.js'
import { BaseProxy, SPELLINGS } from './proxy.js'
import { exposed } from './types.js'

type AnyFunction = (...args: any[]) => unknown

/** What can be done with the outcome of a call that was not waited for: each in both forms. */
export interface AsyncResultCalls {
  /** The result. @throws What the call threw; TimeoutError when the time, in milliseconds, is over. */
  get(options?: { timeout?: number | null } | number | null): any
  /** Waits until it is there, or the time is over. */
  wait(options?: { timeout?: number | null } | number | null): void
  /** Whether it is there. */
  ready(): boolean
  /** Whether the call threw nothing. @throws ValueError when it is not there. */
  successful(): boolean
}

const waiting = ([options]: any[]): unknown[] => {
  const timeout = typeof options === 'object' && options !== null ? options.timeout : options
  const seconds = inSeconds(timeout)
  return seconds === null ? [] : [seconds]
}

export interface AsyncResultProxy extends Both<AsyncResultCalls> {}

/** The outcome of a call of a pool in a manager's server. */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: the methods are defined from the table.
export class AsyncResultProxy extends BaseProxy {
  static override readonly _exposed_: readonly string[] = exposed.AsyncResult
  /** @internal */
  static readonly [SPELLINGS]: Spellings = {
    get: { method: 'get', args: waiting },
    wait: { method: 'wait', args: waiting },
    ready: 'ready',
    successful: 'successful',
  }
}

Object.defineProperty(AsyncResultProxy, 'name', { value: 'AutoProxy[AsyncResult]' })

/** What can be done with a pool: each in a Promise and a Sync form; see {@link Pool}. */
export interface PoolCalls {
  /** Calls a function once, in a worker. */
  apply(fn: AnyFunction, args?: readonly unknown[], kwargs?: object): any
  /** Calls a function with each item. */
  map(fn: AnyFunction, iterable: Iterable<unknown>, chunksize?: number | null): any[]
  /** The same, each item being the list of the arguments. */
  starmap(fn: AnyFunction, iterable: Iterable<readonly unknown[]>, chunksize?: number | null): any[]
  /** As {@link PoolCalls.apply}, without waiting for the outcome; and so the two others. Callbacks run in the server. */
  applyAsync(
    fn: AnyFunction,
    args?: readonly unknown[],
    kwargs?: object,
    options?: Callbacks<any>,
  ): AsyncResultProxy
  mapAsync(
    fn: AnyFunction,
    iterable: Iterable<unknown>,
    options?: number | null | AsyncMapOptions<any>,
  ): AsyncResultProxy
  starmapAsync(
    fn: AnyFunction,
    iterable: Iterable<readonly unknown[]>,
    options?: number | null | AsyncMapOptions<any>,
  ): AsyncResultProxy
  /** The results one by one, in the order of the items. */
  imap(fn: AnyFunction, iterable: Iterable<unknown>, chunksize?: number): IteratorProxy
  /** The results one by one. */
  imapUnordered(fn: AnyFunction, iterable: Iterable<unknown>, chunksize?: number): IteratorProxy
  /** Takes no more calls. */
  close(): void
  /** Ends the workers at once. */
  terminate(): void
  /** Waits until the workers have ended. */
  join(): void
}

export interface PoolProxy extends Both<PoolCalls> {}

const withList = ([fn, iterable, ...rest]: any[]): unknown[] => [fn, [...iterable], ...rest]

/**
 * A pool in a manager's server: the workers are that one's children, and any process may give them calls.
 *
 * Mirrors `managers.PoolProxy`.
 */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: the methods are defined from the table.
export class PoolProxy extends BaseProxy {
  static override readonly _exposed_: readonly string[] = exposed.Pool
  static override readonly _methodToTypeid_: Readonly<Record<string, string>> = {
    apply_async: 'AsyncResult',
    map_async: 'AsyncResult',
    starmap_async: 'AsyncResult',
    imap: 'Iterator',
    imap_unordered: 'Iterator',
  }
  /** @internal */
  static readonly [SPELLINGS]: Spellings = {
    apply: 'apply',
    map: { method: 'map', args: withList },
    starmap: { method: 'starmap', args: withList },
    applyAsync: 'apply_async',
    mapAsync: { method: 'map_async', args: withList },
    starmapAsync: { method: 'starmap_async', args: withList },
    imap: { method: 'imap', args: withList },
    imapUnordered: { method: 'imap_unordered', args: withList },
    close: 'close',
    terminate: 'terminate',
    join: 'join',
  }

  /** Terminates the pool, as leaving Python's `with` does. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.terminate()
  }
}
