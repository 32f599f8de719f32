/**
 * Where those who connect are received: a listening socket, and the handshakes with those who have come.
 * All handshakes go on at once, so one who says nothing holds up nobody else.
 * @module
 */
import { type Address, addressFrom } from './address.js'
import { answering, delivering, LONGEST_MESSAGE, RECEIVE, type Talk } from './challenge.js'
import { Connection } from './connection.js'
import { AuthenticationError, OSError, TimeoutError } from './errors.js'
import { debug } from './logger.js'
import { native } from './native.js'
import { errorOf, NOT_YET } from './native-status.js'
import type { Serializer } from './serializer.js'
import { atOnce, type Clock, clock, endEarly, FOREVER, type WaitOptions } from './waiting.js'
import { READABLE, Watcher } from './watcher.js'

/** How many handshakes go on at once; who was there first goes when there are more. */
const MOST_GUESTS = 500

/** Somebody who has been let in. */
export interface Arrival {
  readonly connection: Connection
  readonly from: Address
}

/** Somebody who has connected and has not proved yet that he holds the key. */
interface Guest extends Arrival {
  readonly talk: Talk
  step: ReturnType<Talk['next']>
  /** When the patience with him ends, as of `performance.now()`. */
  end: number
  stopTimer: () => void
  stopWatching: () => void
}

interface Waiter {
  /** What must not be collected while somebody waits. */
  readonly owner: object
  settle(arrival: Arrival): void
  fail(error: unknown): void
}

interface Poller {
  settle(): void
  fail(error: unknown): void
}

function* handshake(authkey: Uint8Array): Talk {
  yield* delivering(authkey)
  yield* answering(authkey)
}

/** What is wrong with what a peer said; nothing when it is not what was said. */
const refusalOf = (error: unknown): AuthenticationError | undefined => {
  if (error instanceof AuthenticationError) return error
  if (!(error instanceof OSError) || error.message !== 'bad message length') return undefined
  return new AuthenticationError(error.message, { cause: error })
}

const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : 'it said nothing'

const nothing = (): void => {}

/** What holds for everybody who comes. */
export interface House {
  readonly authkey: Uint8Array | undefined
  /** How long proving to hold it may take, in milliseconds. */
  readonly patience: number
  readonly serializer: Serializer
}

/** A listening socket with all who wait at it, on both sides. */
export class Reception {
  /** The descriptor, which belongs to it. */
  readonly fd: number
  readonly #authkey: Uint8Array | undefined
  readonly #patience: number
  readonly #serializer: Serializer
  readonly #guests = new Set<Guest>()
  readonly #arrivals: Arrival[] = []
  readonly #waiters: Waiter[] = []
  readonly #pollers: Poller[] = []
  #watcher: Watcher | undefined
  #closed = false

  constructor(fd: number, { authkey, patience, serializer }: House) {
    this.fd = fd
    this.#authkey = authkey
    this.#patience = patience
    this.#serializer = serializer
  }

  /** Whether somebody has been let in whom nobody has taken yet. */
  get hasArrivals(): boolean {
    return this.#arrivals.length > 0
  }

  /** The next one who is let in. */
  async accept(owner: object, options: WaitOptions): Promise<Arrival> {
    const early = this.#waiters.length === 0 ? this.#arrivals.shift() : undefined
    if (early !== undefined) return early
    return await new Promise<Arrival>((resolve, reject) => {
      const stop = endEarly(options, (reason) => {
        const place = this.#waiters.indexOf(waiter)
        if (place >= 0) this.#waiters.splice(place, 1)
        this.#want()
        reject(reason)
      })
      const waiter: Waiter = {
        owner,
        settle(arrival) {
          stop()
          resolve(arrival)
        },
        fail(error) {
          stop()
          reject(error)
        },
      }
      this.#waiters.push(waiter)
      this.#receive()
      this.#want()
    })
  }

