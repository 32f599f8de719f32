/**
 * Arrays.
 * @module
 */
import { inspect } from 'node:util'
import { IndexError, ValueError } from '../errors.js'
import { show } from '../waiting.js'
import { type ArrayInfo, arrayInfoOf, VIEW } from './array-info.js'
import { Column } from './column.js'
import { toBytes, wideCharacters } from './conversions.js'
import {
  bare,
  CData,
  copyTo,
  type DataType,
  DESCRIBE,
  type Description,
  infoOf,
  type TypeInfo,
  typeOf,
} from './data.js'
import { c_char, c_wchar } from './fundamental.js'
import { addIndexing, sliceBounds, wholeNumber } from './indexing.js'
import type { AnyArray } from './kinds.js'
import { clearBytes, MEMORY, type Memory, OFFSET } from './memory.js'
import type { MemoryProperty } from './properties.js'
import type { SimpleData } from './simple.js'

/** What an element reads as: a value, or an object in the array's memory. */
export type ElementOf<T extends CData> = T extends SimpleData<infer V, any> ? V : T

/** What a part of an array reads as: a list, or the text of characters. */
export type SliceOf<T extends CData> =
  T extends SimpleData<Buffer, any>
    ? Buffer
    : T extends SimpleData<string, any>
      ? string
      : ElementOf<T>[]

/** The array of a type. */
export type ArrayOf<T extends CData> =
  T extends SimpleData<Buffer, any>
    ? CharArray
    : T extends SimpleData<string, any>
      ? WideCharArray
      : ArrayData<T>

/** What the elements of an array may be given as. */
export type SequenceFor<T extends CData> =
  | Iterable<unknown>
  | ArrayLike<unknown>
  | (T extends SimpleData<Buffer | string, any> ? string : never)

/** The class of the arrays of a type, of one length. */
export interface ArrayType<T extends CData>
  extends DataType<ArrayOf<T>>,
    Pick<typeof ArrayData, 'fromBuffer'> {
  new (values?: SequenceFor<T>): ArrayOf<T>
}

/** The typed array that an array of a type is in memory; there is none of structures. */
export type TypedArrayOf<T extends CData> =
  T extends SimpleData<any, any, infer View> ? View : never

const viewAt = ({ element, length, bare }: ArrayInfo, memory: Memory, offset: number) => {
  const { storage, swapped } = element
  if (!bare || storage === null || swapped || offset % storage.size !== 0) return null
  return new storage.Array(memory.buffer, offset, length)
}

const describe = (type: DataType): Description => {
  const array = arrayInfoOf(type)
  const { element, length, bare: isBare } = array
  const { storage } = element
  Object.defineProperties(type.prototype, {
    length: { value: length },
    isPlain: { value: isBare && storage!.plain },
    isFloat: { value: isBare && storage!.float },
    isNarrow: { value: isBare && storage!.plain && !storage!.float && !storage!.big },
  })
  const Bare = bare(type.prototype) as new (memory: Memory, offset: number) => ArrayData<CData>
  const place = (memory: Memory, offset: number): ArrayData<CData> => {
    const made = new Bare(memory, offset)
    made[VIEW] = viewAt(array, memory, offset)
    return made
  }
  const assign = (target: CData, value: unknown): void => assignArray(target, array, value)
  return {
    size: element.size * length,
    alignment: element.alignment,
    storage: null,
    swapped: element.swapped,
    maximumBits: null,
    place,
    assign,
    ...(isText(element.type) ? { property: textProperty(place, assign) } : {}),
  }
}

/** Arrays of characters are read as text where they are fields, as in ctypes. */
const isText = (element: DataType): boolean => element === c_char || element === c_wchar

const textProperty =
  (place: TypeInfo['place'], assign: TypeInfo['assign']) =>
  (at: number): MemoryProperty => ({
    get() {
      return (place(this[MEMORY], this[OFFSET] + at) as CharArray).value
    },
    set(value) {
      assign(place(this[MEMORY], this[OFFSET] + at), value)
    },
  })

const assignArray = (target: CData, { element, length }: ArrayInfo, value: unknown): void => {
  const array = target as ArrayData<CData>
  if (value instanceof ArrayData) {
    const theirs = arrayInfoOf(typeOf(value))
    if (theirs.element.type === element.type && theirs.length === length) {
      copyTo(value, array)
      return
    }
  }
  if (target instanceof CharArray || target instanceof WideCharArray) {
    target.value = value as string
    return
  }
  const values = listOf(value)
  if (values.length > length) throw new IndexError('invalid index')
  clearBytes(array, element.size * length)
  array.set(values as never)
}

