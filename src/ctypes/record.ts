/**
 * Structures and unions.
 * @module
 */
import { inspect } from 'node:util'
import { ValueError } from '../errors.js'
import { native } from '../native.js'
import { show } from '../waiting.js'
import { arrayOf } from './array.js'
import { elementsOf } from './array-info.js'
import { bitProperty } from './bits.js'
import {
  CData,
  copyTo,
  type DataType,
  DESCRIBE,
  type Description,
  infoOf,
  type TypeInfo,
  typeOf,
} from './data.js'
import {
  BitField,
  type ByteOrder,
  type FieldDeclaration,
  type FieldTypes,
  type FieldValues,
  type InitialValues,
  type RecordOptions,
} from './declarations.js'
import { allFields, declareFields, type Field } from './fields.js'
import { swappedFundamental } from './fundamental.js'
import { LITTLE_ENDIAN } from './kinds.js'
import { memoryOf } from './memory.js'
import type { MemoryProperty } from './properties.js'

/** The class of a structure or union with certain fields. */
export interface RecordType<Base, D extends FieldTypes>
  extends Pick<typeof Structure, 'fromBuffer'> {
  /** By name: fields that are not given are zero. */
  new (values?: InitialValues<D>): Base & FieldValues<D>
  /** In the order of the fields. */
  new (...values: any[]): Base & FieldValues<D>
  readonly prototype: Base & FieldValues<D>
  readonly name: string
}

/** How a class that {@link Structure.of} made was declared. */
export interface Declared {
  readonly kind: 'structure' | 'union'
  readonly parent: DataType
  readonly fields: readonly FieldDeclaration[]
  readonly options: RecordOptions
}

const declarations = new WeakMap<DataType, Declared>()

/** How a class was declared, if {@link Structure.of} made it. */
export const declaredAs = (type: DataType): Declared | undefined => declarations.get(type)

/** Makes a class of a declaration. */
export const declareRecord = (
  parent: DataType,
  fields: readonly FieldDeclaration[],
  options: RecordOptions,
): DataType => {
  const pack = options.pack ?? staticOf(parent, 'pack')
  const byteOrder = options.byteOrder ?? staticOf(parent, 'byteOrder')
  // Nothing but static properties: they are there again when the class has travelled by value.
  const made = class extends (parent as new () => RecordData) {
    static fields = fields
    static pack = pack
    static byteOrder = byteOrder
  } as unknown as DataType
  Object.defineProperty(made, 'name', { value: parent.name })
  declarations.set(made, { kind: kindOf(made), parent, fields, options })
  infoOf(made)
  return made
}

const listed = (declaration: FieldTypes): FieldDeclaration[] => {
  if (typeof declaration !== 'object' || declaration === null) {
    throw new TypeError(`fields are an object of types, not ${show(declaration)}`)
  }
  return Object.entries(declaration).map(([name, type]) =>
    type instanceof BitField ? [name, type.type, type.width] : [name, type],
  )
}

const kindOf = (type: DataType): 'structure' | 'union' =>
  type.prototype instanceof Union ? 'union' : 'structure'

/** What a class has of a name, itself or inherited. */
const staticOf = (type: DataType, name: string): unknown => Reflect.get(type, name)

const isSwapped = (type: DataType): boolean => {
  const order = staticOf(type, 'byteOrder') ?? 'native'
  if (order !== 'native' && order !== 'little' && order !== 'big') {
    throw new ValueError(`byteOrder is 'native', 'little' or 'big', not ${show(order)}`)
  }
  return order !== 'native' && (order === 'little') !== LITTLE_ENDIAN
}

const packOf = (type: DataType): number | null => {
  const pack = staticOf(type, 'pack') ?? null
  if (pack === null) return null
  if (pack === 1 || pack === 2 || pack === 4 || pack === 8 || pack === 16) return pack
  throw new ValueError(`pack is 1, 2, 4, 8 or 16, not ${show(pack)}`)
}

/** The type with the other byte order; structures keep their own. */
const swappedType = (type: DataType): DataType => {
  if (type.prototype instanceof RecordData) return type
  const array = elementsOf(type)
  if (array !== undefined) return arrayOf(swappedType(array.type), array.length)
  const swapped = swappedFundamental(type)
  if (swapped === null) {
    throw new TypeError(`This type does not support other endian: ${type.name}`)
  }
  return swapped
}

/** A field whose place is not known yet. */
interface Declaration {
  readonly name: string
  readonly info: TypeInfo
  readonly width: number | null
}

const RESERVED = new Set(['', 'constructor', '__proto__'])

