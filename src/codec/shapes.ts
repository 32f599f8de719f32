/**
 * Shapes: the lists of keys that plain objects share. Both sides remember those they meet, in memory
 * that is bounded, because keys may come from anywhere.
 * @module
 */
import { UnpicklingError } from '../errors.js'
import { MAXIMUM_SHAPE_KEYS, SHAPE_NEW } from './format.js'
import { isLatin1, readLatin1, readUtf16 } from './strings.js'

/** Keys longer than this do not become part of a remembered shape. */
const MAXIMUM_KEY_LENGTH = 256
/** What the encoder's shapes may take, in bytes, roughly; beyond it they are forgotten. */
export const ENCODER_SHAPE_BUDGET = 4 * 1024 * 1024
const NODE_COST = 160

/** A place in the tree of key lists: the key list that leads here from the root. */
export interface ShapeNode {
  readonly parent: ShapeNode | null
  readonly key: string
  /** How many keys lead here; -1 for the node that stands for "no shape". */
  readonly size: number
  /** The child taken last: nearly always the one taken next. */
  lastKey: string | null
  lastChild: ShapeNode
  children: Map<string, ShapeNode> | null
  /** The key list, once an object had exactly these keys. */
  keys: readonly string[]
  /** `SHAPE_NEW`, the hash and the key block, padded to whole words; empty until an object needs it. */
  words: Int32Array
  /** How many bytes of `words` count. */
  byteLength: number
  /** The message that defined this shape last, and its number in it. */
  message: number
  index: number
}

const NO_KEYS: readonly string[] = []
const NO_WORDS = new Int32Array(0)

const makeNode = (parent: ShapeNode | null, key: string, size: number): ShapeNode => {
  const node = {
    parent,
    key,
    size,
    lastKey: null,
    lastChild: null as unknown as ShapeNode,
    children: null,
    keys: NO_KEYS,
    words: NO_WORDS,
    byteLength: 0,
    message: 0,
    index: 0,
  }
  node.lastChild = node
  return node
}

/** Where a walk ends when the object gets no shape; every step from it leads back to it. */
export const NO_SHAPE = makeNode(null, '', -1)

let root = makeNode(null, '', 0)
let spent = 0

/** The node of the empty key list. */
export const shapeRoot = (): ShapeNode => {
  if (spent > ENCODER_SHAPE_BUDGET) {
    root = makeNode(null, '', 0)
    spent = 0
  }
  return root
}

/** What the encoder's shapes take now, in bytes, roughly. */
export const encoderShapeBytes = (): number => spent

/** Goes from a key list to the one with another key at its end. */
export const extend = (node: ShapeNode, key: string): ShapeNode => {
  if (node === NO_SHAPE) return node
  let child = node.children?.get(key)
  if (child === undefined) {
    if (
      node.size === MAXIMUM_SHAPE_KEYS ||
      key.length > MAXIMUM_KEY_LENGTH ||
      spent > ENCODER_SHAPE_BUDGET
    ) {
      return NO_SHAPE
    }
    child = makeNode(node, key, node.size + 1)
    spent += NODE_COST + key.length * 2
    node.children ??= new Map()
    node.children.set(key, child)
  }
  node.lastKey = key
  node.lastChild = child
  return child
}

const pushCount = (block: number[], count: number): void => {
  let rest = count
  while (rest > 127) {
    block.push((rest & 127) | 128)
    rest >>>= 7
  }
  block.push(rest)
}

const hashOf = (block: readonly number[]): number => {
  let hash = 0x811c9dc5
  for (const byte of block) hash = Math.imul(hash ^ byte, 0x01000193)
  return (hash ^ (hash >>> 16)) & 0xffff
}

