/**
 * What a pool's worker does, in its own process.
 * @module
 */
import { inspect } from 'node:util'
import type { Connection } from './connection.js'
import { EOFError, MaybeEncodingError, PicklingError } from './errors.js'

/** How a task's items are passed to its function: each as one argument, or as all of them. */
export type TaskKind = 'map' | 'starmap'

/** A chunk, as it travels. */
export interface Task {
  readonly kind: TaskKind
  readonly fn: (...args: any[]) => unknown
  readonly items: unknown[]
}

/** A chunk's outcome, as it travels. */
export type Answer =
  | { readonly ok: true; readonly values: unknown[] }
  | { readonly ok: false; readonly error: unknown; readonly stack?: string | undefined }

/** What a worker sends first, when it can take tasks. */
export const READY = 'ready'

/** Takes tasks and answers them in order until there are no more. */
export const poolWorkerMain = async (
  connection: Connection,
  initializer: ((...args: unknown[]) => unknown) | null,
  initargs: unknown[],
): Promise<void> => {
  await initializer?.(...initargs)
  await connection.send(READY)
  for (;;) {
    let answer: Answer
    try {
      answer = await perform(await connection.recv<Task>())
    } catch (error) {
      if (error instanceof EOFError) return
      // The task could not be rebuilt: that is its outcome.
      answer = failure(error)
    }
    await reply(connection, answer)
  }
}

const perform = async ({ kind, fn, items }: Task): Promise<Answer> => {
  try {
    const values = new Array<unknown>(items.length)
    for (let i = 0; i < items.length; i++) {
      const value = kind === 'map' ? fn(items[i]) : fn(...(items[i] as unknown[]))
      values[i] = value instanceof Promise ? await value : value
    }
    return { ok: true, values }
  } catch (error) {
    return failure(error)
  }
}

const failure = (error: unknown): Answer => ({
  ok: false,
  error,
  stack: error instanceof Error ? error.stack : undefined,
})

const reply = async (connection: Connection, answer: Answer): Promise<void> => {
  try {
    await connection.send(answer)
  } catch (error) {
    if (!(error instanceof PicklingError)) throw error
    const culprit = answer.ok ? answer.values : answer.error
    await connection.send(failure(new MaybeEncodingError(error.message, inspect(culprit))))
  }
}
