/**
 * A list in shared memory.
 *
 * | Offset | Size | Content |
 * |---|---|---|
 * | 0 | 8 | how many items there are, N |
 * | 8 | 8·(N+1) | where each begins in the data, and how long the data is, D |
 * | 8·(N+2) | D | the data: each item, from a multiple of 8 on |
 * | 8·(N+2)+D | 8·N | the format of each, as Python's `struct` has it, and zeros |
 * | 8·(N+2)+D+8·N | N | what each is to become: 0 itself, 1 a string, 2 bytes, 3 null |
 *
 * All numbers are in the machine's own byte order. It is the same in Python, which see the same list.
 * @module
 */
import { endianness } from 'node:os'
import { inspect } from 'node:util'
import { registerReducer } from './codec/index.js'
import { AssertionError, IndexError, KeyError, ValueError } from './errors.js'
import { SharedMemory } from './shared-memory.js'
import { show } from './waiting.js'

/** What an item can be. */
export type ShareableValue = number | bigint | boolean | string | Uint8Array | null

/** A number to be stored as a float, though it has no fraction; see {@link float}. */
export class Float {
  /** The number. */
  readonly value: number

  constructor(value: number) {
    if (typeof value !== 'number') throw new TypeError(`a number is wanted, not ${show(value)}`)
    this.value = value
  }
}

/**
 * A number that a {@link ShareableList} stores as a float, whatever its value, so that Python has a `float`.
 * Of itself a number is stored as an int when it is a safe integer, and as a float otherwise.
 *
 * @throws TypeError for what is no number.
 */
export const float = (value: number): Float => new Float(value)

const LITTLE = endianness() === 'LE'
const WORD = 8

/** What a value becomes when it is read, by the number that stands in the list. */
const ITSELF = 0
const STRING = 1
const BYTES = 2
const NULL = 3

const INT = 'q'
const FLOAT = 'd'
const BOOL = 'xxxxxxx?'
const NONE = 'xxxxxx?x'

/** The longest format there is room for. */
const LONGEST_FORMAT = 8

/** A value that is to be stored. */
interface Stored {
  readonly becomes: number
  /** Of a string or bytes this depends on the room there is. */
  readonly format: string | null
  readonly bytes: Uint8Array
  /** How long the reference takes it to be: characters of a string, bytes of anything else. */
  readonly length: number
}

const ofWord = (format: string, write: (view: DataView) => void, becomes = ITSELF): Stored => {
  const bytes = new Uint8Array(WORD)
  write(new DataView(bytes.buffer))
  return { becomes, format, bytes, length: WORD }
}

const storedInt = (value: bigint): Stored => {
  if (BigInt.asIntN(64, value) !== value) {
    throw new ValueError(
      `'q' format requires -9223372036854775808 <= number <= 9223372036854775807, not ${value}`,
    )
  }
  return ofWord(INT, (view) => view.setBigInt64(0, value, LITTLE))
}

const storedFloat = (value: number): Stored =>
  ofWord(FLOAT, (view) => view.setFloat64(0, value, LITTLE))

const storedText = (value: string): Stored => {
  if (/\p{Surrogate}/u.test(value)) {
    throw new ValueError("'utf-8' codec can't encode a lone surrogate: surrogates not allowed")
  }
  const bytes = Buffer.from(value)
  const length = bytes.length === value.length ? bytes.length : [...value].length
  return { becomes: STRING, format: null, bytes, length }
}

const stored = (value: unknown): Stored => {
  if (value === null) return ofWord(NONE, () => {}, NULL)
  if (typeof value === 'number') {
    // Minus zero is no int.
    return Number.isSafeInteger(value) && !Object.is(value, -0)
      ? storedInt(BigInt(value))
      : storedFloat(value)
  }
  if (typeof value === 'bigint') return storedInt(value)
  if (typeof value === 'string') return storedText(value)
  if (typeof value === 'boolean') {
    return ofWord(BOOL, (view) => view.setUint8(BOOL.indexOf('?'), Number(value)))
  }
  if (value instanceof Uint8Array) {
    return { becomes: BYTES, format: null, bytes: value, length: value.length }
  }
  if (value instanceof Float) return storedFloat(value.value)
  throw new KeyError(`${show(value)} cannot be an item of a ShareableList`)
}

