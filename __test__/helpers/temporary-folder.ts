import { mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ExecutionContext } from 'ava'

/** A new folder that goes away with everything in it when the test ends. */
export const temporaryFolder = (t: ExecutionContext): string => {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'node-multiprocessing-test-')))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}
