/**
 * Notes what a process does that its copies would suffer from, and refuses what they could not live with.
 * A fork server loads this before anything else, so it is a file of its own.
 * @module
 */
import { createRequire, syncBuiltinESMExports } from 'node:module'
import { refuseThreads } from './refuse-threads.js'

const require = createRequire(import.meta.url)

/** What was done. Other modules find it on the global object, as they cannot import this one. */
export interface Noted {
  /** Loader hooks run on a thread of their own, which no copy has. */
  hooks?: boolean
  /** UUIDs were drawn, and Node has drawn more of them in advance. */
  uuids?: boolean
  /** The same of random integers. */
  integers?: boolean
  /** The variable below was set here, for what is loaded before the program. */
  esbuild?: boolean
}

const noted: Noted = {}
Object.assign(globalThis, { [Symbol.for('node-multiprocessing.noted')]: noted })

/** Puts a function in front of a method that does the same, and notes that it was called. */
const note = (holder: object, name: string, as: keyof Noted): void => {
  const methods = holder as Record<string, (...args: unknown[]) => unknown>
  const original = methods[name]
  if (original === undefined) return
  const noting = {
    [name](this: unknown, ...args: unknown[]): unknown {
      noted[as] = true
      return original.apply(this, args)
    },
  }
  methods[name] = noting[name]!
}

note(require('node:module'), 'register', 'hooks')

const crypto = require('node:crypto') as typeof import('node:crypto')
note(crypto, 'randomUUID', 'uuids')
note(crypto, 'randomInt', 'integers')
note(Object.getPrototypeOf(crypto.webcrypto), 'randomUUID', 'uuids')

// A loader that uses esbuild, as tsx does, is to do without esbuild's worker thread, too.
if (process.env.ESBUILD_WORKER_THREADS === undefined) {
  process.env.ESBUILD_WORKER_THREADS = '0'
  noted.esbuild = true
}

refuseThreads(require('node:worker_threads'))
syncBuiltinESMExports()
