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

/** Where characters take four bytes, one is a code point; where they take two, it is a code unit. */
export const toWideCharacter = (value: unknown, size: number): number => {
  if (typeof value === 'string') {
    const codes = wideCodes(value, size)
    if (codes.length === 1) return codes[0]!
  }
  throw new TypeError(`one character is wanted, not ${show(value)}`)
}

/** The numbers of the characters of a text. */
export const wideCodes = (text: string, size: number): number[] =>
  size === 2
    ? Array.from({ length: text.length }, (_, i) => text.charCodeAt(i))
    : Array.from(text, (character) => character.codePointAt(0)!)

/** The text that characters are; what is no character of Unicode shows as U+FFFD. */
export const fromWideCodes = (codes: Iterable<number>, size: number): string => {
  let text = ''
  for (const code of codes) {
    if (size === 2) text += String.fromCharCode(code)
    else text += code > 0x10_ffff ? '\u{fffd}' : String.fromCodePoint(code)
  }
  return text
}

/** Bytes as they may be given: text stands for its UTF-8. */
export const toBytes = (value: unknown): Uint8Array => {
  if (typeof value === 'string') return Buffer.from(value)
  if (value instanceof Uint8Array) return value
  throw new TypeError(`bytes are wanted, not ${show(value)}`)
}