/**
 * The room that a value gets in a new list. The reference counts the characters of a string, and loses what
 * does not fit; where it does, this gives as much.
 */
const roomFor = ({ format, bytes, length }: Stored): number =>
  format === null
    ? WORD * Math.max(Math.floor(length / WORD) + 1, Math.ceil(bytes.length / WORD))
    : WORD

const formatOf = ({ format }: Stored, room: number): string => {
  const text = format ?? `${room}s`
  if (text.length > LONGEST_FORMAT) throw new AssertionError(`an item of ${room} bytes is too long`)
  return text
}

/** Whether an item counts as the value that is looked for: numbers by value, bytes by content. */
const isSame = (item: ShareableValue, value: unknown): boolean => {
  if (item instanceof Uint8Array) {
    return value instanceof Uint8Array && Buffer.compare(item, value) === 0
  }
  if (value instanceof Float) return item === value.value
  if (typeof item === 'bigint' && typeof value === 'number') return isSame(value, item)
  // A number that is an int may be given as a bigint.
  return typeof value === 'bigint' && typeof item === 'number'
    ? Number.isInteger(item) && BigInt(item) === value
    : item === value
}

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * A list of a fixed length in shared memory, whose items can be replaced, also by those of another type. It
 * is the same list in all processes that have it, those of Python among them. Strings and bytes get at most
 * the room that they were given first, which is the next multiple of 8 above their length; NULs at their end
 * are lost.
 *
 * An item is read and written without a lock; who reads one while another process writes it may see
 * neither the old nor the new one. Nothing of it blocks.
 *
 * Mirrors `multiprocessing.shared_memory.ShareableList`.
 */
export class ShareableList<T extends ShareableValue = ShareableValue> implements Iterable<T> {
  /** The block that the list is in. Close it when the list is no longer used, and unlink it once. */
  readonly shm: SharedMemory
  /** How many items there are. */
  readonly length: number
  readonly #view: DataView
  /** Where each item begins in the block, and where the last one ends. */
  readonly #starts: Float64Array
  readonly #formats: number
  readonly #codes: number