/** What can be stored as elements: a typed array, or a list of what an iterable gives. */
export const listOf = (values: unknown): ArrayLike<unknown> => {
  if (ArrayBuffer.isView(values) && !(values instanceof DataView)) return values as AnyArray
  if (Array.isArray(values)) return values
  if (typeof values === 'object' && values !== null && Symbol.iterator in values) {
    return Array.from(values as Iterable<unknown>)
  }
  throw new TypeError(`a sequence is wanted, not ${show(values)}`)
}

/**
 * So many elements of one type, one after the other.
 *
 * `array[i]` reads and writes elements, and so do `get(i)` and `set(i, value)`, which take a hundredth of
 * the time. An index may be negative, and is then counted from the end; one that is outside is an
 * IndexError. Elements that are structures or arrays are objects in this array's memory.
 *
 * The fastest way is {@link ArrayData.typedArray}.
 *
 * Mirrors ctypes' `Array`.
 */
export class ArrayData<T extends CData = CData> extends CData {
  declare [VIEW]: AnyArray | null;
  /** An element, as `get(i)` and `set(i, value)`. */
  [index: number]: ElementOf<T>

  /**
   * @param values - The first elements; those that are not given are zero.
   * @throws IndexError for more values than there are elements; TypeError for one that cannot be stored.
   */
  constructor(values?: Iterable<unknown> | ArrayLike<unknown> | string) {
    super()
    const type = new.target as unknown as DataType
    this[VIEW] = viewAt(arrayInfoOf(type), this[MEMORY], this[OFFSET])
    if (values !== undefined) infoOf(type).assign(this, values)
  }

  /** How many elements there are. */
  get length(): number {
    return arrayInfoOf(typeOf(this)).length
  }

  /**
   * An element.
   *
   * @throws IndexError when there is none; TypeError when the index is no whole number.
   */
  get(index: number): ElementOf<T> {
    const view = this[VIEW]
    if (
      view !== null &&
      this.isPlain &&
      typeof index === 'number' &&
      index >= 0 &&
      index < view.length
    ) {
      const value = view[index]
      if (value !== undefined) return value as ElementOf<T>
    }
    return elementAt(this, checkedIndex(index, this.length)) as ElementOf<T>
  }

  /**
   * Sets an element, or several from some index on.
   *
   * @param index - Which; or the values, a sequence.
   * @param value - The element's value; or where the values begin, 0 if not given.
   * @throws IndexError when there is no such element; ValueError when the values do not fit; TypeError for
   * what cannot be stored.
   */
  set(index: number, value: unknown): void
  set(values: Iterable<unknown> | ArrayLike<unknown>, start?: number): void
  set(index: number | Iterable<unknown> | ArrayLike<unknown>, value?: unknown): void {
    const view = this[VIEW]
    if (typeof index !== 'number') {
      setAll(this, index, wholeNumber(value ?? 0, 'where values begin'))
    } else if (
      view !== null &&
      index >= 0 &&
      index < view.length &&
      Number.isInteger(index) &&
      typeof value === 'number' &&
      (this.isFloat || (this.isNarrow && value === (value | 0)))
    ) {
      view[index] = value as never
    } else {
      setElement(this, checkedIndex(index, this.length), value)
    }
  }

  /** @internal Whether elements are read as they are stored. */
  declare readonly isPlain: boolean
  /** @internal Whether elements are floats. */
  declare readonly isFloat: boolean
  /** @internal Whether elements are integers of at most 32 bits. */
  declare readonly isNarrow: boolean

  /**
   * An element, or undefined when there is none; as `at` of JavaScript's own arrays.
   */
  at(index: number): ElementOf<T> | undefined {
    const { length } = this
    const which = index < 0 ? index + length : index
    return which >= 0 && which < length ? this.get(which) : undefined
  }

  /**
   * Elements as a list of their own; of characters, their text.
   *
   * @param start - The first; counted from the end if negative.
   * @param end - Where to end, without that element; all the rest if not given.
   */
  slice(start?: number, end?: number): SliceOf<T> {
    const [from, to] = sliceBounds(this.length, start, end)
    const view = this[VIEW]
    if (view !== null && this.isPlain)
      return Array.from(view.subarray(from, to) as never) as SliceOf<T>
    return Array.from({ length: to - from }, (_, i) => elementAt(this, from + i)) as SliceOf<T>
  }

