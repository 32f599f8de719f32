/** How much memory a process has for itself. @module */
import { readFileSync } from 'node:fs'

/**
 * The memory that no other process has, in MiB: what would be free again without this process. Linux only.
 * @param pid the process.
 * @throws {Error} when it is gone, or the kernel does not say.
 */
export const privateMemory = (pid: number): number => {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')
  const kibibytes = [...text.matchAll(/^Private_(?:Clean|Dirty):\s+(\d+) kB$/gm)]
  if (kibibytes.length !== 2) throw new Error('the kernel does not say what memory is private')
  return kibibytes.reduce((sum, [, count]) => sum + Number(count), 0) / 1024
}
