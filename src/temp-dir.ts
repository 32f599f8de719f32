/**
 * A directory for what a process has to put into files.
 * @module
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { resolve } from 'node:path'
import { Finalize } from './finalize.js'
import { info } from './logger.js'

let tempDir: string | undefined

/**
 * A directory of this process's own, made when first asked for (mode 0700) and removed with all that is
 * in it when the process ends.
 *
 * Mirrors `multiprocessing.util.get_temp_dir`.
 */
export const getTempDir = (): string => {
  if (tempDir === undefined) {
    const made = mkdtempSync(resolve(tmpdir(), 'pymp-'))
    tempDir = made
    info('created temp directory %s', made)
    new Finalize(null, () => rmSync(made, { recursive: true, force: true }), { exitpriority: -100 })
  }
  return tempDir
}
