/**
 * A server for a single queue, and two clients, each a program of its own: they know its address and its
 * key, as they would from another machine. Run without arguments it starts all three.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { isMainProcess, Queue } from 'node-multiprocessing'
import { BaseManager } from 'node-multiprocessing/managers'

const authkey = Buffer.from('abracadabra')

/** The program that serves. */
const serve = async (): Promise<void> => {
  const queue = new Queue<string>()
  class Serving extends BaseManager {}
  const QueueManager = Serving.register('getQueue', () => queue)
  const m = new QueueManager({ address: ['', 0], authkey })
  const s = m.getServer()
  const [, port] = s.address as [string, number]
  console.log(port)
  await s.serveForever()
}

class Connecting extends BaseManager {}
const QueueManager = Connecting.register('getQueue')

/** The queue of the server at a port. */
const connected = async (port: number) => {
  const m = new QueueManager({ address: ['127.0.0.1', port], authkey })
  await m.connect()
  return await m.getQueue()
}

const here = fileURLToPath(import.meta.url)
const start = (...args: string[]) =>
  spawn(process.execPath, [...process.execArgv, here, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })

const role = process.argv[2]

if (isMainProcess && role === 'server') await serve()
else if (isMainProcess && role === 'putter') {
  const queue = await connected(Number(process.argv[3]))
  await queue.put('hello')
} else if (isMainProcess && role === 'getter') {
  const queue = await connected(Number(process.argv[3]))
  console.log(await queue.get())
} else if (isMainProcess) {
  const server = start('server')
  const [port] = await once(server.stdout, 'data')
  const getter = start('getter', String(port).trim())
  getter.stdout.pipe(process.stdout)
  const putter = start('putter', String(port).trim())
  await Promise.all([once(getter, 'close'), once(putter, 'close')])
  server.kill()
}
