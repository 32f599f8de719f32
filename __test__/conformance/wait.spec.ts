import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import type { ExecutionContext } from 'ava'
import type { Connection } from 'node-multiprocessing/connection'
import { wait, waitSync } from 'node-multiprocessing/connection'
import { sendTen, tellAndSleep, writeTen } from '../fixtures/conformance/listener.js'
import { type GivenCalls, nothingIsLeftBehind, row, rowInBothForms } from '../helpers/row.js'

nothingIsLeftBehind()

const fromFour =
  (slow: boolean) =>
  async (t: ExecutionContext, { calls, context }: GivenCalls) => {
    const readers: Connection[] = []
    const children: InstanceType<typeof context.Process>[] = []
    for (let i = 0; i < 4; i++) {
      const [reader, writer] = context.Pipe({ duplex: false })
      const p = new context.Process({
        target: sendTen,
        args: [writer, slow, calls.form],
        daemon: true,
      })
      p.start()
      writer.close()
      readers.push(reader)
      children.push(p)
    }
    const messages: [number, number][] = []
    while (readers.length > 0) {
      for (const reader of await calls.wait(readers, 30_000)) {
        const connection = reader as Connection
        try {
          messages.push(await calls.recv(connection))
        } catch (error) {
          if ((error as { code?: string }).code !== 'ERR_EOF') throw error
          readers.splice(readers.indexOf(connection), 1)
          connection.close()
        }
      }
    }
    for (const p of children) await calls.join(p)
    for (const { pid } of children) {
      const own = messages.filter(([, sender]) => sender === pid).map(([i]) => i)
      t.deepEqual(own, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    }
    t.is(messages.length, 40)
  }

rowInBothForms('TestWait.test_wait', fromFour(false))
rowInBothForms('TestWait.test_wait_slow', fromFour(true))

/** Sockets of Node's are read by its event loop, so only the form that lets it turn reads them. */
const fromFourSockets =
  (slow: boolean) =>
  async (t: ExecutionContext, { context }: GivenCalls) => {
    const server = createServer({ pauseOnConnect: true })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as { port: number }
    const children: InstanceType<typeof context.Process>[] = []
    const readers: Socket[] = []
    for (let i = 0; i < 4; i++) {
      const p = new context.Process({ target: writeTen, args: [port, slow], daemon: true })
      p.start()
      children.push(p)
      const [socket] = (await once(server, 'connection')) as [Socket]
      readers.push(socket)
    }
    server.close()
    const said = new Map(readers.map((socket) => [socket, '']))
    while (readers.length > 0) {
      for (const socket of await wait(readers, { timeout: 30_000 })) {
        const bytes: Buffer | null = socket.read()
        if (bytes !== null) said.set(socket, said.get(socket)! + String(bytes))
        else if (socket.readableEnded || socket.destroyed) {
          readers.splice(readers.indexOf(socket), 1)
          socket.destroy()
        }
      }
    }
    for (const p of children) await p.join()
    t.deepEqual([...said.values()], Array(4).fill('0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n'))
  }

row('TestWait.test_wait_socket', (t, given) => fromFourSockets(false)(t, given as GivenCalls))
row('TestWait.test_wait_socket_slow', (t, given) => fromFourSockets(true)(t, given as GivenCalls))

rowInBothForms('TestWait.test_wait_timeout', async (t, { calls, context }) => {
  const timeout = 1000
  const [a, b] = context.Pipe()
  const start = performance.now()
  t.deepEqual(await calls.wait([a, b], timeout), [])
  t.true(performance.now() - start >= timeout - 2)
  await calls.send(b, null)
  t.deepEqual(await calls.wait([a, b], 20_000), [a])
  a.close()
  b.close()
})

rowInBothForms('TestWait.test_wait_integer', async (t, { calls, context }) => {
  const time = 500
  const [a, b] = context.Pipe()
  const [reader, writer] = context.Pipe({ duplex: false })
  const p = new context.Process({ target: tellAndSleep, args: [writer, time] })
  p.start()
  t.is(typeof p.sentinel, 'number')
  t.is(await calls.recv(reader), 'there')
  t.deepEqual(await calls.wait([a, p.sentinel, b], 20_000), [p.sentinel])
  await calls.send(a, null)
  t.deepEqual(await calls.wait([a, p.sentinel, b], 20_000), [p.sentinel, b])
  await calls.send(b, null)
  t.deepEqual(await calls.wait([a, p.sentinel, b], 20_000), [a, p.sentinel, b])
  await calls.join(p)
  for (const connection of [a, b, reader, writer]) connection.close()
})

row('TestWait.test_neg_timeout', async (t, { context }) => {
  const [a, b] = context.Pipe()
  t.deepEqual(await wait([a], { timeout: -1 }), [])
  t.deepEqual(waitSync([a], { timeout: -1 }), [])
  a.close()
  b.close()
})
