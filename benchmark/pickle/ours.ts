/** Ours: pickles read and written. @module */
import { pickle } from 'node-multiprocessing'
import { medianOfRepeats } from '../timing.js'

interface Amounts {
  readonly contents: 'ints' | 'records'
  readonly count: number
  readonly repeats: number
}

const contents = ({ contents, count }: Amounts): unknown[] =>
  contents === 'ints'
    ? Array.from({ length: count }, (_, i) => i)
    : Array.from({ length: count }, (_, i) => ({
        id: i,
        name: `name ${i}`,
        value: i / 2,
        ok: i % 2 === 0,
      }))

/** The time that reading takes, in milliseconds. */
export const read = async (amounts: Amounts): Promise<number> => {
  const data = pickle.dumps(contents(amounts))
  return await medianOfRepeats(amounts.repeats, () => {
    if (pickle.loads(data).length !== amounts.count) throw new Error('items were lost')
  })
}

/** The time that writing takes, in milliseconds. */
export const write = async (amounts: Amounts): Promise<number> => {
  const value = contents(amounts)
  return await medianOfRepeats(amounts.repeats, () => {
    if (pickle.dumps(value).length < amounts.count) throw new Error('items were lost')
  })
}
