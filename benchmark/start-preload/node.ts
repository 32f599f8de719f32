/** What Node itself offers: each child makes the table again. @module */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { medianOfRepeats } from '../timing.js'

/** A process that imports the table, and looks one row up. */
export const forkAndWait = ({ repeats }: { readonly repeats: number }): Promise<number> =>
  medianOfRepeats(repeats, async () => {
    const file = fileURLToPath(new URL('./node-child.js', import.meta.url))
    const [code] = await once(fork(file, ['7919'], { stdio: 'ignore' }), 'exit')
    if (code !== 0) throw new Error(`it ended with ${code}`)
  })
