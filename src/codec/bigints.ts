/**
 * Blocks of large bigints. A program can only take a bigint apart by steps that each make another one;
 * V8 copies its memory, so arrays of them go through V8's own serializer. The block is described in
 * `format.ts`; what is read from strangers is held to that before V8 sees it.
 * @module
 */
import type { Deserializer, Serializer } from 'node:v8'

interface Engine {
  readonly Serializer: typeof Serializer
  readonly Deserializer: typeof Deserializer
  /** One object of each kind that this module handles. */
  readonly kept: readonly object[]
}

let loaded: Engine | null = null

/** Loads what few programs need. */
const load = (): Engine => {
  const { Serializer, Deserializer } = process.getBuiltinModule('node:v8')
  const serializer = new Serializer()
  serializer.writeHeader()
  const block = serializer.releaseBuffer()
  // While none of a kind is alive, each collection of garbage makes V8 forget the code optimized for it.
  return { Serializer, Deserializer, kept: [serializer, block, new Deserializer(block)] }
}

const engine = (): Engine => {
  loaded ??= load()
  return loaded
}

// Of all that V8 has written since it knows bigints, the oldest version: any Node can read it.
const VERSION = 0x0d
const VERSION_MARK = 0xff
const ARRAY_MARK = 0x41
const BIGINT_MARK = 0x5a
const END_MARK = 0x24

/** How many bytes a block has in front of what {@link serialize} returns. */
export const BLOCK_HEADER_LENGTH = 2

/** Writes what a block begins with. */
export const writeBlockHeader = (bytes: Uint8Array, position: number): void => {
  bytes[position] = VERSION_MARK
  bytes[position + 1] = VERSION
}

/**
 * Serializes bigints. Returns all of the block but its header, or null when V8 writes it in another way
 * than expected.
 */
export const serialize = (bigints: readonly bigint[]): Uint8Array | null => {
  const serializer = new (engine().Serializer)()
  serializer.writeValue(bigints)
  const block = serializer.releaseBuffer()
  return block[0] === ARRAY_MARK ? block : null
}

/** Whether a block is one of so many bigints and nothing else. */
export const isBigintBlock = (
  bytes: Uint8Array,
  start: number,
  end: number,
  length: number,
): boolean => {
  let at = start
  const count = (): number => {
    let value = 0
    for (let factor = 1; factor <= 0x10000000; factor *= 128) {
      const byte = at < end ? bytes[at++]! : 128
      value += (byte & 127) * factor
      if (byte < 128) return value
    }
    return -1
  }
  const mark = (wanted: number): boolean => at < end && bytes[at++] === wanted
  if (!(mark(VERSION_MARK) && mark(VERSION) && mark(ARRAY_MARK) && count() === length)) return false
  for (let i = 0; i < length; i++) {
    if (!mark(BIGINT_MARK)) return false
    const header = count()
    if (header < 0) return false
    at += Math.floor(header / 2)
  }
  return mark(END_MARK) && mark(0) && count() === length && at === end
}

/**
 * Reads a block.
 *
 * @throws Error when V8 cannot read it.
 */
export const deserialize = (block: Uint8Array): unknown => {
  const deserializer = new (engine().Deserializer)(block)
  deserializer.readHeader()
  return deserializer.readValue()
}
