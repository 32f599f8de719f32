/**
 * A listener that wants a key, and a client that has it. Both are in one process here, so that one program
 * shows both ends; the address could as well be another machine's.
 */
import { Client, type Connection, Listener } from 'node-multiprocessing/connection'

const authkey = Buffer.from('secret password')

const serve = async (listener: Listener) => {
  const conn = await listener.accept()
  console.log('connection accepted from', listener.lastAccepted?.[0])
  await conn.send([2.25, null, 'junk'])
  await conn.sendBytes(Buffer.from('hello'))
  await conn.sendBytes(Int32Array.of(42, 1729))
  conn.close()
}

const receive = async (conn: Connection) => {
  console.log(await conn.recv())
  console.log(String(await conn.recvBytes()))
  const arr = new Int32Array(5)
  console.log(await conn.recvBytesInto(arr))
  console.log(arr)
  conn.close()
}

// The family is deduced to be 'AF_INET'; port 0 is any that is free.
const listener = new Listener(['localhost', 0], { authkey })
const serving = serve(listener)
await receive(await Client(listener.address, { authkey }))
await serving
listener.close()
