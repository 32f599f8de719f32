/** What the figures were measured on. @module */
import os from 'node:os'
import type { Interpreter } from './python.js'

/** Everything that may explain a figure. */
export interface Machine {
  readonly date: string
  readonly processor: string
  readonly cores: number
  readonly memoryGiB: number
  readonly kernel: string
  readonly node: string
  readonly v8: string
  readonly interpreters: readonly Interpreter[]
  /** The load average of the last minute when the run began: above zero, something else was running. */
  readonly load: number
}

/** Looks at the machine. */
export const describeMachine = (interpreters: readonly Interpreter[]): Machine => ({
  date: new Date().toISOString(),
  processor: os.cpus()[0]?.model ?? 'unknown',
  cores: os.cpus().length,
  memoryGiB: Math.round(os.totalmem() / 2 ** 30),
  kernel: `${os.type()} ${os.release()} ${os.arch()}`,
  node: process.version,
  v8: process.versions.v8,
  interpreters,
  load: os.loadavg()[0] ?? 0,
})

/** One paragraph for the top of the report. */
export const introduceMachine = (machine: Machine): string => {
  const pythons = machine.interpreters.map(({ version }) => version).join(', ') || 'no Python found'
  const lines = [
    `${machine.processor}, ${machine.cores} cores, ${machine.memoryGiB} GiB; ${machine.kernel}`,
    `Node ${machine.node} (V8 ${machine.v8}); ${pythons}; ${machine.date}`,
  ]
  // Two processes of a pair want a core each; whatever else runs takes it from one of them.
  if (machine.load > 0.3) {
    lines.push(`Load average ${machine.load.toFixed(2)} at the start: figures are provisional.`)
  }
  return lines.join('\n')
}
