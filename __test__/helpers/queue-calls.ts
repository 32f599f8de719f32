/** The calls of queues that can block, behind one signature for both forms. */
import type * as mp from 'node-multiprocessing'
import type { Form } from './calls.js'

/** Any of the three kinds of queue. */
export type AnyQueue<T> = mp.Queue<T> | mp.SimpleQueue<T>

/** Puts in an item. */
export const put = async <T>(
  form: Form,
  queue: AnyQueue<T>,
  item: T,
  options?: mp.AcquireSyncOptions,
): Promise<void> => {
  if (form === 'Sync') (queue as mp.Queue<T>).putSync(item, options)
  else await (queue as mp.Queue<T>).put(item, options)
}

/** Takes out an item. */
export const get = async <T>(
  form: Form,
  queue: AnyQueue<T>,
  options?: mp.AcquireSyncOptions,
): Promise<T> =>
  form === 'Sync'
    ? (queue as mp.Queue<T>).getSync(options)
    : await (queue as mp.Queue<T>).get(options)

/** Waits until all items are done with. */
export const joinTasks = async (form: Form, queue: mp.JoinableQueue): Promise<void> => {
  if (form === 'Sync') queue.joinSync()
  else await queue.join()
}

/** Waits until what this process has put in is where others can take it. */
export const joinThread = async (form: Form, queue: mp.Queue): Promise<void> => {
  if (form === 'Sync') queue.joinThreadSync()
  else await queue.joinThread()
}

/** Closes a queue as the reference's tests do. */
export const closeQueue = async (form: Form, queue: mp.Queue): Promise<void> => {
  queue.close()
  await joinThread(form, queue)
}
