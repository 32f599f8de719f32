/** Contexts allow a program to use all start methods at once. */
import {
  type Connection,
  getAllStartMethods,
  getContext,
  isMainProcess,
} from 'node-multiprocessing'

export async function foo(conn: Connection, method: string) {
  await conn.send(`hello by ${method}`)
}

if (isMainProcess) {
  for (const method of getAllStartMethods().sort()) {
    const ctx = getContext(method)
    const [here, there] = ctx.Pipe(false)
    const p = new ctx.Process({ target: foo, args: [there, method] })
    p.start()
    console.log(await here.recv())
    await p.join()
  }
}
