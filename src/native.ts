/**
 * The engine: the addon's functions, loaded once per environment.
 * @module
 */
import { createRequire } from 'node:module'
import type * as Binding from '../native/binding.cjs'

const load = (): typeof Binding => {
  try {
    return createRequire(import.meta.url)('../native/binding.cjs')
  } catch (cause) {
    const platform = `${process.platform} ${process.arch}`
    const why =
      (cause as { code?: string }).code === 'ERR_DLOPEN_DISABLED'
        ? 'native addons are disabled here; start node with --allow-addons'
        : `there is no usable binary for ${platform}; if one is published for it, install again with optional dependencies, or build it with "npm run build"`
    throw new Error(`node-multiprocessing cannot load its engine: ${why}`, { cause })
  }
}

export const native: typeof Binding = load()
