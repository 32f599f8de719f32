/** A program and all it has started, which run in one process group. @module */

/** Whether any process of the group runs. */
export const groupIsAlive = (leader: number): boolean => {
  try {
    process.kill(-leader, 0)
    return true
  } catch {
    return false
  }
}

/** Ends them all. */
export const killGroup = (leader: number): void => {
  try {
    process.kill(-leader, 'SIGKILL')
  } catch {
    // Every process of the group has ended.
  }
}
