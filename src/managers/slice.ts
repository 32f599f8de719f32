/**
 * Parts of lists, as Python's `slice` names them.
 * @module
 */
import { deferReducers, registerReducer } from '../codec/index.js'
import { ValueError } from '../errors.js'
import { Slice } from '../pickle/values.js'

export { Slice } from '../pickle/values.js'

/**
 * Names a part of a list, for {@link ListProxy} and `_callmethod`. What is less than zero counts from the
 * end; what is left out, or null, is the beginning, the end, or one step.
 *
 * @throws TypeError for what is no whole number; ValueError for a step of zero.
 */
export const slice = (start?: number | null, stop?: number | null, step?: number | null): Slice => {
  for (const part of [start, stop, step]) {
    if (part !== undefined && part !== null && !Number.isInteger(part)) {
      throw new TypeError('slice indices must be integers or None')
    }
  }
  if (step === 0) throw new ValueError('slice step cannot be zero')
  return new Slice(start ?? null, stop ?? null, step ?? null)
}

/** The indices that a slice names, of so many. */
export const indicesOf = (
  { start, stop, step }: { start: number | null; stop: number | null; step: number | null },
  length: number,
): number[] => {
  const by = step ?? 1
  if (by === 0) throw new ValueError('slice step cannot be zero')
  const [lowest, highest] = by > 0 ? [0, length] : [-1, length - 1]
  const bound = (index: number | null, otherwise: number): number => {
    if (index === null) return otherwise
    const from = index < 0 ? index + length : index
    return Math.min(Math.max(from, lowest), highest)
  }
  const first = bound(start, by > 0 ? lowest : highest)
  const last = bound(stop, by > 0 ? highest : lowest)
  const indices: number[] = []
  for (let i = first; by > 0 ? i < last : i > last; i += by) indices.push(i)
  return indices
}

deferReducers(() =>
  registerReducer(Slice, {
    name: 'managers.slice',
    trustedOnly: false,
    reduce: ({ start, stop, step }) => [start, stop, step],
    rebuild: (state) => {
      const [start, stop, step] = state as (number | null)[]
      return slice(start, stop, step)
    },
  }),
)