const declarationOf = (of: DataType, given: unknown, swapped: boolean): Declaration => {
  if (!Array.isArray(given) || given.length < 2 || given.length > 3) {
    throw new TypeError(`a field of ${of.name} is a name, a type, and for a bit field its bits`)
  }
  const [name, type, width = null] = given as unknown as FieldDeclaration
  if (typeof name !== 'string') {
    throw new TypeError(`the name of a field is a string, not ${show(name)}`)
  }
  if (RESERVED.has(name)) throw new ValueError(`a field cannot be named ${show(name)}`)
  const { maximumBits } = infoOf(type)
  if (width !== null) {
    if (maximumBits === null) {
      throw new TypeError(`bit fields not allowed for type ${type.name}`)
    }
    if (!Number.isInteger(width) || width < 1 || width > maximumBits) {
      throw new ValueError(`number of bits invalid for bit field ${show(name)}`)
    }
  }
  return { name, info: infoOf(swapped ? swappedType(type) : type), width }
}

const ownDeclarations = (type: DataType, swapped: boolean): Declaration[] => {
  const fields = staticOf(type, 'fields')
  if (!Array.isArray(fields)) throw new TypeError(`fields of ${type.name} must be a list`)
  return fields.map((given) => declarationOf(type, given, swapped))
}

/** The structure that a class extends. */
const inheritedBy = (type: DataType): TypeInfo | null => {
  const parent: DataType = Object.getPrototypeOf(type)
  return parent.prototype instanceof RecordData && !roots.has(parent) ? infoOf(parent) : null
}

const describe = (type: DataType): Description => {
  if (type === (RecordData as unknown) || roots.has(type)) {
    throw new TypeError(`${type.name} is an abstract class`)
  }
  const inherited = inheritedBy(type)
  if (!Object.hasOwn(type, 'fields') && inherited === null) {
    throw new TypeError(`${type.name} has no fields`)
  }
  const extent = Object.hasOwn(type, 'fields') ? laidOut(type, inherited) : same(type, inherited!)
  const fields = allDeclared.get(type)!
  declareFields(type, fields)
  return {
    ...extent,
    storage: null,
    swapped: false,
    maximumBits: null,
    assign: (target, value) => assignRecord(target, type, value),
    unaligned: () => propertiesOf(fields.values(), 1),
  }
}

type Extent = Pick<TypeInfo, 'size' | 'alignment'>

const allDeclared = new WeakMap<DataType, ReadonlyMap<string, Field>>()

const same = (type: DataType, inherited: TypeInfo): Extent => {
  allDeclared.set(type, allDeclared.get(inherited.type)!)
  return extentOf(inherited)
}

const laidOut = (type: DataType, inherited: TypeInfo | null): Extent => {
  const swapped = isSwapped(type)
  const declared = ownDeclarations(type, swapped)
  const base = inherited === null ? [] : [{ ...extentOf(inherited), bits: null }]
  const members = declared.map(({ info, width }) => ({ ...extentOf(info), bits: width }))
  let layout: ReturnType<typeof native.layOutRecord>
  try {
    layout = native.layOutRecord(kindOf(type), packOf(type), [...base, ...members])
  } catch (cause) {
    if (cause instanceof ValueError) throw cause
    throw new ValueError(`${type.name}: ${(cause as Error).message}`, { cause })
  }
  const { size, alignment } = layout
  const places = layout.places.slice(base.length)
  const own = declared.map(({ name, info, width }, i): Field => {
    const { offset, firstBit } = places[i]!
    const bits = width === null ? null : { offset, first: firstBit, width, swapped }
    return { name, info, at: offset, bits }
  })
  const fields = new Map(inherited === null ? [] : allDeclared.get(inherited.type)!)
  for (const field of own) {
    if (fields.has(field.name))
      throw new ValueError(`${type.name} has two fields ${show(field.name)}`)
    fields.set(field.name, field)
  }
  Object.defineProperties(type.prototype, propertiesOf(own, alignment))
  allDeclared.set(type, fields)
  return { size, alignment }
}

const extentOf = ({ size, alignment }: Extent): Extent => ({ size, alignment })

/** The properties of fields, in an object that lies at a multiple of `alignment`. */
const propertiesOf = (fields: Iterable<Field>, alignment: number): PropertyDescriptorMap => {
  const properties: PropertyDescriptorMap = {}
  for (const field of fields) {
    properties[field.name] = {
      ...propertyOf(field, alignment),
      enumerable: true,
      configurable: true,
    }
  }
  return properties
}

const propertyOf = ({ info, at, bits }: Field, alignment: number): MemoryProperty => {
  if (bits !== null) return bitProperty(info.storage!, bits)
  const unit = info.storage?.size ?? 1
  return info.property(at, at % unit === 0 && alignment % unit === 0)
}

