/** Processes, or threads of this process, that a test works with. */
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import test, { type ExecutionContext } from 'ava'
import * as mp from 'node-multiprocessing'
import { DupFd } from 'node-multiprocessing/reduction'
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

const startProcess = <Args extends unknown[]>(target: Target<Args>, args: Args): Party => {
  const child = new mp.Process({ target, args, daemon: true })
  child.start()
  const ended = child.join().then(() => {
    const { exitcode } = child
    child.close()
    return exitcode
  })
  return { ended, end: () => child.kill() }
}

const startThread = <Args extends unknown[]>(target: Target<Args>, args: Args): Party => {
  const [ours, theirs] = mp.Pipe()
  const trusted = ours
  const worker = new Worker(new URL('./thread-main.js', import.meta.url), {
    workerData: new DupFd(theirs.fileno()).detach(),
  })
  theirs.close()
  trusted.sendSync({ target, args })
  trusted.close()
  const ended = once(worker, 'exit').then(([code]) => code as number)
  return { ended, end: () => void worker.terminate() }
}

/** Starts somebody who runs a function. */
export const startParty = <Args extends unknown[]>(
  kind: Kind,
  target: Target<Args>,
  ...args: Args
): Party => (kind === 'processes' ? startProcess(target, args) : startThread(target, args))

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
