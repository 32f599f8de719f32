/**
 * How both ends of a connection prove that they hold the same key, without sending it; the messages are
 * those of CPython, of both generations. `crates/wire/src/challenge.rs` describes them.
 * @module
 */
import { AuthenticationError, ValueError } from './errors.js'
import { native } from './native.js'
import {
  checkedWait,
  clock,
  milliseconds,
  show,
  type TimeoutOptions,
  type WaitOptions,
} from './waiting.js'

const CHALLENGE = Buffer.from('#CHALLENGE#')
const WELCOME = Buffer.from('#WELCOME#')
const FAILURE = Buffer.from('#FAILURE#')

/** The most bytes that a message of these may have. */
export const LONGEST_MESSAGE = 256

/** In the place of a message to send: one is to be received. */
export const RECEIVE = null

/** One side of a challenge: what it sends, and {@link RECEIVE} where it wants the next message. */
export type Talk = Generator<Uint8Array | typeof RECEIVE, void, Uint8Array | undefined>

const received = (message: Uint8Array | undefined): Buffer => {
  const { buffer, byteOffset, byteLength } = message!
  return Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength)
}

/** The side that asks for proof. */
export function* delivering(authkey: Uint8Array, digest = 'sha256'): Talk {
  const challenge = native.newChallenge(digest)
  if (challenge === null) throw new ValueError(`unsupported digest: ${show(digest)}`)
  yield Buffer.concat([CHALLENGE, challenge])
  const response = received(yield RECEIVE)
  const refused = native.refuseAnswer(authkey, challenge, response)
  yield refused === null ? WELCOME : FAILURE
  if (refused !== null) throw new AuthenticationError(refused)
}

/** The side that gives it. */
export function* answering(authkey: Uint8Array): Talk {
  const message = received(yield RECEIVE)
  if (!message.subarray(0, CHALLENGE.length).equals(CHALLENGE)) {
    throw new AuthenticationError(
      `Protocol error, expected challenge: message=${show(message.toString('latin1'))}`,
    )
  }
  yield answerTo(authkey, message.subarray(CHALLENGE.length))
  const verdict = received(yield RECEIVE)
  if (!verdict.equals(WELCOME)) throw new AuthenticationError('digest sent was rejected')
}

const answerTo = (authkey: Uint8Array, challenge: Uint8Array): Uint8Array => {
  try {
    return native.answerToChallenge(authkey, challenge)
  } catch (error) {
    throw new AuthenticationError((error as Error).message)
  }
}

/** What a challenge goes over: a Connection, or what has its calls. */
export interface Challenged {
  sendBytes(bytes: Uint8Array, options: WaitOptions): Promise<void>
  recvBytes(options: { maxLength: number } & WaitOptions): Promise<Uint8Array>
}

/** The same, with calls that block. */
export interface ChallengedSync {
  sendBytesSync(bytes: Uint8Array, options: TimeoutOptions): void
  recvBytesSync(options: { maxLength: number } & TimeoutOptions): Uint8Array
}

/** Goes through with it. */
export const converse = async (
  connection: Challenged,
  talk: Talk,
  { timeout, signal }: WaitOptions,
): Promise<void> => {
  const left = clock(milliseconds(timeout))
  const options = (): WaitOptions => {
    const time = left()
    return { timeout: time < 0 ? null : time, signal }
  }
  for (let step = talk.next(); !step.done; ) {
    if (step.value === RECEIVE) {
      const message = await connection.recvBytes({ maxLength: LONGEST_MESSAGE, ...options() })
      step = talk.next(message)
    } else {
      await connection.sendBytes(step.value, options())
      step = talk.next()
    }
  }
}

/** The same, blocking. */
export const converseSync = (
  connection: ChallengedSync,
  talk: Talk,
  { timeout }: TimeoutOptions,
): void => {
  const left = clock(milliseconds(timeout))
  const options = (): TimeoutOptions => {
    const time = left()
    return { timeout: time < 0 ? null : time }
  }
  for (let step = talk.next(); !step.done; ) {
    if (step.value === RECEIVE) {
      step = talk.next(connection.recvBytesSync({ maxLength: LONGEST_MESSAGE, ...options() }))
    } else {
      connection.sendBytesSync(step.value, options())
      step = talk.next()
    }
  }
}

const checkedKey = (authkey: unknown): Uint8Array => {
  if (authkey instanceof Uint8Array) return authkey
  throw new ValueError(`Authkey must be bytes, not ${show(authkey)}`)
}

/** Which digest {@link deliverChallenge} asks for. */
export interface DigestOptions {
  /** One of md5, sha256, sha384, sha3_256, sha3_384; sha256 if not given. */
  digestName?: string
}

/**
 * Asks the other end to prove that it holds the key; it answers with {@link answerChallenge}, here or in
 * CPython.
 *
 * @throws AuthenticationError when it does not; ValueError for a key that is not bytes, and for a digest
 * that is not allowed; what receiving and sending throw; TimeoutError; the signal's reason.
 *
 * Mirrors `multiprocessing.connection.deliver_challenge`.
 */
export const deliverChallenge = async (
  connection: Challenged,
  authkey: Uint8Array,
  { digestName, ...options }: DigestOptions & WaitOptions = {},
): Promise<void> => {
  const key = checkedKey(authkey)
  checkedWait(options)
  await converse(connection, delivering(key, digestName), options)
}

/** The same, blocking. */
export const deliverChallengeSync = (
  connection: ChallengedSync,
  authkey: Uint8Array,
  { digestName, ...options }: DigestOptions & TimeoutOptions = {},
): void => converseSync(connection, delivering(checkedKey(authkey), digestName), options)

/**
 * Proves to the other end that this one holds the key, when it asks with {@link deliverChallenge}.
 *
 * @throws AuthenticationError when it is not convinced, or asks for what it should not; ValueError for a
 * key that is not bytes; what receiving and sending throw; TimeoutError; the signal's reason.
 *
 * Mirrors `multiprocessing.connection.answer_challenge`.
 */
export const answerChallenge = async (
  connection: Challenged,
  authkey: Uint8Array,
  options: WaitOptions = {},
): Promise<void> => {
  const key = checkedKey(authkey)
  checkedWait(options)
  await converse(connection, answering(key), options)
}

/** The same, blocking. */
export const answerChallengeSync = (
  connection: ChallengedSync,
  authkey: Uint8Array,
  options: TimeoutOptions = {},
): void => converseSync(connection, answering(checkedKey(authkey)), options)

/** The key that a Listener or a Client was given, if any. */
export const keyOf = (authkey: unknown): Uint8Array | undefined => {
  if (authkey === undefined || authkey === null) return undefined
  if (authkey instanceof Uint8Array) return Uint8Array.prototype.slice.call(authkey)
  throw new TypeError('authkey should be a byte string')
}
