/** A queue that processes of this program use directly, and others through a manager. */
import { isMainProcess, Process, Queue } from 'node-multiprocessing'
import type { Address } from 'node-multiprocessing/connection'
import { BaseManager } from 'node-multiprocessing/managers'

const authkey = Buffer.from('abracadabra')

export class Worker extends Process {
  readonly q: Queue<string>

  constructor(q: Queue<string>) {
    super()
    this.q = q
  }

  override async run(): Promise<void> {
    await this.q.put('local hello')
  }
}

class Connecting extends BaseManager {}
const Remote = Connecting.register('getQueue')

/** One who knows nothing but the address. */
export const remote = async (address: Address): Promise<void> => {
  const m = new Remote({ address, authkey })
  await m.connect()
  const queue = await m.getQueue()
  console.log(await queue.get())
}

if (isMainProcess) {
  const queue = new Queue<string>()
  const w = new Worker(queue)
  w.start()
  class Serving extends BaseManager {}
  const QueueManager = Serving.register('getQueue', () => queue)
  const m = new QueueManager({ address: ['', 0], authkey })
  const s = m.getServer()
  const served = s.serveForever()
  const [, port] = s.address as [string, number]

  const client = new Process({ target: remote, args: [['127.0.0.1', port]] })
  client.start()
  await Promise.all([w.join(), client.join()])
  s.stop()
  await served
}
