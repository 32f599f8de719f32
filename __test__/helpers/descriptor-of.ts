import type { Server, Socket } from 'node:net'

/** The descriptor of a socket or a listening server of Node, which has no public name for it. */
export const descriptorOf = (handle: Server | Socket): number =>
  (handle as unknown as { _handle: { fd: number } })._handle.fd
