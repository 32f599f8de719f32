/**
 * The wire format of an object graph. Encoder and decoder share these constants.
 *
 * A message is self-contained:
 *
 * | part | size | content |
 * |---|---|---|
 * | header | 1 | `HEADER` plus the flags `HAS_BACK_REFERENCES`, `HAS_MODULES` |
 * | value | n | one value, see below |
 * | module table | n | only with `HAS_MODULES`: *count*, then as many *text* values, the modules' URLs |
 * | table length | 4 | only with `HAS_MODULES`: size of the module table, so that a reader finds it from the end |
 *
 * Numbers are little-endian. A *count* is an unsigned LEB128 number of 1 to 5 bytes, a *length* one of 1
 * to 8 bytes, at most 2^53 - 1. A *text* is a value that is a string. Every value starts with a tag:
 *
 * | tag | bytes after it | value |
 * |---|---|---|
 * | 00..7f | 0 | the integer 0..127 |
 * | 80..9f | 0..31 | a string of that many Latin-1 characters |
 * | a0..af | values | an array of 0..15 elements |
 * | b0..bf | values | an object whose shape is number 0..15 of this message |
 * | `UNDEFINED` `NULL` `TRUE` `FALSE` | 0 | |
 * | `HOLES` | count | a run of missing elements; only inside a `HOLEY_ARRAY` |
 * | `UINT8` `INT8` `INT16` `INT32` | 1, 1, 2, 4 | an integer (never -0) |
 * | `FLOAT64` | 8 | any other number |
 * | `BIGINT64` | 8 | a bigint that fits a signed 64-bit word |
 * | `BIGINT_POSITIVE` `BIGINT_NEGATIVE` | count n, n | magnitude, most significant byte first |
 * | `LATIN1` | count n, n | a string, a byte per character |
 * | `UTF16` | count n, 2n | a string, two bytes per code unit, whether or not surrogates pair up; in long strings n may take a byte more than it needs, so that the code units lie at an even distance from the header |
 * | `SYMBOL_FOR` | text | `Symbol.for(text)` |
 * | `SYMBOL_WELL_KNOWN` | 1 | number in `WELL_KNOWN_SYMBOLS` |
 * | `ARRAY` | count, values | an array |
 * | `HOLEY_ARRAY` | count, values | an array whose values may be `HOLES`; the runs count towards the number of values |
 * | `ARRAY_INT8` `ARRAY_INT16` `ARRAY_INT32` `ARRAY_FLOAT64` | count n, n × 1, 2, 4, 8 | an array of numbers only |
 * | `ARRAY_DATE` | count n, n × 8 | an array of Dates, by their time values |
 * | `ARRAY_BIGINT` | count n, count m, m | an array of n bigints, as a *bigint block* of m bytes |
 * | `ARRAY_LATIN1` | count n, n counts, characters | an array of strings: their lengths, then all their Latin-1 characters |
 * | `SHAPE_NEW` | 2, count n, n, values | an object; its key block becomes the next shape of this message |
 * | `SHAPE` | count, values | an object whose shape is that number |
 * | `DICTIONARY` | count, (text, value) × count | an object with its keys in line |
 * | `NULL_PROTOTYPE` | value | the object that follows, without a prototype |
 * | `INSTANCE` | reference, value, fields | what follows, with the prototype of the referenced class |
 * | `CALL` | reference, array | what the referenced function returns for these arguments |
 * | `REFERENCE` | reference | a function or class |
 * | `IMPORT` | count, path | what the module of that number exports, or, with an empty path, the module itself; only among the values of a function |
 * | `REDUCED` | text, value | what the reducer of that name rebuilds from the value |
 * | `MAP` | count, (value, value) × count | |
 * | `SET` | count, values | |
 * | `DATE` | 8 | the time value, NaN when invalid |
 * | `DATE_AGAIN` | count | the Date with that number |
 * | `REGEXP` | text, text, value | source, flags, lastIndex |
 * | `BOXED` | value | the object wrapper of a primitive |
 * | `ERROR` | 1, 1, parts | class in `ERROR_CLASSES`; `ERROR_*` flags; then the parts the flags name |
 * | `DOM_EXCEPTION` | text, text, value | message, name, stack |
 * | `URL` `URL_SEARCH_PARAMS` | text | |
 * | `ARRAY_BUFFER` | count n, n | |
 * | `ARRAY_BUFFER_OUTSIDE` | count n | its n bytes are the next out-of-band buffer |
 * | `VIEW` | 1, count n, n | class in `VIEW_CLASSES`; n bytes, the whole of its own ArrayBuffer |
 * | `VIEW_OUTSIDE` | 1, count n | the same with the bytes out of band |
 * | `VIEW_ON` | 1, length, length, value | class, byte offset, byte length, and the ArrayBuffer, which others may share |
 * | `BACK_REFERENCE` | count | the object with that number |
 *
 * - Objects are numbered from 0 in the order in which their first byte appears; functions and symbols
 *   are not. Dates are numbered by themselves, also from 0, unless they follow an `INSTANCE`. A `VIEW` takes two numbers: its own and then its ArrayBuffer's. What `INSTANCE` or
 *   `NULL_PROTOTYPE` precede has one number between them.
 * - A *reference* is a count: the number of a reference met before in this message, or, when it equals
 *   how many there were, a new one. That goes on with a count: the module's number + 1, and a *path*; or
 *   0, and a *function by value*.
 * - A *path* is a count, then as many texts: the names from a module's exports to the value.
 * - A *function by value* is its *definition* (a text, see `definition.ts`), which says how many values
 *   follow; the values that are needed to make it; a byte, 0 when the values that it captures
 *   follow at once, 1 when they are put off; then these. Until all of the first kind are read, a class
 *   does not exist, and nothing may refer to it. What is put off, because it leads to such a class,
 *   follows as soon as no class is being defined, in the order in which it was put off.
 * - A *key block* is a count k, then k keys, each a count `length × 2 + wide` and its characters, in
 *   one byte each or, when wide, in two. The two bytes in front are a hash of the block: only a hint
 *   where a reader may look for it in a cache.
 * - A *bigint block* is what V8 writes for an array of bigints: `ff 0d 41`, count n, then for each bigint
 *   `5a`, count `length × 2 + negative` and its magnitude in so many bytes, the least significant first;
 *   at the end `24 00`, count n.
 * - *fields* are one object value, the enumerable own fields of something that is not a plain object
 *   underneath; after a plain object they are left out.
 * - The parts of an error, in this order: message (text), stack (text), hidden fields (a `DICTIONARY`
 *   without its tag), enumerable fields (an object value).
 *
 * @module
 */

