/**
 * The engine: the addon's functions, loaded once per environment.
 *
 * napi-rs can generate a loader too, but it knows a hundred platforms, and every child pays for reading
 * it: a fifth of what it may cost to load all of this package.
 * @module
 */
import { createRequire } from 'node:module'
import type * as Binding from '../native/binding.cjs'

const require = createRequire(import.meta.url)

const { platform, arch } = process

/** The last part of an addon's name, by platform; on Linux the C library is found by trying. */
const abis: Partial<Record<NodeJS.Platform, readonly string[]>> = {
  linux: ['-gnu', '-musl'],
  darwin: [''],
  win32: ['-msvc'],
}

/** Where an addon may be: beside this package, where it was built, or in a package of its own. */
const candidates = (abis[platform] ?? []).flatMap((abi) => {
  const tuple = `${platform}-${arch}${abi}`
  return [`../native/node-multiprocessing.${tuple}.node`, `node-multiprocessing-${tuple}`]
})

const load = (): typeof Binding => {
  const causes: unknown[] = []
  for (const candidate of candidates) {
    try {
      return require(candidate)
    } catch (cause) {
      causes.push(cause)
    }
  }
  throw new Error(`node-multiprocessing cannot load its engine: ${reason(causes)}`, {
    cause: causes.find((cause) => codeOf(cause) !== 'MODULE_NOT_FOUND') ?? causes[0],
  })
}

const codeOf = (cause: unknown): string | undefined => (cause as { code?: string }).code

const reason = (causes: readonly unknown[]): string => {
  if (causes.some((cause) => codeOf(cause) === 'ERR_DLOPEN_DISABLED')) {
    return 'native addons are disabled here; start node with --allow-addons'
  }
  if (candidates.length === 0) return `${platform} is not supported`
  return (
    `there is no usable binary for ${platform} ${arch}. Install again with optional dependencies ` +
    '(a lockfile made on another platform may leave them out), or build it with "npm run build"'
  )
}

export const native: typeof Binding = load()
