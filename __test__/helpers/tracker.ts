import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { getfd } from 'node-multiprocessing/resource-tracker'

/** Processes that read the pipe of that name. */
const readersOf = (pipe: string): number[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return (
          readFileSync(`/proc/${pid}/comm`, 'utf8') === 'mp-tracker\n' &&
          readlinkSync(`/proc/${pid}/fd/3`) === pipe
        )
      } catch {
        // It has ended.
        return false
      }
    })
    .map(Number)

/** The process ids of all trackers of this program: one, as a rule. */
export const trackerPids = (): number[] => readersOf(readlinkSync(`/proc/self/fd/${getfd()}`))

/** The process id of the tracker of this program, which is started if it does not run. */
export const trackerPid = (): number | undefined => trackerPids()[0]

/** The names of shared memory that the reference and this package make up. */
export const sharedMemoryNames = (): string[] =>
  readdirSync('/dev/shm').filter((name) => name.startsWith('psm_'))
