/** Another process that functions are sent to, and come back from. */
import * as mp from 'node-multiprocessing'
import type { Connection } from 'node-multiprocessing/connection'
import { echo, type Reply, type Use } from '../fixtures/functions-echo.js'

/** Another process, which uses the functions it gets and sends them back. */
export class OtherSide {
  readonly #connection: Connection
  readonly #process: mp.Process

  constructor(form: 'recv' | 'recvSync' = 'recv') {
    const [ours, theirs] = mp.Pipe()
    this.#connection = ours
    this.#process = new mp.Process({ target: echo, args: [theirs, form], daemon: true })
    this.#process.start()
    theirs.close()
  }

  /** Sends a function and what is to be done with it; gives what came of it. */
  async ask(fn: unknown, use: Use = 'call', ...args: unknown[]): Promise<Reply> {
    await this.#connection.send({ fn, use, args })
    return this.#connection.recv<Reply>()
  }

  async end(): Promise<void> {
    this.#connection.close()
    await this.#process.join()
  }
}

/** Runs with another process, and ends it. */
export const withOtherSide = async (
  work: (other: OtherSide) => Promise<void>,
  form: 'recv' | 'recvSync' = 'recv',
): Promise<void> => {
  const other = new OtherSide(form)
  try {
    await work(other)
  } finally {
    await other.end()
  }
}
