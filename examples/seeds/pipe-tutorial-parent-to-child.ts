/** A message from a parent to its child. */
import * as multiprocessing from 'node-multiprocessing'

export async function childProcess(conn: multiprocessing.Connection) {
  const message = await conn.recv()
  console.log('Child received:', message)
}

if (multiprocessing.isMainProcess) {
  const [parentConn, childConn] = multiprocessing.Pipe()

  const child = new multiprocessing.Process({ target: childProcess, args: [childConn] })
  child.start()

  await parentConn.send('Welcome to TutorialsPoint')

  await child.join()
}
