/**
 * What the objects of a connection are as bytes.
 * @module
 */
import { ValueError } from './errors.js'
import { pickle } from './on-demand.js'
import { show } from './waiting.js'

/** How objects become bytes, and bytes objects. */
export interface CustomSerializer {
  /** The bytes of an object. They are not changed before they are sent. */
  dumps(value: any): Uint8Array
  /** The object of bytes, which belong to it. */
  loads(bytes: Buffer): any
}

/**
 * How objects travel: as this package's own messages (`native`), as Python's pickles (`pickle`), for a
 * Python program at the other end, or as two functions say, such as those of `pickle` with options.
 */
export type Serializer = NamedSerializer | CustomSerializer

/** Those that have a name. */
export type NamedSerializer = 'native' | 'pickle'

/** Whether it is pickle, where only those that have a name will do. */
export const isPickle = (serializer: unknown = 'native'): boolean => {
  if (serializer === 'pickle' || serializer === 'native') return serializer === 'pickle'
  throw new ValueError(`a serializer is 'native' or 'pickle' here, not ${show(serializer)}`)
}

const PICKLE: CustomSerializer = {
  dumps: (value) => pickle().dumps(value),
  loads: (bytes) => pickle().loads(bytes),
}

/**
 * What turns objects into bytes; nothing when they are native messages.
 *
 * @throws ValueError for what is no serializer.
 */
export const serializerOf = (serializer: unknown = 'native'): CustomSerializer | undefined => {
  if (serializer === 'native') return undefined
  if (serializer === 'pickle') return PICKLE
  const { dumps, loads } = Object(serializer) as Partial<CustomSerializer>
  if (typeof dumps === 'function' && typeof loads === 'function') {
    return serializer as CustomSerializer
  }
  throw new ValueError(
    `a serializer is 'native', 'pickle', or has dumps and loads, unlike ${show(serializer)}`,
  )
}
