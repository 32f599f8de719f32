/**
 * What a process that is to be forked must not do: start threads that its program would wait for. A fork
 * server loads this before anything else, so it is a file of its own.
 * @module
 */
import { createRequire, syncBuiltinESMExports } from 'node:module'

const require = createRequire(import.meta.url)

/** Set once loader hooks run on a thread of their own; `forkserver-main.ts` reads it. */
const mark = globalThis as { [HOOKS]?: boolean }
const HOOKS = Symbol.for('node-multiprocessing.hooks-on-a-thread')

const module = require('node:module') as { register?: (...args: unknown[]) => unknown }
const { register } = module
if (register) {
  module.register = (...args) => {
    mark[HOOKS] = true
    return register.apply(module, args)
  }
}

const threads = require('node:worker_threads') as { Worker: new (...args: any[]) => object }
threads.Worker = new Proxy(threads.Worker, {
  construct() {
    throw new Error(
      'worker threads cannot be used in a process that was made by a fork: start a Process instead, ' +
        "or start this one by the method 'spawn', as getContext('spawn') does",
    )
  },
})
syncBuiltinESMExports()
