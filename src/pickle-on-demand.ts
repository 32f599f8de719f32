/**
 * What `pickle` of the package's main module is when it runs: the exports of `pickle.ts`, which is loaded
 * when one of them is used. (`rolldown.config.mjs` puts it there.) A test sees that no name is missing.
 * @module
 */
import { pickle as load } from './on-demand.js'
import type * as Pickle from './pickle.js'

const names: readonly (keyof typeof Pickle)[] = [
  'ByteArray',
  'CalendarDate',
  'Complex',
  'DateTime',
  'Decimal',
  'Dtype',
  'Float',
  'FrozenSet',
  'Global',
  'NumpyScalar',
  'PicklingError',
  'PythonArray',
  'PythonError',
  'PythonObject',
  'Range',
  'Slice',
  'TimeDelta',
  'TimeOfDay',
  'TimeZone',
  'Tuple',
  'UnpicklingError',
  'dumps',
  'float',
  'loads',
  'ndarray',
  'registerGlobal',
  'tuple',
]

export const pickle = Object.create(null, {
  [Symbol.toStringTag]: { value: 'Module' },
}) as typeof Pickle

for (const name of names) {
  const get = (): unknown => {
    const loaded = load()
    for (const each of names) Object.defineProperty(pickle, each, { value: loaded[each] })
    return loaded[name]
  }
  Object.defineProperty(pickle, name, { get, enumerable: true, configurable: true })
}
