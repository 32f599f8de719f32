/** A parent and its child, each of which sends the other a message over one pipe. */
import * as multiprocessing from 'node-multiprocessing'

export async function childProcess(conn: multiprocessing.Connection) {
  await conn.send('Have a nice day!')

  const response = await conn.recv()
  console.log('Child received:', response)
}

if (multiprocessing.isMainProcess) {
  const [parentConn, childConn] = multiprocessing.Pipe({ duplex: true })

  const child = new multiprocessing.Process({ target: childProcess, args: [childConn] })
  child.start()

  const message = await parentConn.recv()
  console.log('Parent received:', message)

  await parentConn.send('Same to you!')

  await child.join()
}
