/** The file of flights is not what the demo expects. */
export class FlightsFormatError extends Error {
  override readonly name = 'FlightsFormatError'
  readonly code = 'ERR_FLIGHTS_FORMAT'
}

/** An argument of the demo is wrong. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
  readonly code = 'ERR_FLIGHTS_USAGE'
}

/** The pool and the single process came to different numbers. */
export class ResultsDifferError extends Error {
  override readonly name = 'ResultsDifferError'
  readonly code = 'ERR_FLIGHTS_RESULTS_DIFFER'
}
