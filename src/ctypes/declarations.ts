/**
 * How the fields of structures and unions are declared, and what that says of their types.
 * @module
 */
import type { CharArray, ElementOf, WideCharArray } from './array.js'
import type { CData, DataType } from './data.js'

/** Which byte of a number comes first: the least significant one, or the most significant one. */
export type ByteOrder = 'native' | 'little' | 'big'

/** How a structure or union is laid out. */
export interface RecordOptions {
  /** No field's alignment is larger than this, as with `#pragma pack`: 1, 2, 4, 8 or 16. */
  readonly pack?: number
  /** The byte order of its fields; not of structures in it. This machine's if not given. */
  readonly byteOrder?: ByteOrder
}

/** A field of so many bits. */
export class BitField<T extends CData = CData> {
  readonly type: DataType<T>
  readonly width: number

  /** @internal */
  constructor(type: DataType<T>, width: number) {
    this.type = type
    this.width = width
  }
}

/**
 * A field of so many bits, for `Structure.of`.
 *
 * @param type - An integer type, or c_bool.
 * @param width - How many bits, at most as many as the type has.
 */
export const bits = <T extends CData>(type: DataType<T>, width: number): BitField<T> =>
  new BitField(type, width)

/** The fields of a structure or union, by their names and in their order. */
export type FieldTypes = Readonly<Record<string, DataType<any> | BitField<any>>>

/** What a field of a type reads as. */
export type FieldValue<T extends CData> = T extends CharArray
  ? Buffer
  : T extends WideCharArray
    ? string
    : ElementOf<T>

/** What fields read as. */
export type FieldValues<D extends FieldTypes> = {
  -readonly [K in keyof D]: D[K] extends BitField<infer T>
    ? ElementOf<T>
    : D[K] extends DataType<infer T>
      ? FieldValue<T>
      : never
}

/** What fields may be set to. */
export type InitialValues<D extends FieldTypes> = {
  -readonly [K in keyof D]?: FieldValues<D>[K] extends CData ? unknown : Given<FieldValues<D>[K]>
}

type Given<V> = V extends Buffer
  ? Uint8Array | string | number
  : V extends bigint
    ? bigint | number
    : V

/** One field as the reference declares it: its name, its type, and for a bit field its bits. */
export type FieldDeclaration =
  | readonly [name: string, type: DataType<any>]
  | readonly [name: string, type: DataType<any>, bits: number]
