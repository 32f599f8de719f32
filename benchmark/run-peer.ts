/**
 * The process in which one peer takes one sample: `node run-peer.js MODULE EXPORT PARAMETERS`. A fresh
 * one each time, so that no peer inherits another's heap or compiled code, and so that a watchdog can
 * end one that blocks its thread.
 * @module
 */
import type { Parameters } from './scenario.js'

type Measure = (parameters: Parameters) => number | Promise<number>

const main = async ([module, name, parameters]: readonly string[]): Promise<void> => {
  const exports = (await import(module!)) as Record<string, Measure | undefined>
  const measure = exports[name!]
  if (measure === undefined) throw new TypeError(`${module} exports no ${name}`)
  const sample = await measure(JSON.parse(parameters!) as Parameters)
  process.stdout.write(`${JSON.stringify({ sample })}\n`)
}

await main(process.argv.slice(2))
