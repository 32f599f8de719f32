/** The states that a process goes through. */
import { constants } from 'node:os'
import { setTimeout } from 'node:timers/promises'
import { isMainProcess, Process } from 'node-multiprocessing'

export const sleep = (milliseconds: number): Promise<void> => setTimeout(milliseconds)

if (isMainProcess) {
  const p = new Process({ target: sleep, args: [1_000_000] })
  console.log(p, p.isAlive())
  p.start()
  console.log(p, p.isAlive())
  p.terminate()
  await p.join()
  console.log(p, p.isAlive())
  console.log(p.exitcode === -constants.signals.SIGTERM)
}
