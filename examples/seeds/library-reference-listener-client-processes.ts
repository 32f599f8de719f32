/** The same with calls that block, and a process for each end. */
import { currentProcess, isMainProcess, Process } from 'node-multiprocessing'
import { type Address, ClientSync, Listener } from 'node-multiprocessing/connection'

export function client(address: Address) {
  const { authkey } = currentProcess()
  const conn = ClientSync(address, { authkey })
  console.log(String(conn.recvBytesSync()))
  const arr = new Int32Array(5)
  console.log(conn.recvBytesIntoSync(arr))
  console.log(arr)
  conn.close()
}

if (isMainProcess) {
  // By default all processes of a program have one key.
  const listener = new Listener(null, { authkey: currentProcess().authkey })
  const p = new Process({ target: client, args: [listener.address] })
  p.start()
  const conn = listener.acceptSync()
  conn.sendBytesSync(Buffer.from('hello'))
  conn.sendBytesSync(Int32Array.of(42, 1729))
  conn.close()
  p.joinSync()
  listener.close()
}