/** Prepares the bytes that define the node's shape. */
export const prepareShape = (node: ShapeNode): void => {
  const keys: string[] = []
  for (let at = node; at.parent !== null; at = at.parent) keys.push(at.key)
  keys.reverse()
  const block: number[] = []
  pushCount(block, keys.length)
  for (const key of keys) {
    const wide = !isLatin1(key)
    pushCount(block, key.length * 2 + (wide ? 1 : 0))
    for (let i = 0; i < key.length; i++) {
      const code = key.charCodeAt(i)
      block.push(code & 0xff)
      if (wide) block.push(code >>> 8)
    }
  }
  const hash = hashOf(block)
  const all = [SHAPE_NEW, hash & 0xff, hash >>> 8]
  pushCount(all, block.length)
  for (const byte of block) all.push(byte)
  const words = new Int32Array((all.length + 3) >>> 2)
  for (let i = 0; i < all.length; i++) words[i >>> 2]! |= all[i]! << ((i & 3) * 8)
  node.keys = keys
  node.words = words
  node.byteLength = all.length
  spent += words.byteLength + keys.length * 8
}

/** After this many objects of a shape a function made for it pays for itself. */
const USES_BEFORE_FUNCTION = 24
// Making a function costs tens of microseconds: who invents shapes must not get one for each.
let functionsLeft = 4096

/** A key list as the decoder knows it. */
export interface Shape {
  readonly keys: readonly string[]
  /** The key block it was read from. */
  readonly block: Uint8Array
  /** How many objects were built from it, up to the point where a builder is worth making. */
  uses: number
  /** Builds an object from the values that follow; null while the shape is not worth it. */
  build: (() => object) | null
}

const SHAPE_CACHE_SIZE = 1024
const MAXIMUM_CACHED_BLOCK = 2048
const cachedShapes: (Shape | undefined)[] = new Array(SHAPE_CACHE_SIZE).fill(undefined)

/** How many shapes the decoder keeps at most. */
export const DECODER_SHAPE_LIMIT = SHAPE_CACHE_SIZE

const corrupt = (): UnpicklingError => new UnpicklingError('a list of keys is malformed')

const parseBlock = (bytes: Uint8Array, start: number, length: number): Shape => {
  const end = start + length
  let at = start
  const count = (): number => {
    let value = 0
    for (let shift = 0; shift < 28; shift += 7) {
      if (at >= end) throw corrupt()
      const byte = bytes[at++]!
      value |= (byte & 127) << shift
      if (byte < 128) return value
    }
    throw corrupt()
  }
  const size = count()
  if (size > MAXIMUM_SHAPE_KEYS) throw corrupt()
  const keys: string[] = []
  for (let i = 0; i < size; i++) {
    const header = count()
    const characters = header >>> 1
    const taken = characters << (header & 1)
    if (taken > end - at) throw corrupt()
    keys.push(
      (header & 1) === 1 ? readUtf16(bytes, at, characters) : readLatin1(bytes, at, characters),
    )
    at += taken
  }
  if (at !== end || new Set(keys).size !== size) throw corrupt()
  const block = new Uint8Array(length)
  for (let i = 0; i < length; i++) block[i] = bytes[start + i]!
  return { keys, block, uses: 0, build: null }
}

const matches = (shape: Shape, bytes: Uint8Array, start: number, length: number): boolean => {
  const block = shape.block
  if (block.length !== length) return false
  for (let i = 0; i < length; i++) if (bytes[start + i] !== block[i]) return false
  return true
}

/** Finds or reads the shape of a key block, which lies within the message. */
export const shapeOf = (bytes: Uint8Array, start: number, length: number, hash: number): Shape => {
  const slot = hash & (SHAPE_CACHE_SIZE - 1)
  const known = cachedShapes[slot]
  if (known !== undefined && matches(known, bytes, start, length)) return known
  const shape = parseBlock(bytes, start, length)
  if (length <= MAXIMUM_CACHED_BLOCK) cachedShapes[slot] = shape
  return shape
}

/** Counts a use of the shape while its builder is missing; makes the builder when it is due. */
export const countUse = (shape: Shape, read: () => unknown): void => {
  if (++shape.uses !== USES_BEFORE_FUNCTION || functionsLeft === 0) return
  // In a literal this key would set the prototype.
  if (shape.keys.includes('__proto__')) return
  functionsLeft--
  const fields = shape.keys.map((key) => `${JSON.stringify(key)}: read()`)
  try {
    shape.build = new Function('read', `return () => ({ ${fields.join(', ')} })`)(read)
  } catch {
    // The process forbids making code from strings; objects are then filled field by field.
    functionsLeft = 0
  }
}
