/**
 * Python's pickles, read and written here: data for and from Python programs. Nothing that a pickle names
 * is ever called, imported or looked up, but for what {@link registerGlobal} has been told.
 * @module
 */
import { ValueError, UnpicklingError } from './errors.js'
import { native } from './native.js'
import { Builder } from './pickle/builder.js'
import { Program } from './pickle/program.js'
import { show } from './waiting.js'

export { PicklingError, UnpicklingError } from './errors.js'
export { CalendarDate, DateTime, TimeDelta, TimeOfDay, TimeZone } from './pickle/datetime.js'
export { type DumpsOptions, dumps } from './pickle/encoder.js'
export {
  Dtype,
  type NdArray,
  type NdArrayOptions,
  NumpyScalar,
  ndarray,
  type TypedArray,
} from './pickle/numpy.js'
export { type GlobalHandler, type Reduced, registerGlobal } from './pickle/registry.js'
export {
  ByteArray,
  Complex,
  Decimal,
  FrozenSet,
  Global,
  type Making,
  PythonArray,
  PythonError,
  PythonObject,
  Range,
  Slice,
  Tuple,
  tuple,
} from './pickle/values.js'
export { Float, float } from './shareable-list.js'

/** How a pickle is read. */
export interface LoadsOptions {
  /**
   * Whether everything is to become what `dumps` writes as the same again: tuples a `Tuple`, floats
   * without a fraction a `Float`, dictionaries a Map, and so on. False if not given: what JavaScript has
   * for it.
   */
  lossless?: boolean
  /** What the strings of Python 2 are: `ascii` if not given, and other characters an error. */
  encoding?: 'ascii' | 'latin1' | 'utf8' | 'bytes'
}

const ENCODINGS = ['ascii', 'latin1', 'utf8', 'bytes']

/** Words of a program that is refused as soon as it is made: what the engine says is the message. */
const programOf = (bytes: Uint8Array, encoding: number): Program => {
  let words: Uint32Array
  try {
    words = native.readPickle(bytes, encoding)
  } catch (error) {
    throw new UnpicklingError((error as Error).message)
  }
  return new Program(words, bytes)
}

/**
 * Reads a pickle of any protocol. What follows it is left alone.
 *
 * @param data - The bytes. They are copied where needed, and may be used again afterwards.
 * @returns The object; see the documentation of what becomes what. What is not known is a
 * `PythonObject`, a record of what it is made of.
 * @throws UnpicklingError for what is no pickle, and for one that needs what is not there: persistent
 * ids, extension codes, out-of-band buffers. TypeError for what holds no bytes.
 */
export const loads = <T = any>(
  data: ArrayBufferView | ArrayBufferLike,
  { lossless = false, encoding = 'ascii' }: LoadsOptions = {},
): T => {
  const number = ENCODINGS.indexOf(encoding)
  if (number < 0) throw new ValueError(`there is no encoding ${show(encoding)}`)
  const bytes = bytesOf(data)
  const program = programOf(bytes, number)
  try {
    return new Builder(program, lossless).run() as T
  } catch (error) {
    // Lengths that the runtime has not, such as those of its longest bigint.
    if (error instanceof RangeError) throw new UnpicklingError(error.message, { cause: error })
    throw error
  }
}

const bytesOf = (data: unknown): Uint8Array => {
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  if (data instanceof ArrayBuffer || data instanceof SharedArrayBuffer) return new Uint8Array(data)
  throw new TypeError(`bytes are wanted, not ${show(data)}`)
}
