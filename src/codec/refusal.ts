/**
 * What the encoder throws to itself when something cannot be sent: it knows the culprit, not yet the way
 * to it.
 * @module
 */
export class Refusal extends Error {
  /** The value that cannot be sent. */
  declare readonly culprit: unknown

  constructor(culprit: unknown, reason: string, cause?: unknown) {
    // Nobody sees this stack, and collecting it costs more than all the rest of the refusal.
    const limit = Error.stackTraceLimit
    Error.stackTraceLimit = 0
    super(reason, cause === undefined ? undefined : { cause })
    Error.stackTraceLimit = limit
    this.culprit = culprit
  }
}
