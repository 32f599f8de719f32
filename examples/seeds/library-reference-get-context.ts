/** A context: the names of the package, bound to a start method, which the command line may name. */
import { type Connection, getContext, isMainProcess } from 'node-multiprocessing'

export async function foo(conn: Connection) {
  await conn.send('hello')
}

if (isMainProcess) {
  const ctx = getContext(process.argv[2] ?? 'spawn')
  const [here, there] = ctx.Pipe(false)
  const p = new ctx.Process({ target: foo, args: [there] })
  p.start()
  console.log(await here.recv())
  await p.join()
}