  /**
   * Makes a list, or attaches to one.
   *
   * @param sequence - The items; nothing or null, with a name, attaches to the list of that name.
   * @param options - `name`: that of the block; one is made up if it is not given.
   * @throws KeyError for an item of another type; ValueError for an integer of more than 64 bits, a string
   * with lone surrogates, and a block to attach to that holds no list; AssertionError for a string or bytes of
   * 10,000,000 bytes or more; TypeError for a sequence that is none; FileExistsError, FileNotFoundError and
   * OSError as {@link SharedMemory} has them.
   */
  constructor(
    sequence?: Iterable<T | Float> | null,
    { name = null }: { name?: string | null | undefined } = {},
  ) {
    const attaching = (sequence === undefined || sequence === null) && name !== null
    const items = attaching ? null : itemsOf(sequence ?? [])
    const rooms = items?.map(roomFor)
    const formats = items?.map((item, index) => formatOf(item, rooms![index]!))
    const size = rooms?.reduce((sum, room) => sum + room + 2 * WORD + 1, 2 * WORD)
    this.shm = new SharedMemory(size === undefined ? { name } : { name, create: true, size })
    const { buffer, byteOffset, byteLength } = this.shm.buf!
    this.#view = new DataView(buffer, byteOffset, byteLength)
    if (rooms !== undefined) writeStarts(this.#view, rooms)
    const starts = readStarts(this.#view)
    if (starts === null) {
      this.shm.close()
      throw new ValueError(`there is no ShareableList in ${show(this.shm.name)}`)
    }
    this.#starts = starts
    this.length = starts.length - 1
    this.#formats = starts[this.length]!
    this.#codes = this.#formats + WORD * this.length
    for (const [index, item] of (items ?? []).entries()) this.#store(index, item, formats![index]!)
  }

  /**
   * An item. An int is a number, or a bigint when it is no safe integer; bytes are a copy.
   *
   * @param position - Its place; less than zero counts from the end.
   * @throws IndexError when there is none; TypeError for a position that is no whole number; ValueError when
   * the list is closed, or what is there is no item, as half of a string is not.
   */
  get(position: number): T {
    const index = this.#index(position, 'index out of range')
    return this.#load(index) as T
  }

  /** The same as {@link ShareableList.get}, but for a position that is not there, which is undefined. */
  at(position: number): T | undefined {
    const index = Math.trunc(position) || 0
    return index >= this.length || index < -this.length ? undefined : this.get(index)
  }

  /**
   * Replaces an item.
   *
   * @param position - Its place; less than zero counts from the end.
   * @param value - What is to be there. A string or bytes must not be longer than the room there is.
   * @throws IndexError when there is no such place; KeyError for a value of another type; ValueError for a
   * value that does not fit, or when the list is closed; TypeError for a position that is no whole number.
   */
  set(position: number, value: T | Float): void {
    const index = this.#index(position, 'assignment index out of range')
    const item = stored(value)
    const room = this.#starts[index + 1]! - this.#starts[index]!
    if (item.bytes.length > room) throw new ValueError('bytes/str item exceeds available storage')
    const now = this.#format(index)
    const format = item.format === null && now.endsWith('s') ? now : formatOf(item, room)
    if (item.format === null && item.bytes.length > Number.parseInt(format, 10)) {
      throw new ValueError('bytes/str item exceeds available storage')
    }
    this.#store(index, item, format)
  }

  /** How many items equal a value; bytes are compared by content. */
  count(value: T | Float): number {
    let found = 0
    for (const item of this) if (isSame(item, value)) found++
    return found
  }

  /**
   * The place of the first item that equals a value.
   *
   * @throws ValueError when there is none.
   */
  index(value: T | Float): number {
    for (let index = 0; index < this.length; index++) {
      if (isSame(this.get(index), value)) return index
    }
    throw new ValueError(`${inspect(value)} not in this container`)
  }

  /** The formats of all items as they are now, one after the other, as Python's `struct` has them. */
  get format(): string {
    let all = ''
    for (let index = 0; index < this.length; index++) all += this.#format(index)
    return all
  }

  /** All items, each as it is when it is asked for. */
  *[Symbol.iterator](): IterableIterator<T> {
    for (let index = 0; index < this.length; index++) yield this.get(index)
  }

  toString(): string {
    return `${this.constructor.name}(${inspect([...this])}, name='${this.shm.name}')`
  }

  [inspect.custom](): string {
    return this.shm.buf === null
      ? `${this.constructor.name}(closed, name='${this.shm.name}')`
      : this.toString()
  }

  #index(position: number, message: string): number {
    if (!Number.isInteger(position)) {
      throw new TypeError(`a position is a whole number, not ${show(position)}`)
    }
    const index = position < 0 ? position + this.length : position
    if (index < 0 || index >= this.length) throw new IndexError(message)
    this.#checkOpen()
    return index
  }

  #checkOpen(): void {
    if (this.shm.buf === null) throw new ValueError('the shared memory is closed')
  }

  #bytes(start: number, end: number): Buffer {
    return Buffer.from(this.#view.buffer, this.#view.byteOffset + start, end - start)
  }

