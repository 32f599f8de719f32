/**
 * Strings as bytes: one byte per character when all are Latin-1, two otherwise. Both are what V8 keeps
 * in memory, so nothing is transcoded and lone surrogates survive.
 * @module
 */

interface StringMethods {
  latin1Slice(this: Uint8Array, start: number, end: number): string
  ucs2Slice(this: Uint8Array, start: number, end: number): string
  hexSlice(this: Uint8Array, start: number, end: number): string
  latin1Write(this: Uint8Array, text: string, offset: number, length: number): number
  ucs2Write(this: Uint8Array, text: string, offset: number, length: number): number
  hexWrite(this: Uint8Array, text: string, offset: number, length: number): number
}

/** Buffer's methods that no typings list; they take any Uint8Array as `this`. */
export const { latin1Slice, ucs2Slice, hexSlice, latin1Write, ucs2Write, hexWrite } =
  Buffer.prototype as unknown as StringMethods

/** Up to this many characters a loop beats the call into native code. */
export const LOOP_LIMIT = 48

// On a string that V8 stores in one byte per character the pattern compiles to "never matches" and
// costs nothing, however long the string; on others it stops at the first wide character.
const WIDE = /[\u0100-\uffff]/

/** Whether every character fits one byte. */
export const isLatin1 = (text: string): boolean => !WIDE.test(text)

const fromCharCode = String.fromCharCode

/** Reads `length` Latin-1 characters. Calls into native code only where that is faster. */
export const readLatin1 = (b: Uint8Array, p: number, length: number): string => {
  switch (length) {
    case 0:
      return ''
    case 1:
      return fromCharCode(b[p]!)
    case 2:
      return fromCharCode(b[p]!, b[p + 1]!)
    case 3:
      return fromCharCode(b[p]!, b[p + 1]!, b[p + 2]!)
    case 4:
      return fromCharCode(b[p]!, b[p + 1]!, b[p + 2]!, b[p + 3]!)
    case 5:
      return fromCharCode(b[p]!, b[p + 1]!, b[p + 2]!, b[p + 3]!, b[p + 4]!)
    case 6:
      return fromCharCode(b[p]!, b[p + 1]!, b[p + 2]!, b[p + 3]!, b[p + 4]!, b[p + 5]!)
    case 7:
      return fromCharCode(b[p]!, b[p + 1]!, b[p + 2]!, b[p + 3]!, b[p + 4]!, b[p + 5]!, b[p + 6]!)
    case 8:
      return fromCharCode(
        b[p]!,
        b[p + 1]!,
        b[p + 2]!,
        b[p + 3]!,
        b[p + 4]!,
        b[p + 5]!,
        b[p + 6]!,
        b[p + 7]!,
      )
    case 9:
      return fromCharCode(
        b[p]!,
        b[p + 1]!,
        b[p + 2]!,
        b[p + 3]!,
        b[p + 4]!,
        b[p + 5]!,
        b[p + 6]!,
        b[p + 7]!,
        b[p + 8]!,
      )
    case 10:
      return fromCharCode(
        b[p]!,
        b[p + 1]!,
        b[p + 2]!,
        b[p + 3]!,
        b[p + 4]!,
        b[p + 5]!,
        b[p + 6]!,
        b[p + 7]!,
        b[p + 8]!,
        b[p + 9]!,
      )
    case 11:
      return fromCharCode(
        b[p]!,
        b[p + 1]!,
        b[p + 2]!,
        b[p + 3]!,
        b[p + 4]!,
        b[p + 5]!,
        b[p + 6]!,
        b[p + 7]!,
        b[p + 8]!,
        b[p + 9]!,
        b[p + 10]!,
      )
    case 12:
      return fromCharCode(
        b[p]!,
        b[p + 1]!,
        b[p + 2]!,
        b[p + 3]!,
        b[p + 4]!,
        b[p + 5]!,
        b[p + 6]!,
        b[p + 7]!,
        b[p + 8]!,
        b[p + 9]!,
        b[p + 10]!,
        b[p + 11]!,
      )
    case 13:
      return fromCharCode(
        b[p]!,
        b[p + 1]!,
        b[p + 2]!,
        b[p + 3]!,
        b[p + 4]!,
        b[p + 5]!,
        b[p + 6]!,
        b[p + 7]!,
        b[p + 8]!,
        b[p + 9]!,
        b[p + 10]!,
        b[p + 11]!,
        b[p + 12]!,
      )
    case 14:
      return fromCharCode(
        b[p]!,
        b[p + 1]!,
        b[p + 2]!,
        b[p + 3]!,
        b[p + 4]!,
        b[p + 5]!,
        b[p + 6]!,
        b[p + 7]!,
        b[p + 8]!,
        b[p + 9]!,
        b[p + 10]!,
        b[p + 11]!,
        b[p + 12]!,
        b[p + 13]!,
      )
    case 15:
      return fromCharCode(
        b[p]!,
        b[p + 1]!,
        b[p + 2]!,
        b[p + 3]!,
        b[p + 4]!,
        b[p + 5]!,
        b[p + 6]!,
        b[p + 7]!,
        b[p + 8]!,
        b[p + 9]!,
        b[p + 10]!,
        b[p + 11]!,
        b[p + 12]!,
        b[p + 13]!,
        b[p + 14]!,
      )
    case 16:
      return fromCharCode(
        b[p]!,
        b[p + 1]!,
        b[p + 2]!,
        b[p + 3]!,
        b[p + 4]!,
        b[p + 5]!,
        b[p + 6]!,
        b[p + 7]!,
        b[p + 8]!,
        b[p + 9]!,
        b[p + 10]!,
        b[p + 11]!,
        b[p + 12]!,
        b[p + 13]!,
        b[p + 14]!,
        b[p + 15]!,
      )
    default:
      return latin1Slice.call(b, p, p + length)
  }
}

/** Reads `length` UTF-16 code units. */
export const readUtf16 = (bytes: Uint8Array, start: number, length: number): string => {
  if (length > 12) return ucs2Slice.call(bytes, start, start + length * 2)
  let text = ''
  for (let i = 0; i < length; i++) {
    text += fromCharCode(bytes[start + i * 2]! | (bytes[start + i * 2 + 1]! << 8))
  }
  return text
}

/** Writes Latin-1 characters and returns the position behind them, or -1 at a character that is wider. */
export const writeShortLatin1 = (bytes: Uint8Array, position: number, text: string): number => {
  const length = text.length
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i)
    if (code > 0xff) return -1
    bytes[position + i] = code
  }
  return position + length
}

/** Writes UTF-16 code units and returns the position behind them. */
export const writeUtf16 = (bytes: Uint8Array, position: number, text: string): number => {
  const length = text.length
  if (length > LOOP_LIMIT) {
    ucs2Write.call(bytes, text, position, length * 2)
    return position + length * 2
  }
  let at = position
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i)
    bytes[at++] = code & 0xff
    bytes[at++] = code >>> 8
  }
  return at
}
