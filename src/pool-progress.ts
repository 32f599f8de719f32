/**
 * How far a call is, on the terminal.
 * @module
 */
import { createRequire } from 'node:module'

/** A bar that is being shown. */
export interface ProgressBar {
  update(done: number): void
  stop(): void
}

interface Bar {
  start(total: number, value: number): void
  update(value: number): void
  setTotal(total: number): void
  stop(): void
}

interface CliProgress {
  readonly SingleBar: new (options: object, preset: object) => Bar
  readonly Presets: { readonly shades_classic: object }
}

const require = createRequire(import.meta.url)

/** Shows a bar on stderr, if that is a terminal; `total` may not be known. */
export const progressBar = (total: number | undefined): ProgressBar => {
  const { SingleBar, Presets } = require('cli-progress') as CliProgress
  const format =
    total === undefined
      ? '{value} done | {duration_formatted}'
      : '{bar} {percentage}% | {value}/{total} | {eta_formatted} left'
  const bar = new SingleBar(
    { format, hideCursor: true, clearOnComplete: false, noTTYOutput: false },
    Presets.shades_classic,
  )
  bar.start(total ?? 0, 0)
  return {
    update(done) {
      if (total === undefined) bar.setTotal(done)
      bar.update(done)
    },
    stop: () => bar.stop(),
  }
}
