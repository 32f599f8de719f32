/**
 * The referents of a manager's server, and who refers to them.
 * @module
 */
import { KeyError } from '../errors.js'
import type { Session } from './session.js'

/** How long what was sent, and has not arrived anywhere, is kept, in milliseconds. */
const TRANSIT = 60_000

/** A referent. */
export class Entry {
  readonly ident: string
  readonly typeid: string
  readonly object: unknown
  /** The methods that may be called, in the order in which they were named. */
  readonly exposed: readonly string[]
  readonly allowed: ReadonlySet<string>
  /** Which of them return something to be shared, and of which type. */
  readonly methodToTypeid: Readonly<Record<string, string>>
  /** How many references clients have. */
  count = 0
  /** Whether the server's own objects may refer to it, which nobody counts. */
  local = false

  constructor(
    ident: string,
    typeid: string,
    object: unknown,
    exposed: readonly string[],
    methodToTypeid: Readonly<Record<string, string>> | null,
  ) {
    this.ident = ident
    this.typeid = typeid
    this.object = object
    this.exposed = exposed
    this.allowed = new Set(exposed)
    this.methodToTypeid = methodToTypeid ?? {}
  }
}

/** All of them. */
export class Referents {
  /** What clients refer to is held; what only objects of the server can refer to goes with these. */
  readonly #entries = new Map<string, Entry | WeakRef<Entry>>()
  readonly #collected = new FinalizationRegistry((ident: string) => {
    if (this.get(ident) === undefined) this.#entries.delete(ident)
  })
  /** What is on its way: until when. */
  readonly #lent = new Map<string, { ident: string; until: number }>()
  /** What arrived before it was said to be on its way. */
  readonly #early = new Map<string, number>()
  #sweeper: NodeJS.Timeout | undefined
  #made = 0

  /** Takes in something new, which nobody refers to yet. */
  add(
    typeid: string,
    object: unknown,
    exposed: readonly string[],
    methodToTypeid: Readonly<Record<string, string>> | null,
  ): Entry {
    const ident = (0x7f00_0000_1000 + 16 * this.#made++).toString(16)
    const entry = new Entry(ident, typeid, object, exposed, methodToTypeid)
    this.#entries.set(ident, entry)
    return entry
  }

  /** A referent, if it is there. */
  get(ident: string): Entry | undefined {
    const found = this.#entries.get(ident)
    return found instanceof WeakRef ? found.deref() : found
  }

  /** All that are there. */
  all(): Entry[] {
    return [...this.#entries.keys()]
      .map((ident) => this.get(ident))
      .filter((entry) => entry !== undefined)
  }

  /** How many there are. */
  get size(): number {
    return this.all().length
  }

  /** A client refers to it once more. @throws KeyError for what is not there. */
  refer(session: Session, ident: string): void {
    const entry = this.get(ident)
    if (entry === undefined) throw new KeyError(`there is no referent ${ident}`)
    this.#hold(entry)
    session.references.set(ident, (session.references.get(ident) ?? 0) + 1)
  }

  /** A client refers to it once less. @throws KeyError for what it does not refer to. */
  letGo(session: Session, ident: string): void {
    const count = session.references.get(ident)
    if (count === undefined) throw new KeyError(`there is no reference to ${ident}`)
    if (count === 1) session.references.delete(ident)
    else session.references.set(ident, count - 1)
    this.#drop(ident, 1)
  }

  /** A client is gone, and with it all that it refers to. */
  leave(session: Session): void {
    for (const [ident, count] of session.references) this.#drop(ident, count)
    session.references.clear()
  }

  /** A proxy has been sent somewhere: what it refers to stays until that has arrived, for a while. */
  lend(ident: string, token: string): void {
    if (this.#early.delete(token)) return
    const entry = this.get(ident)
    if (entry === undefined) return
    this.#hold(entry)
    this.#lent.set(token, { ident, until: performance.now() + TRANSIT })
    this.#sweepLater()
  }

  /** It has arrived, and its receiver refers to it now. */
  arrive(session: Session, ident: string, token: string): void {
    this.refer(session, ident)
    if (token !== '') this.arrived(token)
  }

  /** It has arrived. */
  arrived(token: string): void {
    const lent = this.#lent.get(token)
    if (lent === undefined) {
      this.#early.set(token, performance.now() + TRANSIT)
      this.#sweepLater()
      return
    }
    this.#lent.delete(token)
    this.#drop(lent.ident, 1)
  }

  /** Lets go of everything. */
  clear(): void {
    clearTimeout(this.#sweeper)
    for (const { object } of this.all()) dispose(object)
    this.#entries.clear()
  }

  #hold(entry: Entry): void {
    if (entry.count++ === 0) this.#entries.set(entry.ident, entry)
  }

  #drop(ident: string, count: number): void {
    const entry = this.get(ident)
    if (entry === undefined) return
    entry.count -= count
    if (entry.count > 0) return
    if (entry.local) {
      this.#entries.set(ident, new WeakRef(entry))
      this.#collected.register(entry, ident)
      return
    }
    this.#entries.delete(ident)
    dispose(entry.object)
  }

  #sweepLater(): void {
    this.#sweeper ??= setTimeout(() => this.#sweep(), TRANSIT / 2).unref()
  }

  #sweep(): void {
    this.#sweeper = undefined
    const now = performance.now()
    for (const [token, { ident, until }] of this.#lent) {
      if (until > now) continue
      this.#lent.delete(token)
      this.#drop(ident, 1)
    }
    for (const [token, until] of this.#early) if (until <= now) this.#early.delete(token)
    if (this.#lent.size > 0 || this.#early.size > 0) this.#sweepLater()
  }
}

const dispose = (object: unknown): void => {
  const own = typeof object === 'object' && object !== null
  if (own && OWNED in object) (object as { [OWNED](): void })[OWNED]()
}

/** What is called of a referent of the package's when nobody refers to it any more. */
export const OWNED = Symbol('released')
