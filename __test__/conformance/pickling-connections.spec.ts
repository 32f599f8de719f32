import { once } from 'node:events'
import { Socket } from 'node:net'
import * as mp from 'node-multiprocessing'
import type { Connection } from 'node-multiprocessing/connection'
import { DupFd } from 'node-multiprocessing/reduction'
import { useReceivedEnds } from '../fixtures/conformance/connection.js'
import {
  families,
  handOutAccepted,
  rawForms,
  shoutAtAddresses,
} from '../fixtures/conformance/sockets.js'
import { nothingIsLeftBehind, rowInBothForms } from '../helpers/row.js'
import { temporaryFolder } from '../helpers/temporary-folder.js'

nothingIsLeftBehind()

const textOf = async (received: Socket | DupFd): Promise<string> => {
  const socket =
    received instanceof Socket
      ? received
      : new Socket({ fd: received.detach(), readable: true, writable: true })
  let text = ''
  socket.setEncoding('utf8').on('data', (part: string) => {
    text += part
  })
  socket.resume()
  await once(socket, 'end')
  socket.destroy()
  await once(socket, 'close')
  return text
}

rowInBothForms('_TestPicklingConnections.test_pickling', async (t, { calls }) => {
  const { join, recv, send } = calls
  const folder = temporaryFolder(t)
  const start = (target: (...args: never[]) => unknown, ...args: unknown[]) => {
    const [connection, childConnection] = mp.Pipe()
    const p = new mp.Process({ target, args: [childConnection, ...args, calls.form] })
    p.daemon = true
    p.start()
    childConnection.close()
    return [connection, p] as const
  }
  const [listener, listenerProcess] = start(handOutAccepted, folder)
  const [remote, remoteProcess] = start(shoutAtAddresses)

  for (const family of families) {
    const message = `This connection uses family ${family}`
    await send(remote, [await recv(listener), message])
    const accepted: Connection = await recv(listener)
    t.is(await recv(accepted), message.toUpperCase())
    accepted.close()
  }
  await send(remote, null)

  for (const rawForm of rawForms) {
    const message = `This connection uses a normal socket, sent as ${rawForm}`
    await send(remote, [await recv(listener), message])
    const received: unknown = await recv(listener)
    if (rawForm === 'socket') t.true(received instanceof Socket)
    else t.true(received instanceof DupFd)
    t.is(await textOf(received as Socket | DupFd), message.toUpperCase())
  }

  await send(listener, null)
  remote.close()
  listener.close()
  await join(listenerProcess)
  await join(remoteProcess)
  t.is(listenerProcess.exitcode, 0)
  t.is(remoteProcess.exitcode, 0)
})

rowInBothForms('_TestPicklingConnections.test_access', async (t, { calls }) => {
  const [connection, childConnection] = mp.Pipe()
  const p = new mp.Process({ target: useReceivedEnds, args: [childConnection, calls.form] })
  p.daemon = true
  p.start()
  childConnection.close()

  const [reader, writerForChild] = mp.Pipe({ duplex: false })
  await calls.send(connection, writerForChild)
  writerForChild.close()
  t.is(await calls.recv(reader), 'all is well')
  reader.close()

  const [readerForChild, writer] = mp.Pipe({ duplex: false })
  await calls.send(connection, readerForChild)
  readerForChild.close()
  await calls.send(writer, 'foobar')
  writer.close()
  t.is(await calls.recv(connection), 'foobarfoobar')

  await calls.join(p)
  t.is(p.exitcode, 0)
  connection.close()
})
