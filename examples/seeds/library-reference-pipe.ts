/** An object that a child sends to its parent over a pipe. */
import { type Connection, isMainProcess, Pipe, Process } from 'node-multiprocessing'

export async function f(conn: Connection) {
  await conn.send([42, null, 'hello'])
  conn.close()
}

if (isMainProcess) {
  const [parentConn, childConn] = Pipe()
  const p = new Process({ target: f, args: [childConn] })
  p.start()
  console.log(await parentConn.recv()) // prints "[ 42, null, 'hello' ]"
  await p.join()
}
