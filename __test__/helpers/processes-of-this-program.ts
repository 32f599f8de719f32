import { readdirSync, readFileSync } from 'node:fs'

/** The fields after the name in `/proc/<pid>/stat`; the name itself may hold spaces and brackets. */
const statusFields = (pid: number | string): string[] | undefined => {
  try {
    const status = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return status.slice(status.lastIndexOf(')') + 2).split(' ')
  } catch {
    return undefined
  }
}

/** The kernel's letter for what the process's main thread does, or undefined when it is gone. */
export const stateOf = (pid: number): string | undefined => statusFields(pid)?.[0]

/** The parent's process id, or undefined when the process is gone. */
export const parentOf = (pid: number): number | undefined => {
  const parent = statusFields(pid)?.[1]
  return parent === undefined ? undefined : Number(parent)
}

/** The children of a process, zombies included. */
export const childrenOf = (pid: number): number[] => {
  const children: number[] = []
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    try {
      const listed = readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8')
      children.push(...listed.trim().split(' ').filter(Boolean).map(Number))
    } catch {
      // The thread ended while the list was read.
    }
  }
  return children.sort((a, b) => a - b)
}

/** The children of a process, their children, and so on, the deepest first. */
export const descendantsOf = (pid: number): number[] => {
  try {
    return childrenOf(pid).flatMap((child) => [...descendantsOf(child), child])
  } catch {
    return []
  }
}

/** Sends SIGKILL to each of the processes that is still there. */
export const killAll = (pids: Iterable<number>): void => {
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      // It ended by itself.
    }
  }
}
