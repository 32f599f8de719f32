/**
 * Keeps a process that was made by a fork from having threads of Node's: V8 was told that there are none.
 * @module
 */
import type { Worker } from 'node:worker_threads'

type Class = new (...args: unknown[]) => object

/** `new Worker()` throws from now on, whoever has got hold of the class, and so do its subclasses. */
export const refuseThreads = (threads: { readonly Worker: typeof Worker }): void => {
  const base = Object.getPrototypeOf(threads.Worker) as Class
  Object.setPrototypeOf(threads.Worker, new Proxy(base, { construct: refuse }))
}

/** Node's own class, whose thread loader hooks run on: that is dealt with where they are registered. */
const OF_NODE = 'InternalWorker'

const refuse = (base: Class, args: unknown[], made: Function): object => {
  if (made.name === OF_NODE) return Reflect.construct(base, args, made)
  throw new Error(
    'worker threads cannot be used in a process that was made by a fork: start a Process instead, ' +
      "or start this one by the method 'spawn', as getContext('spawn') does",
  )
}
