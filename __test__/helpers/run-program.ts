import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { optionsForFork } from './fork-options.js'
import { groupIsAlive, killGroup } from './process-group.js'

/** How a program ended and what it said. */
export interface Outcome {
  /** The exit code, or null when a signal ended it. */
  readonly code: number | null
  /** The signal that ended it, or null. */
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
  /** The process id it had. */
  readonly pid: number
}

/** How to run a program. */
export interface RunOptions {
  /** The program's arguments. */
  readonly args?: readonly string[]
  /** Node's own arguments, before the program's name. */
  readonly execArgv?: readonly string[]
  readonly cwd?: string
  /** Variables on top of this process's; undefined removes one. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** After how many milliseconds the program counts as hung. */
  readonly limit?: number
}

const environment = (additions: RunOptions['env']): NodeJS.ProcessEnv => {
  // ava asks its processes for colours, which would be in the output that is compared.
  const { FORCE_COLOR, NODE_OPTIONS, ...rest } = process.env
  return { ...rest, ...additions }
}

/**
 * Runs a compiled program in a `node` of its own and resolves when it, and whatever holds its output
 * open, has ended. A program that hangs is killed with its whole process group and the promise rejects,
 * as it does when the program leaves processes behind.
 */
export const runProgram = (program: URL, options: RunOptions = {}): Promise<Outcome> =>
  new Promise((resolve, reject) => {
    const { args = [], execArgv = [], cwd, env, limit = 60_000 } = options
    const name = fileURLToPath(program)
    const child = spawn(process.execPath, [...optionsForFork(), ...execArgv, name, ...args], {
      cwd,
      env: environment(env),
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const pid = child.pid ?? 0
    let stdout = ''
    let stderr = ''
    let hung = false
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text
    })
    const watchdog = setTimeout(() => {
      hung = true
      killGroup(pid)
    }, limit)
    child.on('error', (error) => {
      clearTimeout(watchdog)
      reject(error)
    })
    child.on('close', (code, signal) => {
      clearTimeout(watchdog)
      const said = `\nstdout:\n${stdout}\nstderr:\n${stderr}`
      if (hung) {
        reject(new Error(`${name} did not end within ${limit} ms${said}`))
      } else if (groupIsAlive(pid)) {
        killGroup(pid)
        reject(new Error(`${name} left processes behind${said}`))
      } else {
        resolve({ code, signal, stdout, stderr, pid })
      }
    })
  })
