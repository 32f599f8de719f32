/** A program that chooses its start method, which the command line may name. */
import { type Connection, isMainProcess, Pipe, Process, setStartMethod } from 'node-multiprocessing'

export async function foo(conn: Connection) {
  await conn.send('hello')
}

if (isMainProcess) {
  setStartMethod(process.argv[2] ?? 'spawn')
  const [here, there] = Pipe(false)
  const p = new Process({ target: foo, args: [there] })
  p.start()
  console.log(await here.recv())
  await p.join()
}