/** Bytes in front of the payload that an encoder leaves free for the native frame header. */
export const HEADROOM = 64

/** ArrayBuffers and views of at least this many bytes travel outside the payload. */
export const OUT_OF_BAND_THRESHOLD = 32 * 1024

/**
 * How deep containers may nest; deeper graphs are refused on both sides. Both walk recursively. On the
 * stack that Node gives a thread by default, code that is not optimized yet encodes 1600 levels of plain
 * objects and 1090 of the worst kind (errors in fields of errors), and decodes 1490 of its worst kind, so
 * a receiver can always read what a sender could write.
 */
export const MAXIMUM_DEPTH = 1000

/** How many keys an object may have before its keys are written in line, without a shape. */
export const MAXIMUM_SHAPE_KEYS = 128

export const HEADER = 0x50
export const HEADER_MASK = 0xfc
export const HAS_BACK_REFERENCES = 0x01
export const HAS_MODULES = 0x02

export const SHORT_STRING = 0x80
export const SHORT_ARRAY = 0xa0
export const SHORT_SHAPE = 0xb0
export const SHORT_STRING_LIMIT = 32
export const SHORT_ARRAY_LIMIT = 16
export const SHORT_SHAPE_LIMIT = 16

export const UNDEFINED = 0xc0
export const NULL = 0xc1
export const TRUE = 0xc2
export const FALSE = 0xc3
export const HOLES = 0xc5
export const UINT8 = 0xc6
export const INT8 = 0xc7
export const INT16 = 0xc8
export const INT32 = 0xc9
export const FLOAT64 = 0xca
export const BIGINT64 = 0xcb
export const BIGINT_POSITIVE = 0xcc
export const BIGINT_NEGATIVE = 0xcd
export const LATIN1 = 0xce
export const UTF16 = 0xcf
export const SYMBOL_FOR = 0xd0
export const SYMBOL_WELL_KNOWN = 0xd1
export const ARRAY = 0xd2
export const HOLEY_ARRAY = 0xd3
export const ARRAY_INT8 = 0xd4
export const ARRAY_INT16 = 0xd5
export const ARRAY_INT32 = 0xd6
export const ARRAY_FLOAT64 = 0xd7
export const ARRAY_LATIN1 = 0xc4
export const SHAPE_NEW = 0xd8
export const SHAPE = 0xd9
export const DICTIONARY = 0xda
export const NULL_PROTOTYPE = 0xdb
export const INSTANCE = 0xdc
export const CALL = 0xdd
export const REFERENCE = 0xde
export const REDUCED = 0xdf
export const MAP = 0xe0
export const SET = 0xe1
export const DATE = 0xe2
export const REGEXP = 0xe3
export const BOXED = 0xe4
export const ERROR = 0xe5
export const DOM_EXCEPTION = 0xe6
export const URL_TAG = 0xe7
export const URL_SEARCH_PARAMS = 0xe8
export const ARRAY_BUFFER = 0xe9
export const ARRAY_BUFFER_OUTSIDE = 0xea
export const VIEW = 0xeb
export const VIEW_OUTSIDE = 0xec
export const VIEW_ON = 0xed
export const BACK_REFERENCE = 0xee
export const DATE_AGAIN = 0xef
export const ARRAY_DATE = 0xf0
export const ARRAY_BIGINT = 0xf1
export const IMPORT = 0xf2

/** Whether the values that a function by value captures follow its definition or are put off. */
export const CAPTURED_NOW = 0
export const CAPTURED_LATER = 1

export const ERROR_MESSAGE = 1
export const ERROR_STACK = 2
export const ERROR_HIDDEN = 4
export const ERROR_FIELDS = 8
export const ERROR_FLAGS = 15
