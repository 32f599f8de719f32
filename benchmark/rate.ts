/**
 * How one-way rates are measured: one batch to warm up and one that counts, each of them acknowledged
 * by the receiver when the last of its messages is there. tinybench does not fit: it times one call,
 * and a call that sends says nothing about when the message arrives.
 * @module
 */

/** Sends a batch of `count` messages and waits until the receiver has acknowledged them. */
export type Deliver = (count: number) => void | Promise<void>

/** The sizes of the two batches, as sender and receiver both must know them. */
export const batches = (amounts: { readonly warmup: number; readonly count: number }) =>
  [amounts.warmup, amounts.count] as const

/** Messages a second in the batch that counts. */
export const messagesPerSecond = async (
  [warmup, count]: readonly [number, number],
  deliver: Deliver,
): Promise<number> => {
  await deliver(warmup)
  const begin = performance.now()
  await deliver(count)
  return count / ((performance.now() - begin) / 1e3)
}
