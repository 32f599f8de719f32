/**
 * The key that the processes of one program share.
 * @module
 */
import { inspect } from 'node:util'
import { registerReducer } from './codec/index.js'

/**
 * The key with which processes of one program recognise each other. It is a secret: it can be sent to a
 * child that is being started, and nowhere else.
 *
 * Mirrors `multiprocessing.process.AuthenticationString`.
 */
export class AuthenticationString extends Uint8Array<ArrayBuffer> {
  constructor(bytes: Uint8Array) {
    super(new ArrayBuffer(bytes.length))
    this.set(bytes)
  }

  /** Parts and copies of it are plain bytes. */
  static get [Symbol.species](): typeof Uint8Array {
    return Uint8Array
  }

  /** How it looks in the console: its length alone. */
  [inspect.custom](): string {
    return `<AuthenticationString of ${this.length} bytes>`
  }
}

registerReducer(AuthenticationString, {
  name: 'process.AuthenticationString',
  trustedOnly: true,
  reduce() {
    throw new TypeError(
      'an AuthenticationString is a secret, and is sent only to children as they start',
    )
  },
  rebuild: () => new AuthenticationString(new Uint8Array(0)),
})
