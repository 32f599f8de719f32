/**
 * The modules that a fork server imports, so that its children need not.
 * @module
 */
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { debuglog } from 'node:util'
import { importModules } from './module-imports.js'

const log = debuglog('multiprocessing')

/** Stands for the main module, as in the reference. */
const MAIN = '__main__'

/** How long one module may take, in milliseconds: it may be waiting for what only a child gets. */
const PATIENCE = 10_000

/**
 * Imports modules, one after the other. One that cannot be imported is left to the children that need it,
 * who will say why.
 */
export const preloadModules = async (names: readonly string[]): Promise<void> => {
  for (const name of names) {
    try {
      const url = urlOf(name)
      if (url !== undefined) await inTime(importModules([url]))
    } catch (error) {
      log('the fork server could not import %s: %o', name, error)
    }
  }
}

/** What a name stands for; nothing for a main module that is no file. */
const urlOf = (name: string): string | undefined => {
  const main = process.argv[1]
  if (/^(?:file|node|data):/.test(name)) return name
  if (name !== MAIN) return resolveFrom(main ?? join(process.cwd(), 'main'), name)
  return main === undefined ? undefined : resolveFrom(main, main)
}

const resolveFrom = (file: string, name: string): string => {
  const resolved = createRequire(pathToFileURL(file)).resolve(name)
  return resolved.startsWith('/') ? pathToFileURL(resolved).href : resolved
}

const inTime = async (imported: Promise<void> | undefined): Promise<void> => {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('it takes too long')), PATIENCE)
  })
  await Promise.race([imported, late]).finally(() => clearTimeout(timer))
}
