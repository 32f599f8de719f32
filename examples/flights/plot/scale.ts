/** A function from data to pixels. */
export type Scale = (value: number) => number

/** A linear scale that takes `from` to `start` and `to` to `end`. */
export function linear(from: number, to: number, start: number, end: number): Scale {
  return (value) => start + ((value - from) / (to - from)) * (end - start)
}

/**
 * A round distance between ticks: 1, 2 or 5 times a power of ten.
 *
 * @param span  what the axis spans, more than 0
 * @param ticks  about how many distances to have
 */
export function tickStep(span: number, ticks: number): number {
  const rough = span / ticks
  const power = 10 ** Math.floor(Math.log10(rough))
  return ([1, 2, 5].find((digit) => digit * power >= rough) ?? 10) * power
}

/** All multiples of `step` from `low` to `high`. */
export function ticks(low: number, high: number, step: number): number[] {
  const first = Math.ceil(low / step)
  const last = Math.floor(high / step)
  // Adding zero turns a minus zero into zero.
  return Array.from({ length: last - first + 1 }, (_, index) => (first + index) * step + 0)
}