  /**
   * A part of this array, as an array in the same memory.
   *
   * @param start - The first element; counted from the end if negative.
   * @param end - Where to end, without that element; all the rest if not given.
   */
  subarray(start?: number, end?: number): ArrayOf<T> {
    const [from, to] = sliceBounds(this.length, start, end)
    const { element } = arrayInfoOf(typeOf(this))
    const type = arrayOf(element.type as DataType<T>, to - from)
    return infoOf(type).place(this[MEMORY], this[OFFSET] + from * element.size) as ArrayOf<T>
  }

  /** Sets elements to one value, and returns the array; bounds as for {@link ArrayData.slice}. */
  fill(value: unknown, start?: number, end?: number): this {
    const [from, to] = sliceBounds(this.length, start, end)
    if (from === to) return this
    setElement(this, from, value)
    const view = this[VIEW]
    if (view !== null) view.fill(view[from] as never, from, to)
    else for (let i = from + 1; i < to; i++) setElement(this, i, value)
    return this
  }

  /** The elements, one after the other. */
  *[Symbol.iterator](): IterableIterator<ElementOf<T>> {
    for (let i = 0; i < this.length; i++) yield this.get(i)
  }

  /**
   * The elements as a typed array in the same memory: the fastest way to them. Of bool and char it is a
   * Uint8Array. It is the same array each time.
   *
   * @throws TypeError when the elements are no numbers, or are not aligned, or have another byte order than
   * this machine's.
   */
  typedArray(): TypedArrayOf<T> {
    const view = this[VIEW]
    if (view === null) {
      throw new TypeError(`${typeOf(this).name} is no typed array in memory`)
    }
    return view as TypedArrayOf<T>
  }

  /**
   * One field of all elements, which are structures: a view of the same memory.
   *
   * @throws TypeError when the elements are no structures; ValueError when they have no such field, or when
   * it is no number of its own: a bit field, or not aligned, or of another byte order than this machine's.
   */
  column<K extends keyof T & string>(name: K): Column<T[K]> {
    const { element, length } = arrayInfoOf(typeOf(this))
    return Column.of<T[K]>(element, name, this[MEMORY], this[OFFSET], length)
  }

  /** @internal */
  static readonly [DESCRIBE] = describe

  /** As `console.log` shows it. */
  override toString(): string {
    return inspect(this)
  }

  /** @internal */
  [inspect.custom](_depth: number, options: object): string {
    const most = 100
    const more = this.length > most ? ` … ${this.length - most} more` : ''
    return `${typeOf(this).name} ${inspect(this.slice(0, most), options)}${more}`
  }
}

/** An element that is there. No private methods, as no constructor runs for most arrays. */
const elementAt = (array: ArrayData, index: number): unknown => {
  const { element, bare } = arrayInfoOf(typeOf(array))
  const { storage, size } = element
  const view = array[VIEW]
  if (bare && storage !== null && view !== null) return storage.from(view[index]!)
  const object = element.place(array[MEMORY], array[OFFSET] + index * size)
  return bare ? (object as SimpleData<unknown>).value : object
}

const setElement = (array: ArrayData, index: number, value: unknown): void => {
  const { element } = arrayInfoOf(typeOf(array))
  const { storage, size } = element
  const view = array[VIEW]
  if (view !== null && !(value instanceof element.type)) {
    view[index] = storage!.to(value) as never
  } else {
    element.assign(element.place(array[MEMORY], array[OFFSET] + index * size), value)
  }
}

const setAll = (array: ArrayData, given: unknown, start: number): void => {
  const values = listOf(given)
  const { length } = array
  const first = start < 0 ? start + length : start
  if (first < 0 || first > length) throw new IndexError('invalid index')
  if (values.length > length - first) {
    throw new ValueError(
      `Can only assign sequence of same size: there is room for ${length - first} values, not ${values.length}`,
    )
  }
  const view = array[VIEW]
  if (view !== null && storesAlike(view, values, array.isFloat)) {
    view.set(values as never, first)
  } else {
    for (let i = 0; i < values.length; i++) setElement(array, first + i, values[i])
  }
}

const fitting = (array: CharArray, value: unknown): Uint8Array => {
  const bytes = isNumbers(value) ? Uint8Array.from(value) : toBytes(value)
  if (bytes.length > array.length) {
    throw new ValueError(`byte string too long (${bytes.length}, maximum length ${array.length})`)
  }
  return bytes
}

const isNumbers = (value: unknown): value is number[] => Array.isArray(value)

/** Whether values can be copied as they are, because none can be one that is refused. */
const storesAlike = (view: AnyArray, values: ArrayLike<unknown>, isFloat: boolean): boolean => {
  if (!ArrayBuffer.isView(values)) return false
  const isBig = (array: object): boolean =>
    array instanceof BigInt64Array || array instanceof BigUint64Array
  if (isBig(view) || isBig(values)) return isBig(view) && isBig(values)
  return isFloat || !(values instanceof Float32Array || values instanceof Float64Array)
}

