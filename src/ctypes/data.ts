/**
 * What all C types have in common: an object is a place in some memory, and its class knows how large it
 * is and what lies where in it.
 * @module
 */
import { ValueError } from '../errors.js'
import { show } from '../waiting.js'
import type { Storage } from './kinds.js'
import { copyBytes, MEMORY, type Memory, memoryOf, OFFSET, type Placed, u8 } from './memory.js'
import type { MemoryProperty } from './properties.js'

/** Where a class keeps what is known of it. */
const INFO: unique symbol = Symbol('info')

/** The static method by which a class says what it is. */
export const DESCRIBE: unique symbol = Symbol('describe')

declare const BRAND: unique symbol

/** A C type: a class whose instances lie in memory. */
export interface DataType<T extends CData = CData> {
  new (...args: any[]): T
  readonly prototype: T
  readonly name: string
}

/** What is known of a C type. */
export interface TypeInfo {
  readonly type: DataType
  /** In bytes. */
  readonly size: number
  readonly alignment: number
  /** How it is stored; null unless it is one of the fundamental types. */
  readonly storage: Storage | null
  /** Whether its bytes have the other order than this machine's. */
  readonly swapped: boolean
  /** How many bits a bit field of it may have; null when it can have none. */
  readonly maximumBits: number | null
  /** The object that lies somewhere. No constructor runs. */
  place(memory: Memory, offset: number): CData
  /** The property of a field of this type. */
  property(at: number, isAligned: boolean): MemoryProperty
  /** Gives an object of this type what may be assigned to it. */
  assign(target: CData, value: unknown): void
}

/** What a class says of itself, and what follows from that. */
export type Description = Omit<TypeInfo, 'type' | 'property' | 'place'> &
  Partial<Pick<TypeInfo, 'property'>> & {
    /** The properties of an object that does not lie at a multiple of its alignment. */
    unaligned?(): PropertyDescriptorMap
    place?: TypeInfo['place']
  }

type Described = DataType & {
  [INFO]?: TypeInfo
  [DESCRIBE]?: (type: DataType) => Description
}

/**
 * What is known of a C type; found out when it is asked for the first time.
 *
 * @throws TypeError for what is no C type.
 */
export const infoOf = (type: DataType): TypeInfo => {
  const described = type as Described
  if (typeof type === 'function' && Object.hasOwn(type, INFO)) return described[INFO]!
  if (typeof type !== 'function' || described[DESCRIBE] === undefined) {
    throw new TypeError(`this type has no size: ${show(type)}`)
  }
  const { unaligned, ...description } = described[DESCRIBE](type)
  const info: TypeInfo = {
    type,
    place: placer(type, description.alignment, unaligned),
    property: (at) => ({
      get() {
        return info.place(this[MEMORY], this[OFFSET] + at)
      },
      set(value) {
        info.assign(info.place(this[MEMORY], this[OFFSET] + at), value)
      },
    }),
    ...description,
  }
  Object.defineProperty(type, INFO, { value: info })
  return info
}

/** A constructor of objects of a class that runs none of the class's own. */
export const bare = (prototype: object): (new (memory: Memory, offset: number) => CData) => {
  function Bare(this: Placed, memory: Memory, offset: number): void {
    this[MEMORY] = memory
    this[OFFSET] = offset
  }
  Bare.prototype = prototype
  return Bare as unknown as new (
    memory: Memory,
    offset: number,
  ) => CData
}

const placer = (
  type: DataType,
  alignment: number,
  unaligned: (() => PropertyDescriptorMap) | undefined,
): TypeInfo['place'] => {
  const Bare = bare(type.prototype)
  let Unaligned: typeof Bare | undefined
  return (memory, offset) => {
    if (offset % alignment === 0 || unaligned === undefined) return new Bare(memory, offset)
    Unaligned ??= bare(Object.create(type.prototype, unaligned()))
    return new Unaligned(memory, offset)
  }
}

/** Where the object goes whose constructor runs next. */
let next: { readonly type: DataType; readonly memory: Memory } | null = null

