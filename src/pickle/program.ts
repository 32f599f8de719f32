/**
 * The programs that the engine makes of pickles; `crates/wire/src/pickle` describes and checks them.
 * @module
 */
import { latin1Slice, readLatin1, ucs2Slice } from '../codec/strings.js'

export const SKIP = 0
export const NONE = 1
export const TRUE = 2
export const FALSE = 3
export const INT = 4
export const NUMBER = 5
export const LONG = 6
export const LONG_TEXT = 7
export const FLOAT = 8
export const STRING = 9
export const TABLE_STRING = 10
export const BYTES = 11
export const BYTEARRAY = 12
export const TUPLE = 13
export const LIST = 14
export const LIST_OF = 15
export const APPENDS = 16
export const APPEND_INTS = 17
export const APPEND_FLOATS = 18
export const OBJECT = 19
export const MAP = 20
export const OBJECT_OF = 21
export const MAP_OF = 22
export const SET_ITEMS = 23
export const RECORD = 24
export const RECORD_MAP = 25
export const SET = 26
export const FROZENSET = 27
export const ADD_ITEMS = 28
export const GLOBAL = 29
export const REDUCE = 30
export const NEWOBJ = 31
export const NEWOBJ_EX = 32
export const OBJ = 33
export const INST = 34
export const BUILD = 35
export const GET = 36
export const POP = 37
export const END = 38

/** Where the characters of a string are: the kinds of the engine's `StringKind`. */
const UTF8 = 1
const UTF16_BESIDE = 2
const LATIN1_BESIDE = 3

interface Utf8Methods {
  utf8Slice(this: Uint8Array, start: number, end: number): string
}
const { utf8Slice } = Buffer.prototype as unknown as Utf8Methods

/** A program, and the bytes it is about. */
export class Program {
  /** The words. */
  readonly words: Int32Array
  /** The pickle. */
  readonly bytes: Uint8Array
  readonly #beside: Uint8Array
  readonly #strings: (string | undefined)[]

  constructor(words: Uint32Array, bytes: Uint8Array) {
    this.words = new Int32Array(words.buffer, words.byteOffset, words.length)
    this.bytes = bytes
    const beside = words[7]!
    this.#beside = new Uint8Array(
      words.buffer,
      words.byteOffset + beside * 4,
      (words.length - beside) * 4,
    )
    this.#strings = new Array<string | undefined>(words[2]!).fill(undefined)
  }

  /** Where the instructions begin. */
  get start(): number {
    return this.words[0]!
  }

  /** How many slots values may be kept in. */
  get slots(): number {
    return this.words[8]!
  }

  /** The characters at a place. */
  text(kind: number, start: number, length: number): string {
    if (kind === 0) return readLatin1(this.bytes, start, length)
    if (kind === UTF8) return utf8Slice.call(this.bytes, start, start + length)
    if (kind === UTF16_BESIDE) return ucs2Slice.call(this.#beside, start, start + 2 * length)
    if (kind === LATIN1_BESIDE) return latin1Slice.call(this.#beside, start, start + length)
    throw new RangeError('no such kind of text')
  }

  /** The bytes at a place beside the pickle. */
  besides(start: number, length: number): Uint8Array {
    return this.#beside.subarray(start, start + length)
  }

  /** A string of the table. */
  string(number: number): string {
    const known = this.#strings[number]
    if (known !== undefined) return known
    const text = this.#textAt(this.words[1]! + 3 * number)
    this.#strings[number] = text
    return text
  }

  /** The module and the name of a global. */
  global(number: number): [string, string] {
    const at = this.words[3]! + 6 * number
    return [this.#textAt(at), this.#textAt(at + 3)]
  }

  /** The keys of each shape. */
  shapes(): string[][] {
    const { words } = this
    const shapes: string[][] = []
    let at = words[5]!
    for (let left = words[6]!; left > 0; left--) {
      const keys: string[] = []
      const end = at + 1 + words[at]!
      for (at++; at < end; at++) keys.push(this.string(words[at]!))
      shapes.push(keys)
    }
    return shapes
  }

  #textAt(at: number): string {
    const { words } = this
    return this.text(words[at]!, words[at + 1]! >>> 0, words[at + 2]! >>> 0)
  }
}
