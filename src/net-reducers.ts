/**
 * Sockets and servers of `node:net` travel as their descriptors.
 * @module
 */
import { createRequire } from 'node:module'
import { registerReducer } from './codec/index.js'
import { ValueError } from './errors.js'
import { native } from './native.js'

/** Makes an object around a descriptor that came in, and closes the descriptor it came as. */
const around = <T>(fd: number, make: (fd: number) => T): T => {
  try {
    return make(fd)
  } catch (error) {
    native.closeDescriptor(fd)
    throw error
  }
}

interface WithDescriptor {
  _handle?: { fd?: number } | null
}

/** The descriptor under one of Node's own handles. */
const descriptorUnder = (object: object, what: string): number => {
  const fd = (object as WithDescriptor)._handle?.fd
  if (fd === undefined || fd < 0)
    throw new ValueError(`${what} is not open, and has no descriptor to send`)
  return fd
}

/** Loads `node:net`, which costs a few milliseconds, so it is done when something unknown is met. */
export const registerNetReducers = (): void => {
  const net = createRequire(import.meta.url)('node:net') as typeof import('node:net')
  registerReducer(net.Socket, {
    name: 'net.Socket',
    trustedOnly: false,
    reduce: (socket, context) => context.handle(descriptorUnder(socket, 'the socket')),
    rebuild: (index, context) =>
      around(context.handle(index as number), (fd) => new net.Socket({ fd })),
  })

  registerReducer(net.Server, {
    name: 'net.Server',
    trustedOnly: false,
    reduce: (server, context) => context.handle(descriptorUnder(server, 'the server')),
    rebuild: (index, context) =>
      around(context.handle(index as number), (fd) => new net.Server().listen({ fd })),
  })
}
