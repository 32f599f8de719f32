/** Messages from several processes at once, as they come. */
import { currentProcess, EOFError, isMainProcess, Pipe, Process } from 'node-multiprocessing'
import { type Connection, wait } from 'node-multiprocessing/connection'

export function foo(w: Connection) {
  for (let i = 0; i < 10; i++) w.sendSync([i, currentProcess().name])
  w.close()
}

if (isMainProcess) {
  const readers = new Set<Connection>()
  for (let i = 0; i < 4; i++) {
    const [r, w] = Pipe({ duplex: false })
    readers.add(r)
    const p = new Process({ target: foo, args: [w] })
    p.start()
    // We close the writable end now to be sure that p is the only process which owns a handle for it: when p
    // closes its own, wait() will promptly report the readable end as being ready.
    w.close()
  }

  while (readers.size > 0) {
    for (const r of await wait(readers)) {
      try {
        console.log(await r.recv())
      } catch (error) {
        if (!(error instanceof EOFError)) throw error
        readers.delete(r)
      }
    }
  }
}
