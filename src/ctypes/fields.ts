/**
 * What is known of the fields of structures and unions.
 * @module
 */
import { ValueError } from '../errors.js'
import type { Bits } from './bits.js'
import { type DataType, infoOf, type TypeInfo } from './data.js'

/** A field. */
export interface Field {
  readonly name: string
  readonly info: TypeInfo
  /** Where it begins, in bytes. */
  readonly at: number
  /** Which bits it has; null for what is no bit field. */
  readonly bits: Bits | null
}

/** The fields of each class, inherited ones first. */
const fieldsByType = new WeakMap<DataType, ReadonlyMap<string, Field>>()

/** Says which fields a class has. */
export const declareFields = (type: DataType, fields: ReadonlyMap<string, Field>): void => {
  fieldsByType.set(type, fields)
}

/**
 * The fields of a class.
 *
 * @throws TypeError when it is no structure or union.
 */
export const allFields = (type: DataType): ReadonlyMap<string, Field> => {
  infoOf(type)
  const fields = fieldsByType.get(type)
  if (fields === undefined) throw new TypeError(`${type.name} has no fields`)
  return fields
}

/** One field of a class. */
export const fieldOf = (type: DataType, name: string): Field => {
  const field = allFields(type).get(name)
  if (field === undefined) throw new ValueError(`${type.name} has no field ${JSON.stringify(name)}`)
  return field
}

/** Where a field is. */
export interface FieldPlace {
  readonly name: string
  readonly type: DataType
  /** Its first byte; of a bit field, the byte in which its first bit is. */
  readonly offset: number
  /** How many bytes its type takes. */
  readonly size: number
  /** How many bits it has; null for what is no bit field. */
  readonly bits: number | null
  /**
   * The first of its bits in the byte `offset`, counted from the least significant one where the byte order
   * is little-endian, else from the most significant one; null for what is no bit field.
   */
  readonly firstBit: number | null
}

/**
 * Where the fields of a structure or union are, in their order.
 *
 * @throws TypeError when it is none.
 */
export const fieldsOf = (type: DataType): FieldPlace[] =>
  Array.from(allFields(type).values(), ({ name, info, at, bits }) => ({
    name,
    type: info.type,
    offset: at,
    size: info.size,
    bits: bits?.width ?? null,
    firstBit: bits?.first ?? null,
  }))
