/**
 * Runs one command under a watchdog, in a process group of its own, and leaves nothing of it behind.
 * @module
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'

/** How a command ended. */
export interface Outcome {
  readonly stdout: string
  readonly stderr: string
  /** Why it counts as failed; null when it does not. */
  readonly failure: string | null
  /** Processes it had left running, which were then killed. */
  readonly leftBehind: readonly number[]
}

/** What to run. */
export interface Command {
  readonly file: string
  readonly args: readonly string[]
  /** Milliseconds after which it, and all that it started, is killed. */
  readonly limit: number
  /** Shows its output as it comes instead of collecting it. */
  readonly show?: boolean
}

const groups = new Set<number>()

const killGroup = (group: number): void => {
  try {
    process.kill(-group, 'SIGKILL')
  } catch {
    // Nobody is left in it, which is what was wanted.
  }
}

/** Kills whatever is still running; for the benchmark's own end. */
export const killEverything = (): void => {
  for (const group of groups) killGroup(group)
}

/** Reads state and process group from /proc: a zombie still answers to kill(2), but runs no more. */
const livingMembers = (group: number): number[] => {
  let names: string[]
  try {
    names = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  } catch {
    return []
  }
  return names.map(Number).filter((pid) => {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
      const [state, , itsGroup] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      return Number(itsGroup) === group && state !== 'Z' && state !== 'X'
    } catch {
      return false
    }
  })
}

/** CPython's own helpers (resource tracker, fork server) end a little after the script does. */
const survivors = async (group: number): Promise<number[]> => {
  const deadline = Date.now() + 2_000
  for (;;) {
    const members = livingMembers(group)
    if (members.length === 0 || Date.now() > deadline) return members
    await delay(10)
  }
}

const collect = (stream: ChildProcess['stdout']): (() => string) => {
  const chunks: Buffer[] = []
  stream?.on('data', (chunk: Buffer) => chunks.push(chunk))
  return () => Buffer.concat(chunks).toString()
}

const exitOf = (child: ChildProcess): Promise<string | null> =>
  new Promise((resolve) => {
    child.once('error', (error) => resolve(error.message))
    child.once('exit', (code, signal) => {
      resolve(code === 0 ? null : signal === null ? `exit code ${code}` : `killed by ${signal}`)
    })
  })

const closeOf = (child: ChildProcess): Promise<void> =>
  new Promise((resolve) => {
    child.once('close', () => resolve())
  })

/** Runs a command to its end. Never rejects: what went wrong is the outcome's `failure`. */
export const runCommand = async (command: Command): Promise<Outcome> => {
  const child = spawn(command.file, command.args, {
    detached: true,
    stdio: command.show === true ? ['ignore', 'inherit', 'inherit'] : ['ignore', 'pipe', 'pipe'],
  })
  const group = child.pid
  const stdout = collect(child.stdout)
  const stderr = collect(child.stderr)
  const closed = closeOf(child)
  if (group === undefined) {
    return { stdout: '', stderr: '', failure: await exitOf(child), leftBehind: [] }
  }
  groups.add(group)
  let overdue = false
  const watchdog = setTimeout(() => {
    overdue = true
    killGroup(group)
  }, command.limit)
  const failure = await exitOf(child)
  clearTimeout(watchdog)
  const leftBehind = await survivors(group)
  killGroup(group)
  // Whoever left the group may still hold the other end of a pipe: its end is then not worth waiting for.
  const impatience = setTimeout(() => {
    child.stdout?.destroy()
    child.stderr?.destroy()
  }, 2_000)
  await closed
  clearTimeout(impatience)
  groups.delete(group)
  return {
    stdout: stdout(),
    stderr: stderr(),
    failure: overdue ? `not finished after ${command.limit / 1000} s` : failure,
    leftBehind,
  }
}
