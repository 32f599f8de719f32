/**
 * Where a spawned child begins, and the fork server, and a thread of ours. Compiling this package is a third
 * of what loading it costs, so what V8 has made of it in one child is handed to the next ones, in memory.
 * @module
 */
import { readFileSync, readSync } from 'node:fs'
import { createRequire, Module } from 'node:module'
import { dirname, join } from 'node:path'
import { Script } from 'node:vm'
import type { Noted } from './fork-guard.js'
import type * as ForkServerMain from './forkserver-main.js'
import type * as Spawned from './spawned.js'
import type * as Thread from './thread.js'

const told = process.argv.at(-1)

/** The descriptor with the compiled code: its length in 8 bytes, 0 while there is none; then it. */
const CODE_CACHE = told === 'thread' ? Number(process.argv.at(-2)) : 6
const LENGTH = 8

/** Reads what is at a place of the file; nothing when it is not all there. */
const readAt = (position: number, length: number): Buffer | undefined => {
  const bytes = Buffer.allocUnsafe(length)
  return readSync(CODE_CACHE, bytes, 0, length, position) === length ? bytes : undefined
}

const cached = (): Buffer | undefined => {
  const length = Number(readAt(0, LENGTH)?.readBigUInt64LE() ?? 0n)
  return length > 0 ? readAt(LENGTH, length) : undefined
}

type Wrapper = (
  exports: unknown,
  require: NodeJS.Require,
  module: Module,
  filename: string,
  dirname: string,
) => void

const folder = dirname(process.argv[1]!)
const filename = join(folder, 'multiprocessing.cjs')
const require = createRequire(filename)

const NOTED = Symbol.for('node-multiprocessing.noted')
if (told === 'forkserver') {
  // Unless it was loaded before whatever else node was told to load; see `forkserver.ts`.
  require('./fork-guard.cjs')
  const noted = (globalThis as { [NOTED]?: Noted })[NOTED]
  if (noted?.esbuild) delete process.env.ESBUILD_WORKER_THREADS
}

/** Loads the package's one large file as `require` would, but for where its code comes from. */
const load = (): Script => {
  const cachedData = cached()
  // It is all ASCII.
  const script = new Script(Module.wrap(readFileSync(filename, 'latin1')), {
    filename,
    ...(cachedData ? { cachedData } : {}),
  })
  const module = new Module(filename)
  module.filename = filename
  require.cache[filename] = module
  const wrapper = script.runInThisContext() as Wrapper
  wrapper.call(module.exports, module.exports, require, module, filename, folder)
  module.loaded = true
  return script
}

// A module that node was told to load before may have loaded this package already.
const script = require.cache[filename] ? undefined : load()
// Without a cache, or with one that another version of node made, this child makes one.
const wanted = script !== undefined && script.cachedDataRejected !== false
const compiledCode = wanted ? () => script.createCachedData() : undefined
if (told === 'forkserver') {
  const { runForkServer } = require('./forkserver-main.cjs') as typeof ForkServerMain
  void runForkServer(compiledCode)
} else if (told === 'thread') {
  const { runThread } = require('./thread.cjs') as typeof Thread
  void runThread(CODE_CACHE, compiledCode)
} else {
  const { runSpawned } = require('./spawned.cjs') as typeof Spawned
  void runSpawned(Number(told), compiledCode)
}
