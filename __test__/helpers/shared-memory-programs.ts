import { existsSync } from 'node:fs'
import type { ExecutionContext } from 'ava'
import { packageUrl, program } from '../fixtures/process-programs.js'
import type { Outcome, RunOptions } from './run-program.js'

/** What a written program begins with to have the names of both modules. */
export const imports = `
import { ShareableList, SharedMemory } from ${JSON.stringify(packageUrl('node-multiprocessing/shared-memory'))}
import * as tracker from ${JSON.stringify(packageUrl('node-multiprocessing/resource-tracker'))}
`

/** Runs a program that shares memory; resolves when it and its resource tracker have ended. */
export const programWith = (
  t: ExecutionContext,
  source: string,
  options?: RunOptions,
): Promise<Outcome> => program(t, `${imports}${source}`, options)

/** Whether there is a block of that name. */
export const exists = (name: string): boolean => existsSync(`/dev/shm/${name}`)
