/**
 * What a manager's server does, in its own process.
 * @module
 */
import type { Address } from '../address.js'
import type { Connection } from '../connection.js'
import { info } from '../logger.js'
import { currentProcess, stateOf } from '../process-state.js'
import type { NamedSerializer } from '../serializer.js'
import type { RegisteredTypes } from './registry.js'
import { Server } from './server.js'
import { SharedMemoryServer } from './shared-memory-server.js'
import type { TlsOptions } from './tls.js'

/** Which server a class of managers has. */
export type ServerKind = 'usual' | 'shared memory'

/** What the server of a manager is told. */
export interface ServerTask {
  readonly kind: ServerKind
  readonly types: RegisteredTypes
  readonly address: Address | null
  readonly authkey: Uint8Array
  readonly serializer: NamedSerializer
  readonly tls?: TlsOptions | undefined
  readonly initializer: ((...args: any[]) => unknown) | null
  readonly initargs: readonly unknown[]
}

/** What the server says first: where it listens, or what went wrong. */
export type Beginning = { readonly address: Address } | { readonly error: unknown }

/** The kind of server for this. */
export const serverOf = (
  kind: ServerKind,
  options: ConstructorParameters<typeof Server>[0],
): Server => new (kind === 'shared memory' ? SharedMemoryServer : Server)(options)

/** Serves until told to stop, or until the process that has started it is gone. */
export const managerServerMain = async (writer: Connection, task: ServerTask): Promise<void> => {
  const { kind, types, address, authkey, serializer, tls, initializer, initargs } = task
  // SIGINT is for the program, which tells the server when it is over.
  process.on('SIGINT', () => {})
  // A server may have children, for the pools in it: it ends them itself.
  stateOf(currentProcess()).daemon = false
  let server: Server
  try {
    await initializer?.(...initargs)
    server = serverOf(kind, { types, address, authkey, serializer, tls })
  } catch (error) {
    await writer.send({ error })
    throw error
  }
  const served = server.serveForever()
  await writer.send({ address: server.address })
  await served
  writer.close()
  info('manager exiting with exitcode 0')
  process.exitCode = 0
  // What the referents have under way is of no use to anybody.
  setImmediate(() => process.exit())
}
