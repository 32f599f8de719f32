import * as mp from 'node-multiprocessing'

/** A child that was forked, and our end of the pipe to it. */
export interface Forked {
  readonly child: mp.Process
  readonly connection: mp.Connection
}

const { Process } = mp.getContext('forkserver')

/** Forks a child that runs `target` with its end of a pipe and the arguments. */
export const startForked = <Args extends unknown[]>(
  target: (connection: mp.Connection, ...args: Args) => unknown,
  ...args: Args
): Forked => {
  const [connection, theirs] = mp.Pipe()
  const child = new Process({ target, args: [theirs, ...args] })
  child.start()
  theirs.close()
  return { child, connection }
}

/** How long a child may take to answer and to end, in milliseconds. */
const PATIENCE = 30_000

/** What a forked child answers, and its exit code. A child that hangs is killed, and that is an error. */
export const answerOf = async <Args extends unknown[]>(
  target: (connection: mp.Connection, ...args: Args) => unknown,
  ...args: Args
): Promise<{ answer: any; exitcode: number | null }> => {
  const { child, connection } = startForked(target, ...args)
  try {
    const answer = await connection.recv({ timeout: PATIENCE })
    await child.join(PATIENCE)
    if (child.exitcode === null) throw new Error(`${target.name} does not end`)
    return { answer, exitcode: child.exitcode }
  } finally {
    connection.close()
    child.kill()
    await child.join()
    child.close()
  }
}
