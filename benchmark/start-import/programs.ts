/** Programs that do nothing but import something. @module */
import { execFile } from 'node:child_process'
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { medianOfRepeats } from '../timing.js'

interface Amounts {
  readonly repeats: number
  /** The package that is imported; none if not given. */
  readonly name?: string
}

const run = promisify(execFile)
const { resolve } = createRequire(import.meta.url)

/** From the start of node until its end, in milliseconds. */
export const importAlone = ({ repeats, name }: Amounts): Promise<number> => {
  const source = name ? `import ${JSON.stringify(pathToFileURL(resolve(name)).href)}` : ''
  const options = ['--input-type=module', '-e', source]
  return medianOfRepeats(repeats, async () => {
    await run(process.execPath, options)
  })
}
