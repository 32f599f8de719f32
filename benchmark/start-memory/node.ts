/** What Node itself offers. @module */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { privateMemory } from '../private-memory.js'

/** The private memory of a child that waits for a message. */
export const idleChild = async ({ settle }: { readonly settle: number }): Promise<number> => {
  const child = fork(fileURLToPath(new URL('./node-child.js', import.meta.url)))
  await once(child, 'message')
  await delay(settle)
  const memory = privateMemory(child.pid!)
  const exit = once(child, 'exit')
  child.send('end')
  const [code] = await exit
  if (code !== 0) throw new Error(`the child ended with ${code}`)
  return memory
}
