/** The contents of the buffers, so that every receiver can tell that it got them whole. @module */

/** The value of every byte: nonzero, since pages of zeros may have no memory behind them yet. */
export const filling = 7

/**
 * Looks at the length and at both ends.
 * @throws {Error} when the buffer is not what was sent.
 */
export const verifyContents = (received: unknown, size: number): void => {
  const view = received as Uint8Array
  const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength)
  if (bytes.length !== size || bytes[0] !== filling || bytes.at(-1) !== filling) {
    throw new Error(`${size} bytes of ${filling} arrived as ${bytes.length}, from ${bytes[0]}`)
  }
}
