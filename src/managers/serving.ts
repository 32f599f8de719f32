/**
 * The servers that run in this process: what comes to one of them of its own referents stays here.
 * @module
 */
import type { Server } from './server.js'

/** Those of this thread. */
export const serving = new Set<Server>()
