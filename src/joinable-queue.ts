/**
 * Queues whose items are tasks. Mirrors `multiprocessing.JoinableQueue`.
 * @module
 */
import { registerReducer } from './codec/index.js'
import { ValueError } from './errors.js'
import { sleepSync } from './interruptible.js'
import { native } from './native.js'
import { checked } from './native-status.js'
import { Queue, rebuildQueue, reduceQueue } from './queue.js'
import { untilChanged } from './waiter.js'
import { checkedWait, ENDLESS, type WaitOptions } from './waiting.js'

const DONE_WORD = native.queueDoneWord()

/**
 * A {@link Queue} that knows how many of its items are not done with: whoever takes one calls
 * {@link JoinableQueue.taskDone} when it is, and {@link JoinableQueue.join} waits for all of them.
 *
 * A process that dies with an item it has taken never says that it is done, so `join` goes on waiting, as
 * in the reference. What was lost because its sender died before it was in is not waited for.
 *
 * Mirrors `multiprocessing.JoinableQueue`.
 */
export class JoinableQueue<T = any> extends Queue<T> {
  /**
   * Says that an item which was taken is done with. Does not block.
   *
   * @throws ValueError "task_done() called too many times" when there were no more items; ValueError when
   * the queue is closed.
   */
  taskDone(): void {
    if (!native.queueTaskDone(this.channel.handle)) {
      throw new ValueError('task_done() called too many times')
    }
  }

  /**
   * Waits until all items that were put in, by anybody, are done with. It keeps the event loop alive, and
   * blocks nothing.
   *
   * @throws The signal's reason; ValueError when the queue is closed.
   */
  async join({ signal }: Pick<WaitOptions, 'signal'> = {}): Promise<void> {
    checkedWait({ signal })
    for (;;) {
      const { block } = this.channel
      const word = this.#doneWord()
      if (this.#unfinished() === 0) return
      await untilChanged(block, DONE_WORD, word, ENDLESS, signal)
      signal?.throwIfAborted()
    }
  }

  /**
   * The same, blocking the thread.
   *
   * @throws KeyboardInterrupt when SIGINT comes to the main thread of a program that listens for it.
   */
  joinSync(): void {
    const { block } = this.channel
    for (;;) {
      const word = this.#doneWord()
      if (this.#unfinished() === 0) return
      sleepSync(block, DONE_WORD, word, ENDLESS)
    }
  }

  #unfinished(): number {
    return checked(native.queueUnfinished(this.channel.handle), 'join')
  }

  #doneWord(): number {
    return Atomics.load(new Uint32Array(this.channel.block.buffer, DONE_WORD * 4, 1), 0)
  }
}

registerReducer(JoinableQueue, {
  name: 'queues.JoinableQueue',
  trustedOnly: true,
  reduce: ({ channel }, context) => reduceQueue(channel, context),
  rebuild: (state, context) =>
    rebuildQueue(state, context, (came) => new JoinableQueue(came as unknown as number)),
})