/** Makes an object at the beginning of some memory; its constructor runs. */
export const constructAt = <T extends CData>(
  type: DataType<T>,
  memory: Memory,
  args: readonly unknown[],
): T => {
  next = { type, memory }
  try {
    return new type(...args)
  } finally {
    next = null
  }
}

/**
 * An object with a C type: it is a place in some memory, which may be shared, and it reads and writes there.
 * One that is made with `new` has memory of its own.
 *
 * Mirrors ctypes' `_CData`.
 */
export abstract class CData {
  /** Tells these objects from others, for TypeScript. */
  declare protected readonly [BRAND]: true
  /** @internal */
  declare [MEMORY]: Memory
  /** @internal */
  declare [OFFSET]: number

  constructor() {
    const { size } = infoOf(new.target as unknown as DataType)
    if (next !== null && next.type === (new.target as unknown)) {
      this[MEMORY] = next.memory
      next = null
    } else {
      this[MEMORY] = memoryOf(new ArrayBuffer(size))
    }
    this[OFFSET] = 0
  }

  /**
   * An object of this type in memory that is there already, such as that of a `SharedMemory`. Both see
   * what the other writes. No constructor runs.
   *
   * @param source - An ArrayBuffer, a SharedArrayBuffer, or a view of one.
   * @param offset - Where in it, in bytes.
   * @throws ValueError when the object does not fit; TypeError when `source` is no memory.
   *
   * Mirrors ctypes' `from_buffer`.
   */
  static fromBuffer<T extends CData>(
    this: DataType<T>,
    source: ArrayBufferLike | ArrayBufferView,
    offset = 0,
  ): T {
    // biome-ignore lint/complexity/noThisInStatic: it is the class that it was called on.
    const info = infoOf(this)
    const view = bytesIn(source)
    if (!Number.isSafeInteger(offset)) {
      throw new TypeError(`an offset is a whole number, not ${show(offset)}`)
    }
    if (offset < 0) throw new ValueError('offset cannot be negative')
    if (view.byteLength - offset < info.size) {
      throw new ValueError(
        `Buffer size too small (${view.byteLength} instead of at least ${info.size + offset} bytes)`,
      )
    }
    return info.place(memoryOf(view.buffer), view.byteOffset + offset) as T
  }
}

/** All bytes of some memory, as it may be given. */
const bytesIn = (source: unknown): Uint8Array => {
  if (ArrayBuffer.isView(source)) {
    return new Uint8Array(source.buffer, source.byteOffset, source.byteLength)
  }
  if (source instanceof ArrayBuffer || source instanceof SharedArrayBuffer) {
    return new Uint8Array(source)
  }
  throw new TypeError(`a buffer is wanted, not ${show(source)}`)
}

/** The type of an object; its class may be one that is made for where it lies. */
export const typeOf = (object: CData): DataType => object.constructor as DataType

/** What is known of a type, or of that of an object. */
const infoOfEither = (of: DataType | CData): TypeInfo =>
  infoOf(of instanceof CData ? typeOf(of) : of)

/**
 * How many bytes a type or an object takes, as `sizeof` of C says it.
 *
 * @throws TypeError for what has no C type.
 */
export const sizeof = (of: DataType | CData): number => infoOfEither(of).size

/**
 * What the addresses of a type are multiples of, as `_Alignof` of C says it.
 *
 * @throws TypeError for what has no C type.
 */
export const alignment = (of: DataType | CData): number => infoOfEither(of).alignment

/**
 * The bytes of an object, in its own memory: writing to them changes the object.
 *
 * @throws TypeError for what has no C type.
 */
export const bytesOf = (object: CData): Uint8Array => {
  if (!(object instanceof CData)) {
    throw new TypeError(`an object with a C type is wanted, not ${show(object)}`)
  }
  const start = object[OFFSET]
  return u8(object[MEMORY]).subarray(start, start + sizeof(object))
}

/** Copies an object's bytes to another of the same type. */
export const copyTo = (from: CData, to: CData): void => copyBytes(from, to, sizeof(to))
