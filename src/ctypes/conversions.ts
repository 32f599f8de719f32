/**
 * What may be stored in what: as in ctypes, a wrong type is a TypeError, and an integer that is too large
 * loses its upper bits.
 * @module
 */
import { show } from '../waiting.js'

/** An integer of at most 32 bits; the array that it is stored in takes what it has room for. */
export const toInteger = (value: unknown): number => {
  if (typeof value === 'number' && Number.isInteger(value)) return value
  if (typeof value === 'bigint') return Number(BigInt.asIntN(32, value))
  throw new TypeError(`an integer is wanted, not ${show(value)}`)
}

/** An integer of 64 bits. */
export const toBigInteger = (value: unknown): bigint => {
  if (typeof value === 'bigint') return value
  if (typeof value === 'number' && Number.isInteger(value)) return BigInt(value)
  throw new TypeError(`an integer is wanted, not ${show(value)}`)
}

/** A float. */
export const toFloat = (value: unknown): number => {
  if (typeof value === 'number') return value
  if (typeof value === 'bigint') return Number(value)
  throw new TypeError(`a number is wanted, not ${show(value)}`)
}

/** A bool is whether anything is true of a value. */
export const toBoolean = (value: unknown): number => (value ? 1 : 0)

/** The number of one byte: it may be given as that, as bytes, or as text that takes one byte. */
export const toCharacter = (value: unknown): number => {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 255) {
    return value
  }
  const bytes = typeof value === 'string' ? Buffer.from(value) : value
  if (bytes instanceof Uint8Array && bytes.length === 1) return bytes[0]!
  throw new TypeError(`one byte, or its number, is wanted, not ${shown(value)}`)
}

const shown = (value: unknown): string =>
  value instanceof Uint8Array ? `${value.length} bytes` : show(value)

/** A byte as c_char gives it. */
export const fromCharacter = (byte: number): Buffer => Buffer.of(byte)

/** The characters of a text: where they take two bytes, one is a code unit; else, a code point. */
export const wideCharacters = (text: string, size: number): string[] =>
  size === 2 ? text.split('') : Array.from(text)

/** The number of one character. */
export const toWideCharacter = (value: unknown, size: number): number => {
  if (typeof value === 'string') {
    const characters = wideCharacters(value, size)
    if (characters.length === 1) return characters[0]!.codePointAt(0)!
  }
  throw new TypeError(`one character is wanted, not ${show(value)}`)
}

/** The character of a number; what is none of Unicode is U+FFFD. */
export const fromWideCharacter = (code: number): string =>
  code > 0x10_ffff ? '\u{fffd}' : String.fromCodePoint(code)

/** Bytes as they may be given: text stands for its UTF-8. */
export const toBytes = (value: unknown): Uint8Array => {
  if (typeof value === 'string') return Buffer.from(value)
  if (value instanceof Uint8Array) return value
  throw new TypeError(`bytes are wanted, not ${show(value)}`)
}
