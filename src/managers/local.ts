/**
 * Proxies that are in the process of their own server: what they stand for is at hand.
 * @module
 */

/** Where a proxy keeps the referent, if it is in the same process. */
export const LOCAL = Symbol('referent')

/** What a proxy stands for, if that is here; anything else as it is. */
export const behind = (value: unknown): unknown =>
  typeof value === 'object' && value !== null
    ? ((value as { [LOCAL]?: unknown })[LOCAL] ?? value)
    : value
