/** Rows that are run through a manager, in both forms of the calls that can block. */
import type { ExecutionContext } from 'ava'
import type { SyncManager } from 'node-multiprocessing/managers'
import { calling } from './calling.js'
import { type GivenCalls, rowInBothForms } from './row.js'

/** What a row through a manager is run with. */
export interface GivenManager extends GivenCalls {
  readonly manager: SyncManager
  /** Calls a method in the row's form. */
  readonly call: ReturnType<typeof calling>
  /** Runs a function in a process of the row's start method, and waits for its end: its exit code. */
  run(target: (...args: any[]) => unknown, ...args: unknown[]): Promise<number | null>
}

/** Registers a row once for each start method and form, each with a manager of its own. */
export const managedRow = (
  name: string,
  run: (t: ExecutionContext, given: GivenManager) => Promise<void>,
): void => {
  rowInBothForms(`${name} through a manager`, async (t, given) => {
    const { context, calls } = given
    const call = calling(calls.form)
    const manager: SyncManager = await call(context, 'Manager')
    try {
      await run(t, {
        ...given,
        manager,
        call,
        async run(target, ...args) {
          const process = new context.Process({ target, args, daemon: true })
          process.start()
          await calls.join(process)
          const { exitcode } = process
          process.close()
          return exitcode
        },
      })
    } finally {
      await call(manager, 'shutdown')
      manager._process?.close()
    }
  })
}
