import { readdirSync, readlinkSync } from 'node:fs'
import { collectGarbage } from './garbage.js'
import { childrenOf } from './processes-of-this-program.js'

/** What this process holds of the system's. */
export interface Resources {
  /** What each open descriptor leads to, such as `socket:[4711]`, one entry per descriptor. */
  readonly descriptors: readonly string[]
  /** The process ids of the children, zombies included. */
  readonly children: readonly number[]
}

const openDescriptors = (): string[] =>
  readdirSync('/proc/self/fd').flatMap((descriptor) => {
    try {
      return [readlinkSync(`/proc/self/fd/${descriptor}`)]
    } catch {
      // The descriptor that the listing itself was read through.
      return []
    }
  })

/** Counts this process's open descriptors and its children. */
export const resourcesOf = (): Resources => ({
  descriptors: openDescriptors().sort(),
  children: childrenOf(process.pid),
})

const without = <T>(all: readonly T[], known: readonly T[]): T[] => {
  const left = [...all]
  for (const item of known) {
    const index = left.indexOf(item)
    if (index !== -1) left.splice(index, 1)
  }
  return left
}

/** What is there now and was not there before. */
export const resourcesSince = (before: Resources): Resources => {
  const now = resourcesOf()
  return {
    descriptors: without(now.descriptors, before.descriptors),
    children: without(now.children, before.children),
  }
}

/**
 * What is left over since `before`, once everything unreachable has been collected. What garbage
 * collection frees may take some turns of the event loop to go.
 */
export const leftBehindSince = async (before: Resources): Promise<Resources> => {
  const watchdog = Date.now() + 10_000
  let left = resourcesSince(before)
  while ((left.descriptors.length > 0 || left.children.length > 0) && Date.now() < watchdog) {
    await collectGarbage()
    left = resourcesSince(before)
  }
  return left
}