  /** The same, blocking; nothing when the time is over. */
  acceptSync(left: Clock): Arrival | undefined {
    const slice = atOnce(left)
    let taken: Arrival | undefined
    let failed: { error: unknown } | undefined
    const waiter: Waiter = {
      owner: this,
      settle: (arrival) => {
        taken = arrival
      },
      fail: (error) => {
        failed = { error }
      },
    }
    this.#waiters.push(waiter)
    try {
      this.#hand()
      while (taken === undefined && failed === undefined) {
        for (const guest of [...this.#guests]) this.#attend(guest)
        if (taken === undefined && failed === undefined) this.#receive()
        if (taken !== undefined || failed !== undefined || left() === 0) break
        this.#sleep(slice())
      }
    } finally {
      const place = this.#waiters.indexOf(waiter)
      if (place >= 0) this.#waiters.splice(place, 1)
      this.#want()
    }
    if (failed !== undefined) throw failed.error
    return taken
  }

  /** Calls one of the two when there may be somebody; what is returned calls it off. */
  whenReadable(settle: () => void, fail: (error: unknown) => void): () => void {
    const poller: Poller = { settle, fail }
    this.#pollers.push(poller)
    this.#want()
    return () => {
      const place = this.#pollers.indexOf(poller)
      if (place >= 0) this.#pollers.splice(place, 1)
      this.#want()
    }
  }

  /** Sends everybody away; who waits is told. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#watcher?.close()
    native.closeDescriptor(this.fd)
    for (const guest of [...this.#guests]) this.#dismiss(guest)
    for (const { connection } of this.#arrivals.splice(0)) connection.close()
    const closed = new OSError('listener is closed')
    for (const waiter of this.#waiters.splice(0)) waiter.fail(closed)
    for (const poller of this.#pollers.splice(0)) poller.fail(closed)
  }

  /** Blocks until there is something to do. */
  #sleep(time: number): void {
    const guests = [...this.#guests]
    const first = guests[0]?.end ?? Number.POSITIVE_INFINITY
    const patience = Math.max(0, first - performance.now())
    const atMost = time === FOREVER ? patience : Math.min(time, patience)
    const fds = guests.map(({ connection }) => connection.fileno())
    const [ready] = native.waitReady(
      [this.fd, ...fds],
      [],
      atMost === Number.POSITIVE_INFINITY ? FOREVER : atMost,
    )
    if (ready !== undefined && ready < 0) throw errorOf(ready, 'poll')
  }

  /** Takes those who have connected. Without a key, no more than somebody waits for. */
  #receive(): void {
    while (!this.#closed && this.#waiters.length > 0) {
      const { fd, from } = native.acceptConnection(this.fd)
      if (fd === NOT_YET) return
      if (fd < 0) {
        // Where there are no descriptors left, those who hold some without right go first.
        if (this.#dismissFirst()) continue
        this.#waiters.shift()!.fail(errorOf(fd, 'accept'))
        return
      }
      this.#greet(fd, addressFrom(from!))
    }
  }

  #greet(fd: number, from: Address): void {
    const connection = new Connection(fd, {
      trusted: this.#authkey !== undefined,
      serializer: this.#serializer,
    })
    if (this.#authkey === undefined) {
      this.#arrivals.push({ connection, from })
      this.#hand()
      return
    }
    if (this.#guests.size >= MOST_GUESTS) this.#dismissFirst()
    const talk = handshake(this.#authkey)
    const end = performance.now() + this.#patience
    const guest: Guest = {
      connection,
      from,
      talk,
      step: talk.next(),
      end,
      stopTimer: nothing,
      stopWatching: nothing,
    }
    this.#guests.add(guest)
    guest.stopTimer = endEarly({ timeout: this.#patience }, () => {
      // Timers may come a little early, and come once.
      guest.end = Number.NEGATIVE_INFINITY
      this.#attend(guest)
    })
    this.#attend(guest)
  }

  /** Goes on with a handshake as far as what has come allows. */
  #attend(guest: Guest): void {
    if (!this.#guests.has(guest)) return
    guest.stopWatching()
    guest.stopWatching = nothing
    try {
      while (!guest.step.done) {
        const { value } = guest.step
        if (value === RECEIVE) {
          const wanted = { maxLength: LONGEST_MESSAGE, timeout: 0 }
          guest.step = guest.talk.next(guest.connection.recvBytesSync(wanted))
        } else {
          guest.connection.sendBytesSync(value, { timeout: 0 })
          guest.step = guest.talk.next()
        }
      }
      this.#admit(guest)
    } catch (error) {
      if (!(error instanceof TimeoutError)) this.#refuse(guest, error)
      else if (guest.end <= performance.now()) this.#refuse(guest, undefined)
      else this.#watch(guest)
    }
  }

  #watch(guest: Guest): void {
    const attend = (): void => {
      this.#attend(guest)
      this.#want()
    }
    guest.stopWatching = guest.connection.stream.whenReadable(attend, nothing)
  }

  #admit(guest: Guest): void {
    this.#guests.delete(guest)
    guest.stopTimer()
    this.#arrivals.push(guest)
    this.#hand()
  }

  /** Who has said something wrong is an error for whoever accepts; who said nothing, or left, is nobody. */
  #refuse(guest: Guest, error: unknown): void {
    this.#dismiss(guest)
    const refusal = refusalOf(error)
    const waiter = refusal === undefined ? undefined : this.#waiters.shift()
    if (waiter !== undefined) waiter.fail(refusal)
    else debug('a peer was sent away: %s', messageOf(error))
  }

  #dismiss(guest: Guest): void {
    this.#guests.delete(guest)
    guest.stopTimer()
    guest.stopWatching()
    guest.connection.close()
  }

  #dismissFirst(): boolean {
    const [first] = this.#guests
    if (first === undefined) return false
    debug('a peer was sent away: there are too many')
    this.#dismiss(first)
    return true
  }

  /** Gives those who were let in to those who wait for them. */
  #hand(): void {
    while (this.#arrivals.length > 0 && this.#waiters.length > 0) {
      this.#waiters.shift()!.settle(this.#arrivals.shift()!)
    }
    if (this.#arrivals.length > 0) this.#tell()
  }

  #tell(): void {
    for (const poller of this.#pollers.splice(0)) poller.settle()
  }

  #want(): void {
    if (this.#closed) return
    const wanted = this.#waiters.length > 0 || this.#pollers.length > 0
    if (!wanted && this.#watcher === undefined) return
    this.#watcher ??= new Watcher(this.fd, () => {
      this.#receive()
      this.#tell()
      this.#want()
    })
    this.#watcher.want(wanted ? READABLE : 0)
  }
}

/** Waits for somebody, blocking. */
export const acceptSync = (reception: Reception, timeout: number): Arrival => {
  const arrival = reception.acceptSync(clock(timeout))
  if (arrival === undefined) throw new TimeoutError()
  return arrival
}