  #format(index: number): string {
    this.#checkOpen()
    const start = this.#formats + WORD * index
    const text = this.#bytes(start, start + LONGEST_FORMAT).toString('latin1')
    const end = text.indexOf('\0')
    return end < 0 ? text : text.slice(0, end)
  }

  #load(index: number): ShareableValue {
    const start = this.#starts[index]!
    const view = this.#view
    const format = view.getUint16(this.#formats + WORD * index)
    if (format === ONLY_INT) return readInt(view, start)
    if (format === ONLY_FLOAT) return view.getFloat64(start, LITTLE)
    return this.#loadOther(index, start)
  }

  #loadOther(index: number, start: number): ShareableValue {
    const format = this.#format(index)
    const becomes = this.#view.getInt8(this.#codes + index)
    if (format === BOOL || format === NONE) {
      return becomes === NULL ? null : this.#view.getUint8(start + format.indexOf('?')) !== 0
    }
    const length = /^\d+s$/.test(format) ? Number.parseInt(format, 10) : -1
    if (length < 0 || start + length > this.#formats) {
      throw new ValueError(`item ${index} has the format ${show(format)}`)
    }
    const bytes = this.#bytes(start, start + length)
    let end = length
    while (becomes !== ITSELF && end > 0 && bytes[end - 1] === 0) end--
    return becomes === STRING ? textOf(bytes.subarray(0, end)) : Buffer.from(bytes.subarray(0, end))
  }

  #store(index: number, { becomes, bytes, format: own }: Stored, format: string): void {
    const start = this.#starts[index]!
    const at = this.#formats + WORD * index
    const room = this.#bytes(at, at + WORD)
    room.fill(0)
    room.write(format, 'latin1')
    this.#view.setInt8(this.#codes + index, becomes)
    const length = own === null ? Number.parseInt(format, 10) : WORD
    const data = this.#bytes(start, start + length)
    data.set(bytes)
    data.fill(0, bytes.length)
  }
}

/** A format of one letter, with the zero behind it. */
const only = (letter: string): number => letter.charCodeAt(0) << 8
const ONLY_INT = only(INT)
const ONLY_FLOAT = only(FLOAT)

const itemsOf = (sequence: unknown): Stored[] => {
  if (typeof (sequence as Iterable<unknown>)[Symbol.iterator] !== 'function') {
    throw new TypeError(`the items are an iterable, not ${show(sequence)}`)
  }
  return Array.from(sequence as Iterable<unknown>, stored)
}

const writeStarts = (view: DataView, rooms: readonly number[]): void => {
  view.setBigInt64(0, BigInt(rooms.length), LITTLE)
  let start = 0
  for (const [index, room] of rooms.entries()) {
    start += room
    view.setBigInt64(WORD * (index + 2), BigInt(start), LITTLE)
  }
}

/** Where the items begin and the last one ends; null when that cannot be. */
const readStarts = (view: DataView): Float64Array | null => {
  if (view.byteLength < 2 * WORD) return null
  const count = Number(view.getBigInt64(0, LITTLE))
  const data = WORD * (count + 2)
  if (count < 0 || data > view.byteLength) return null
  const starts = new Float64Array(count + 1)
  for (let index = 0; index <= count; index++) {
    starts[index] = data + Number(view.getBigInt64(WORD * (index + 1), LITTLE))
    const least = index === 0 ? data : starts[index - 1]! + WORD
    if (starts[index]! < least) return null
  }
  return starts[count]! + (WORD + 1) * count > view.byteLength ? null : starts
}

/** An int, without making a bigint of it first: nearly all are small. */
const readInt = (view: DataView, start: number): number | bigint => {
  const high = view.getInt32(LITTLE ? start + 4 : start, LITTLE)
  const low = view.getUint32(LITTLE ? start : start + 4, LITTLE)
  const value = high * 2 ** 32 + low
  return Number.isSafeInteger(value) ? value : view.getBigInt64(start, LITTLE)
}

const textOf = (bytes: Buffer): string => {
  const text = bytes.toString()
  if (!text.includes('\ufffd')) return text
  try {
    return strict.decode(bytes)
  } catch {
    throw new ValueError("'utf-8' codec can't decode the item: it is cut off, or no text")
  }
}

registerReducer<ShareableList<any>>(ShareableList, {
  name: 'shared_memory.ShareableList',
  trustedOnly: true,
  reduce: ({ shm }) => shm.name,
  rebuild: (name) => new ShareableList(null, { name: name as string }),
})
