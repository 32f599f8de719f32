/**
 * Bytes of a pickle, as they grow.
 * @module
 */
import { latin1Write } from '../codec/strings.js'

interface Utf8Methods {
  utf8Write(this: Uint8Array, text: string, offset: number, length: number): number
}
const { utf8Write } = Buffer.prototype as unknown as Utf8Methods

/** What is kept between pickles, at most. */
const KEPT = 1 << 20
const FIRST = 1 << 12
/** Up to this many characters a loop beats the call into native code. */
const LOOP_LIMIT = 40

const SHORT_BINUNICODE = 0x8c
const BINUNICODE = 0x58
const BINUNICODE8 = 0x8d

const double = new Float64Array(1)
const doubleBytes = new Uint8Array(double.buffer)
const LITTLE = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1

let kept: Uint8Array = new Uint8Array(FIRST)

/** A place to write to. Only one may be open at a time, or the memory is another's. */
export class Writer {
  bytes = kept
  length = 0

  constructor() {
    // Whoever comes in the middle, such as a dump of the program's that dumps, has memory of his own.
    kept = new Uint8Array(0)
  }

  /** What was written, in memory of its own. */
  finish(): Buffer {
    const copy = Buffer.allocUnsafeSlow(this.length)
    copy.set(this.bytes.subarray(0, this.length))
    return copy
  }

  /** Gives the memory back. */
  close(): void {
    if (this.bytes.length > kept.length && this.bytes.length <= KEPT) kept = this.bytes
  }

  /** Sees to it that there is room for so many bytes. */
  room(wanted: number): void {
    if (this.length + wanted > this.bytes.length) this.#grow(wanted)
  }

  byte(value: number): void {
    if (this.length === this.bytes.length) this.#grow(1)
    this.bytes[this.length++] = value
  }

  bytePair(first: number, second: number): void {
    this.room(2)
    this.bytes[this.length++] = first
    this.bytes[this.length++] = second
  }

  /** An opcode and a number of four bytes. */
  word(opcode: number, value: number): void {
    this.room(5)
    const { bytes } = this
    let at = this.length
    bytes[at++] = opcode
    bytes[at++] = value
    bytes[at++] = value >>> 8
    bytes[at++] = value >>> 16
    bytes[at++] = value >>> 24
    this.length = at
  }

  /** An opcode and a length of eight bytes. */
  long(opcode: number, value: number): void {
    this.word(opcode, value % 2 ** 32)
    this.room(4)
    let high = Math.floor(value / 2 ** 32)
    for (let i = 0; i < 4; i++) {
      this.bytes[this.length++] = high
      high >>>= 8
    }
  }

  /** An opcode and a double, the largest byte first. */
  float(opcode: number, value: number): void {
    this.room(9)
    const { bytes } = this
    let at = this.length
    bytes[at++] = opcode
    double[0] = value
    if (LITTLE) for (let i = 7; i >= 0; i--) bytes[at++] = doubleBytes[i]!
    else for (let i = 0; i < 8; i++) bytes[at++] = doubleBytes[i]!
    this.length = at
  }

  /** Bytes as they are. */
  raw(bytes: Uint8Array): void {
    this.room(bytes.length)
    this.bytes.set(bytes, this.length)
    this.length += bytes.length
  }

  /** A string, in UTF-8; surrogates that stand alone as Python's `surrogatepass` writes them. */
  string(text: string): void {
    const { length } = text
    if (length <= LOOP_LIMIT && this.#ascii(text)) return
    const wellFormed = isWellFormed(text)
    const size = wellFormed ? Buffer.byteLength(text) : sizeWithSurrogates(text)
    if (size < 256) this.bytePair(SHORT_BINUNICODE, size)
    else if (size < 2 ** 32) this.word(BINUNICODE, size)
    else this.long(BINUNICODE8, size)
    this.room(size)
    if (size === length) latin1Write.call(this.bytes, text, this.length, size)
    else if (wellFormed) utf8Write.call(this.bytes, text, this.length, size)
    else writeWithSurrogates(this.bytes, this.length, text)
    this.length += size
  }

  /** A short string, if it is ASCII. */
  #ascii(text: string): boolean {
    const { length } = text
    this.room(length + 2)
    const { bytes } = this
    let at = this.length
    bytes[at++] = SHORT_BINUNICODE
    bytes[at++] = length
    for (let i = 0; i < length; i++) {
      const code = text.charCodeAt(i)
      if (code > 0x7f) return false
      bytes[at++] = code
    }
    this.length = at
    return true
  }

  #grow(wanted: number): void {
    const size = Math.max(FIRST, 2 * this.bytes.length, this.length + wanted)
    const larger = new Uint8Array(size)
    larger.set(this.bytes.subarray(0, this.length))
    this.bytes = larger
  }
}

const { isWellFormed: method } = String.prototype as unknown as { isWellFormed(): boolean }
const isWellFormed = (text: string): boolean => method.call(text)

const codeOf = (text: string, at: number): number => text.codePointAt(at)!

const sizeWithSurrogates = (text: string): number => {
  let size = 0
  for (let i = 0; i < text.length; i++) {
    const code = codeOf(text, i)
    size += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4
    if (code >= 0x10000) i++
  }
  return size
}

const writeWithSurrogates = (bytes: Uint8Array, start: number, text: string): void => {
  let at = start
  for (let i = 0; i < text.length; i++) {
    const code = codeOf(text, i)
    if (code < 0x80) bytes[at++] = code
    else {
      if (code < 0x800) bytes[at++] = 0xc0 | (code >>> 6)
      else {
        if (code < 0x10000) bytes[at++] = 0xe0 | (code >>> 12)
        else {
          bytes[at++] = 0xf0 | (code >>> 18)
          bytes[at++] = 0x80 | ((code >>> 12) & 0x3f)
          i++
        }
        bytes[at++] = 0x80 | ((code >>> 6) & 0x3f)
      }
      bytes[at++] = 0x80 | (code & 0x3f)
    }
  }
}