/** Values by name, rather than one value. */
const isByName = (value: unknown): value is Record<string, unknown> => {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

const fill = (object: CData, values: readonly unknown[]): void => {
  const type = typeOf(object)
  const fields = allFields(type)
  const target = object as unknown as Record<string, unknown>
  const [first] = values
  if (values.length === 1 && isByName(first)) {
    for (const [name, value] of Object.entries(first)) {
      if (!fields.has(name)) throw new TypeError(`${type.name} has no field ${show(name)}`)
      if (value !== undefined) target[name] = value
    }
    return
  }
  if (values.length > fields.size) throw new TypeError('too many initializers')
  const names = fields.keys()
  for (const value of values) target[names.next().value!] = value
}

const assignRecord = (target: CData, type: DataType, value: unknown): void => {
  if (value instanceof type) {
    copyTo(value, target)
    return
  }
  const values = isByName(value)
    ? [value]
    : typeof value === 'object' && value !== null && Symbol.iterator in value
      ? [...(value as Iterable<unknown>)]
      : null
  if (values === null) throw new TypeError(`expected ${type.name} instance, got ${show(value)}`)
  // First where nobody sees it: a value that is refused changes nothing.
  const { size, place } = infoOf(type)
  const whole = place(memoryOf(new ArrayBuffer(size)), 0)
  fill(whole, values)
  copyTo(whole, target)
}

/** What structures and unions have in common. */
export abstract class RecordData extends CData {
  /**
   * @param values - The fields' values, in their order; or an object that has them by name. Those that are
   * not given are zero.
   * @throws TypeError for a value of a wrong type, for more values than fields, and for the name of no field.
   */
  constructor(...values: any[]) {
    super()
    if (values.length > 0) fill(this, values)
  }

  /** @internal */
  static readonly [DESCRIBE] = describe;

  /** @internal */
  [inspect.custom](depth: number, options: object): string {
    const type = typeOf(this)
    if (depth < 0) return `[${type.name}]`
    const names = [...allFields(type).keys()]
    const values = Object.fromEntries(names.map((name) => [name, Reflect.get(this, name)]))
    return `${type.name} ${inspect(values, { ...options, depth })}`
  }
}

/**
 * A C structure. Its fields are properties that read and write its memory:
 *
 * ```ts
 * class Point extends Structure.of({ x: c_double, y: c_double }) {}
 * ```
 *
 * The reference's way works as well, with `static fields = [['x', c_double], ['y', c_double]]`, and `static
 * pack` and `static byteOrder`; then TypeScript has to be told of the fields, with `declare x: number`. The
 * fields of a class that extends another follow its.
 *
 * Mirrors ctypes' `Structure`.
 */
export class Structure extends RecordData {
  /**
   * A class of structures with these fields, to be extended or used as it is.
   *
   * @param fields - From each name to its type, or to {@link bits} of one.
   * @param options - Packing and byte order.
   * @throws TypeError for what is no type, and for bit fields of what is no integer; ValueError for a number
   * of bits, a name, a packing or a byte order that cannot be.
   */
  static of<const D extends FieldTypes>(
    fields: D,
    options: RecordOptions = {},
  ): RecordType<Structure, D> {
    // biome-ignore lint/complexity/noThisInStatic: it is the class that is extended.
    return declareRecord(this as unknown as DataType, listed(fields), options) as never
  }
}

/**
 * A C union: all its fields share one place. As {@link Structure} otherwise.
 *
 * Mirrors ctypes' `Union`.
 */
export class Union extends RecordData {
  /** A class of unions with these fields; see {@link Structure.of}. */
  static of<const D extends FieldTypes>(
    fields: D,
    options: RecordOptions = {},
  ): RecordType<Union, D> {
    // biome-ignore lint/complexity/noThisInStatic: it is the class that is extended.
    return declareRecord(this as unknown as DataType, listed(fields), options) as never
  }
}

/** A structure whose numbers have their most significant byte first. */
export class BigEndianStructure extends Structure {
  static readonly byteOrder: ByteOrder = 'big'
}

/** A structure whose numbers have their least significant byte first. */
export class LittleEndianStructure extends Structure {
  static readonly byteOrder: ByteOrder = 'little'
}

/** A union whose numbers have their most significant byte first. */
export class BigEndianUnion extends Union {
  static readonly byteOrder: ByteOrder = 'big'
}

/** A union whose numbers have their least significant byte first. */
export class LittleEndianUnion extends Union {
  static readonly byteOrder: ByteOrder = 'little'
}

/** The classes that have no fields. */
const roots: ReadonlySet<unknown> = new Set([
  Structure,
  Union,
  BigEndianStructure,
  LittleEndianStructure,
  BigEndianUnion,
  LittleEndianUnion,
])

/** A class without fields of its own, by name. */
export const rootNamed = (name: string): DataType | undefined =>
  ([...roots] as DataType[]).find((root) => root.name === name)

/** Whether it is one of these classes. */
export const isRoot = (type: DataType): boolean => roots.has(type)