const checkedIndex = (index: unknown, length: number): number => {
  const whole = wholeNumber(index, 'an index')
  const from = whole < 0 ? whole + length : whole
  if (from < 0 || from >= length) throw new IndexError('invalid index')
  return from
}

/** An array of `char`: text of at most so many bytes. */
export class CharArray extends ArrayData<c_char> {
  /**
   * The bytes up to the first zero byte. They may be given as bytes or as text, which stands for its UTF-8; a
   * zero byte follows them if there is room.
   *
   * @throws ValueError for more bytes than there is room for.
   */
  get value(): Buffer {
    const bytes = this.typedArray() as Uint8Array
    const end = bytes.indexOf(0)
    return Buffer.from(end < 0 ? bytes : bytes.subarray(0, end))
  }

  set value(value: Uint8Array | string) {
    const bytes = fitting(this, value)
    this.set(bytes)
    if (bytes.length < this.length) this.set(bytes.length, 0)
  }

  /**
   * All bytes. Setting it to fewer leaves the rest as it is.
   *
   * @throws ValueError for more bytes than there is room for.
   */
  get raw(): Buffer {
    return Buffer.from(this.typedArray() as Uint8Array)
  }

  set raw(value: Uint8Array | string) {
    this.set(fitting(this, value))
  }

  /** Bytes of their own. */
  override slice(start?: number, end?: number): Buffer {
    return Buffer.from(
      (this.typedArray() as Uint8Array).subarray(...sliceBounds(this.length, start, end)),
    )
  }
}

/** An array of `wchar_t`: text of at most so many characters. */
export class WideCharArray extends ArrayData<c_wchar> {
  /**
   * The text up to the first zero character; a zero follows what it is set to if there is room.
   *
   * @throws ValueError for more characters than there is room for.
   */
  get value(): string {
    const text = this.slice()
    const end = text.indexOf('\0')
    return end < 0 ? text : text.slice(0, end)
  }

  set value(value: string) {
    if (typeof value !== 'string') throw new TypeError(`text is wanted, not ${show(value)}`)
    const characters = wideCharacters(value, wideSize())
    if (characters.length > this.length) {
      throw new ValueError(`string too long (${characters.length}, maximum length ${this.length})`)
    }
    this.set(characters)
    if (characters.length < this.length) this.set(characters.length, '\0')
  }

  /** Text of its own. */
  override slice(start?: number, end?: number): string {
    const [from, to] = sliceBounds(this.length, start, end)
    let text = ''
    for (let i = from; i < to; i++) text += elementAt(this as unknown as ArrayData, i)
    return text
  }
}

const wideSize = (): number => infoOf(c_wchar).size

addIndexing(ArrayData)
// Here, because what is assigned and stands nowhere before the Proxy would go through it.
Object.defineProperties(ArrayData.prototype, {
  [MEMORY]: { value: undefined, writable: true },
  [OFFSET]: { value: 0, writable: true },
  [VIEW]: { value: null, writable: true },
})

const arrayTypes = new WeakMap<DataType, Map<number, WeakRef<DataType>>>()

/**
 * The type of arrays of so many elements: C's `int[3]` is `arrayOf(c_int, 3)`. The same type each time.
 *
 * @throws ValueError for a negative length; TypeError for one that is no whole number, and for what is no C
 * type.
 *
 * Mirrors `c_int * 3` of ctypes.
 */
export const arrayOf = <T extends CData>(type: DataType<T>, length: number): ArrayType<T> => {
  const element = infoOf(type)
  wholeNumber(length, 'the length of an array')
  if (length < 0) throw new ValueError(`Array length must be >= 0, not ${length}`)
  if (element.size * length > Number.MAX_SAFE_INTEGER) throw new ValueError('array too large')
  let ofType = arrayTypes.get(type)
  if (ofType === undefined) {
    ofType = new Map()
    arrayTypes.set(type, ofType)
  }
  let made = ofType.get(length)?.deref()
  if (made === undefined) {
    made = madeArrayType(type, length)
    ofType.set(length, new WeakRef(made))
  }
  return made as ArrayType<T>
}

const madeArrayType = (type: DataType, length: number): DataType => {
  const Parent = (type === c_char
    ? CharArray
    : type === c_wchar
      ? WideCharArray
      : ArrayData) as unknown as DataType<ArrayData>
  const made = class extends Parent {
    static elementType = type
    static elementCount = length
  }
  Object.defineProperty(made, 'name', { value: `${type.name}_Array_${length}` })
  return made as DataType
}
