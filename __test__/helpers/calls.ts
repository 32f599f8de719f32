import type * as mp from 'node-multiprocessing'
import { type Connection, wait, waitSync } from 'node-multiprocessing/connection'
import {
  recvHandle,
  recvHandleSync,
  sendHandle,
  sendHandleSync,
} from 'node-multiprocessing/reduction'

/** Which of the two forms of the calls that can block. */
export type Form = 'Promise' | 'Sync'

/** Both forms, to run something once with each. */
export const forms: readonly Form[] = ['Promise', 'Sync']

/** What can be joined: a process, or what stands for the parent process. */
export interface Joinable {
  join(timeout?: number): Promise<void>
  joinSync(timeout?: number): void
}

/** A slice of a buffer, in bytes. */
export interface Slice {
  readonly offset?: number
  readonly size?: number
}

/** The calls that can block, behind one signature for both forms. Times are in milliseconds. */
export interface Calls {
  readonly form: Form
  join(process: Joinable, timeout?: number): Promise<void>
  send(connection: Connection, value: unknown): Promise<void>
  recv(connection: Connection): Promise<any>
  sendBytes(connection: Connection, bytes: ArrayBufferView, slice?: Slice): Promise<void>
  recvBytes(connection: Connection): Promise<Buffer>
  recvBytesInto(connection: Connection, target: ArrayBufferView, offset?: number): Promise<number>
  poll(connection: Connection, timeout?: number | null): Promise<boolean>
  wait(objects: readonly (Connection | number)[], timeout: number): Promise<unknown[]>
  sendHandle(connection: Connection, descriptor: number, pid: number): Promise<void>
  recvHandle(connection: Connection): Promise<number>
  map<T, R>(pool: mp.Pool, callee: (item: T) => R, items: Iterable<T>): Promise<unknown[]>
  joinPool(pool: mp.Pool): Promise<void>
}

const promiseCalls: Calls = {
  form: 'Promise',
  join: (process, timeout) => (timeout === undefined ? process.join() : process.join(timeout)),
  send: (connection, value) => connection.send(value),
  recv: (connection) => connection.recv(),
  sendBytes: (connection, bytes, slice) => connection.sendBytes(bytes, slice),
  recvBytes: (connection) => connection.recvBytes(),
  recvBytesInto: (connection, target, offset) => connection.recvBytesInto(target, offset),
  poll: (connection, timeout) => connection.poll(timeout),
  wait: (objects, timeout) => wait([...objects], { timeout }),
  sendHandle: (connection, descriptor, pid) => sendHandle(connection, descriptor, pid),
  recvHandle: (connection) => recvHandle(connection),
  map: (pool, callee, items) => pool.map(callee, items),
  joinPool: (pool) => pool.join(),
}

const syncCalls: Calls = {
  form: 'Sync',
  join: async (process, timeout) =>
    timeout === undefined ? process.joinSync() : process.joinSync(timeout),
  send: async (connection, value) => connection.sendSync(value),
  recv: async (connection) => connection.recvSync(),
  sendBytes: async (connection, bytes, slice) => connection.sendBytesSync(bytes, slice),
  recvBytes: async (connection) => connection.recvBytesSync(),
  recvBytesInto: async (connection, target, offset) => connection.recvBytesIntoSync(target, offset),
  poll: async (connection, timeout) => connection.pollSync(timeout),
  wait: async (objects, timeout) => waitSync([...objects], { timeout }),
  sendHandle: async (connection, descriptor, pid) => sendHandleSync(connection, descriptor, pid),
  recvHandle: async (connection) => recvHandleSync(connection),
  map: async (pool, callee, items) => pool.mapSync(callee, items),
  joinPool: async (pool) => pool.joinSync(),
}

/** The calls in the form asked for. */
export const callsOf = (form: Form): Calls => (form === 'Promise' ? promiseCalls : syncCalls)
