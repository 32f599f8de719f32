/**
 * The methods of proxies: each in a Promise form and a Sync form, from one table.
 * @module
 */

/** The methods of `Calls`, in both forms: `get` returns a Promise, `getSync` blocks. */
export type Both<Calls> = {
  [K in keyof Calls]: Calls[K] extends (...args: infer A) => infer R
    ? (...args: A) => Promise<Awaited<R>>
    : never
} & {
  [K in keyof Calls & string as `${K}Sync`]: Calls[K] extends (...args: infer A) => infer R
    ? (...args: A) => Awaited<R>
    : never
}

/** How a method is called: under which name, and with what made of its arguments. */
export interface Spelling {
  readonly method: string
  readonly args?: (args: any[]) => unknown[]
  readonly result?: (result: any) => unknown
}

/** For each method its name on the way, or more. */
export type Spellings = Readonly<Record<string, string | Spelling>>

/** What can call the methods of a referent. */
export interface Caller {
  _callmethod(
    method: string,
    args?: readonly unknown[],
    kwds?: object,
    options?: object,
  ): Promise<any>
  _callmethodSync(method: string, args?: readonly unknown[], kwds?: object): any
}

const same = (args: unknown[]): unknown[] => args

const define = (prototype: object, name: string, value: unknown): void => {
  if (Object.hasOwn(prototype, name)) return
  Object.defineProperty(prototype, name, { value, configurable: true, writable: true })
  Object.defineProperty(value, 'name', { value: name })
}

/** The signal among a call's options, which concerns the caller alone. */
const signalIn = (args: readonly unknown[]): AbortSignal | undefined => {
  const last = args.at(-1)
  const signal =
    typeof last === 'object' && last !== null ? (last as { signal?: unknown }).signal : undefined
  return signal instanceof AbortSignal ? signal : undefined
}

/** Gives a class of proxies its methods. */
export const defineCalls = (prototype: object, spellings: Spellings): void => {
  for (const [name, spelled] of Object.entries(spellings)) {
    const {
      method,
      args = same,
      result,
    } = typeof spelled === 'string' ? { method: spelled } : spelled
    if (args === same && result === undefined) {
      define(prototype, name, function (this: Caller, ...given: unknown[]) {
        return this._callmethod(method, given)
      })
      define(prototype, `${name}Sync`, function (this: Caller, ...given: unknown[]) {
        return this._callmethodSync(method, given)
      })
      continue
    }
    const made = result ?? ((value: unknown) => value)
    define(prototype, name, async function (this: Caller, ...given: unknown[]) {
      const signal = signalIn(given)
      const options = signal === undefined ? undefined : { signal }
      return made(await this._callmethod(method, args(given), undefined, options))
    })
    define(prototype, `${name}Sync`, function (this: Caller, ...given: unknown[]) {
      return made(this._callmethodSync(method, args(given)))
    })
  }
}

/** A name of Python's as one of JavaScript's: `put_nowait` is `putNowait`, `__len__` is `len`. */
export const camelCase = (name: string): string =>
  name
    .replace(/^__(.+)__$/, '$1')
    .replace(/(?<=[a-z\d])_([a-z\d])/g, (_, letter: string) => letter.toUpperCase())
