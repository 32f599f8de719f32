/**
 * The process that started this one.
 * @module
 */
import { inspect } from 'node:util'
import { wait, waitSync } from './wait.js'
import { type TimeoutOptions, type WaitOptions, waitOptions } from './waiting.js'

/** The parent, seen from a child: it can be waited for, and nothing else. */
export class ParentProcess {
  /** Its name. */
  readonly name: string
  /** Its process id. */
  readonly pid: number
  readonly #descriptor: number

  /** @internal `descriptor` reads its end when the parent has ended. */
  constructor(name: string, pid: number, descriptor: number) {
    this.name = name
    this.pid = pid
    this.#descriptor = descriptor
  }

  /** The same as {@link ParentProcess.pid}. */
  get ident(): number {
    return this.pid
  }

  /** Becomes readable when the parent has ended. */
  get sentinel(): number {
    return this.#descriptor
  }

  /** Whether it has not ended. */
  isAlive(): boolean {
    return waitSync([this.#descriptor], { timeout: 0 }).length === 0
  }

  /** Waits until it has ended, or for so long. */
  async join(options: number | null | WaitOptions = {}): Promise<void> {
    await wait([this.#descriptor], waitOptions(options))
  }

  /** The same, blocking. */
  joinSync(options: number | null | TimeoutOptions = {}): void {
    waitSync([this.#descriptor], waitOptions(options))
  }

  /** As the reference prints it. */
  toString(): string {
    return `<ParentProcess name='${this.name}' parent=None unknown>`
  }

  /** How it looks in the console. */
  [inspect.custom](): string {
    return this.toString()
  }
}
