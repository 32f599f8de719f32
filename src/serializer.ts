/**
 * What the objects of a connection are as bytes.
 * @module
 */
import { ValueError } from './errors.js'
import { show } from './waiting.js'

/**
 * How objects travel: as this package's own messages (`native`), or as Python's pickles (`pickle`), for a
 * Python program at the other end.
 */
export type Serializer = 'native' | 'pickle'

/** Whether it is pickle. */
export const isPickle = (serializer: unknown = 'native'): boolean => {
  if (serializer === 'pickle' || serializer === 'native') return serializer === 'pickle'
  throw new ValueError(`a serializer is 'native' or 'pickle', not ${show(serializer)}`)
}
