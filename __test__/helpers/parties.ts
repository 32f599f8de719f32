/** Processes, or threads of this process, that a test works with. */
import test, { type ExecutionContext } from 'ava'
import * as mp from 'node-multiprocessing'
import * as dummy from 'node-multiprocessing/dummy'
import { type Form, forms } from './calls.js'
import { rowInBothForms } from './row.js'
import { underWatchdog } from './watchdog.js'

/** Whether those who take part are processes or threads: the types of the reference's tests. */
export type Kind = 'processes' | 'threads'

/** One who takes part. */
export interface Party {
  /** Resolves, when it has ended, to its exit code. */
  readonly ended: Promise<number | null>
  /** Ends it now, whatever it does. */
  end(): void
}

type Target<Args extends unknown[]> = (...args: Args) => unknown

/** Starts somebody who runs a function. */
export const startParty = <Args extends unknown[]>(
  kind: Kind,
  target: Target<Args>,
  ...args: Args
): Party => {
  const Process = kind === 'processes' ? mp.Process : dummy.Process
  const child = new Process({ target, args, daemon: true })
  child.start()
  const ended = child.join().then(() => {
    const { exitcode } = child
    child.close()
    return exitcode
  })
  return { ended, end: () => child.kill() }
}

/** What a row is run with. */
export interface GivenParties {
  readonly kind: Kind
  readonly form: Form
  /** Starts somebody of the kind that the row is about. */
  readonly start: <Args extends unknown[]>(target: Target<Args>, ...args: Args) => Party
}

type Run = (t: ExecutionContext, given: GivenParties) => Promise<void> | void

const givenOf = (kind: Kind, form: Form): GivenParties => ({
  kind,
  form,
  start: (target, ...args) => startParty(kind, target, ...args),
})

/**
 * Registers a row in both forms of the calls that can block: with processes, once for each start method, and
 * with threads.
 */
export const rowOfBothKinds = (name: string, run: Run): void => {
  rowInBothForms(name, (t, { calls }) => run(t, givenOf('processes', calls.form)))
  for (const form of forms) {
    test.serial(`${name} [threads] ${form} form`, (t) =>
      underWatchdog(() => run(t, givenOf('threads', form))),
    )
  }
}
