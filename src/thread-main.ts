/**
 * Where a thread of `node-multiprocessing/dummy` begins.
 * @module
 */
import { createRequire } from 'node:module'
import { workerData } from 'node:worker_threads'
import type * as Thread from './thread.js'

const { runThread } = createRequire(import.meta.url)('./thread.cjs') as typeof Thread
void runThread(workerData)
